"""The networks, a module each; `network.name` chooses one."""

import numpy as np
from numpy.typing import NDArray

from pawline.backend import keras
from pawline.networks.classic import build_classic
from pawline.networks.fast import build_fast, fold_fast, start_fast
from pawline.networks.pretrained import build_pretrained
from pawline.params import ImageForm, NetworkParams


def build_network(params: NetworkParams, form: ImageForm, num_classes: int, precision: str) -> keras.Model:
    """As it is trained: uint8 or float32 (n, height, width, num_channels), values 0 to 255, in; logits, float32
    (n, num_classes), out: softmax is applied once, in model.py. `precision`: float32 or bfloat16, of what is
    computed; the weights are float32."""
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    match params.name:
        case "fast":
            return build_fast(params.fast, form, num_classes, policy)
        case "classic":
            return build_classic(params.classic, form, num_classes, policy)
        case "pretrained":
            return build_pretrained(params.pretrained, form, num_classes, policy, params.pretrained.weights)


def start_network(model: keras.Model, params: NetworkParams, pixels: NDArray[np.uint8]) -> None:
    """Weights to begin with that depend on some of the pictures to train on, uint8 (n, height, width,
    num_channels)."""
    if params.name == "fast":
        start_fast(model, pixels)


def finish_network(
    trained: keras.Model, params: NetworkParams, form: ImageForm, num_classes: int, flip: bool
) -> keras.Model:
    """As it is saved: the same function of plain Keras layers in float32; with `flip` the mean over the picture
    and its mirror image."""
    match params.name:
        case "fast":
            model = fold_fast(trained, params.fast, form, num_classes)
        case "classic":
            model = build_classic(params.classic, form, num_classes)
            model.set_weights(trained.get_weights())
        case "pretrained":
            model = build_pretrained(params.pretrained, form, num_classes, "float32", weights=None)
            model.set_weights(trained.get_weights())
    return _flipped_too(model, form) if flip else model


def _flipped_too(model: keras.Model, form: ImageForm) -> keras.Model:
    pixels = keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels")
    mirrored = keras.ops.flip(pixels, axis=2)
    mean = keras.layers.Average(name="mean")([model(pixels), model(mirrored)])
    return keras.Model(pixels, mean, name=f"{model.name}_flipped_too")
