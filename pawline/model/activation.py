"""Map where a picture speaks for the predicted class, for the surest mistakes.

Networks that end in global average pooling and one dense layer: class activation maps (Zhou et al., "Learning Deep
Features for Discriminative Localization", 2016), here of the predicted class minus the actual one. Other networks:
occlusion (Zeiler, Fergus, "Visualizing and Understanding Convolutional Networks", 2014): by how much the probability
of the predicted class falls while a grey square covers the place.
"""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.mistakes import surest_mistakes
from pawline.model.backend import keras, tf
from pawline.model.saved import predict_probabilities
from pawline.prepared import PreparedImages

ACTIVATION, OCCLUSION = "class activation", "occlusion"
NUM_PLACES = 8  # of the grey square along a side
GRAY = 128
MAX_SIDE = 16  # of a map that is kept

Heat = NDArray[np.float64]


def mistake_maps(model: keras.Model, images: PreparedImages, predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per shown mistake: path, method, side, and map: uint8 bytes, side × side, 255 speaks most for the
    predicted class, 0 not for it.

    predictions: see evaluate.predictions_table."""
    mistakes = surest_mistakes(predictions, images.class_names)
    pixels = images.pixels(images.rows_of(mistakes["path"]))
    actual, predicted = (
        pd.Index(images.class_names).get_indexer(pd.Index(mistakes[column])) for column in ("actual", "predicted")
    )
    pooled = _pooled_maps(model)
    if pooled is None:
        heats = [_occlusion(model, one, int(label)) for one, label in zip(pixels, predicted, strict=True)]
    else:
        heats = _activations(*pooled, pixels, actual, predicted)
    maps = [_as_bytes(heat) for heat in heats]
    return pd.DataFrame(
        {
            "path": mistakes["path"].to_numpy(),
            "method": OCCLUSION if pooled is None else ACTIVATION,
            "side": [len(one) for one in maps],
            "map": [one.tobytes() for one in maps],
        }
    )


def _pooled_maps(model: keras.Model) -> tuple[keras.Model, NDArray[np.float32]] | None:
    """The part of the network up to the maps that are averaged, and the dense layer's kernel (channels, num_classes);
    None for a network of another kind."""
    for layer in model.layers:  # a model that also looks at the mirror image holds the network as a layer
        if isinstance(layer, keras.Model) and layer.output_shape == model.output_shape:
            return _pooled_maps(layer)
    average, dense = model.layers[-2], model.layers[-1]
    if not (isinstance(average, keras.layers.GlobalAveragePooling2D) and isinstance(dense, keras.layers.Dense)):
        return None
    return keras.Model(model.inputs, average.input), np.asarray(dense.get_weights()[0], np.float32)


def _activations(
    body: keras.Model,
    kernel: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
) -> list[Heat]:
    if not len(pixels):
        return []
    maps = body(tf.constant(pixels), training=False).numpy().astype(float)
    difference = (kernel[:, predicted] - kernel[:, actual]).T.astype(float)
    return list(np.einsum("nyxc,nc->nyx", maps, difference))


def _occlusion(model: keras.Model, pixels: NDArray[np.uint8], predicted: int) -> Heat:
    """By how much the probability falls: float (NUM_PLACES, NUM_PLACES). pixels: uint8 (side, side, channels)."""
    side = len(pixels)
    edges = np.linspace(0, side, NUM_PLACES + 1).astype(int)
    margin = side // (2 * NUM_PLACES)  # squares overlap, so that none splits what matters
    covered = np.repeat(pixels[None], NUM_PLACES**2 + 1, axis=0)
    for place in range(NUM_PLACES**2):
        row, column = divmod(place, NUM_PLACES)
        down = slice(max(edges[row] - margin, 0), edges[row + 1] + margin)
        across = slice(max(edges[column] - margin, 0), edges[column + 1] + margin)
        covered[place, down, across] = GRAY
    probability = predict_probabilities(model, covered)[:, predicted].astype(float)
    return (probability[-1] - probability[:-1]).reshape(NUM_PLACES, NUM_PLACES)


def _as_bytes(heat: Heat) -> NDArray[np.uint8]:
    """Scale a map to 0 to 255, without what speaks against the predicted class: uint8 (side, side)."""
    if len(heat) > MAX_SIDE:
        heat = np.asarray(cv2.resize(heat, (MAX_SIDE, MAX_SIDE), interpolation=cv2.INTER_AREA), float)
    largest = max(float(heat.max(initial=0)), 1e-12)
    return np.rint(255 * (heat / largest).clip(0, 1)).astype(np.uint8)
