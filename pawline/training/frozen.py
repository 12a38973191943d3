"""Train a new last layer on a frozen network: the features of each picture are computed once and kept."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.files import file_digest
from pawline.model.backend import NUM_PIECES, keras, tf
from pawline.model.machine import processor, uses_one_dnn
from pawline.params.network import NetworkParams
from pawline.params.record import AUTO
from pawline.params.train import Recipe, TrainParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.softmax import softmax
from pawline.terminal import say
from pawline.threads import num_threads
from pawline.training import efficientnet_lite
from pawline.training.checkpoint import EpochRow
from pawline.training.features import BATCH_SIZE, Features, FeatureStore
from pawline.training.head import Head, fit_head
from pawline.training.networks import build_network, finish_network, pretrained
from pawline.training.trainer import val_figures


@dataclass(frozen=True)
class FrozenTraining:
    """model: the one to save; val_logits: its logits on val, float32 (n, num_classes)."""

    model: keras.Model
    head: Head
    row: EpochRow  # the only one of the history
    val_logits: NDArray[np.float32]


def train_frozen(
    images: PreparedImages, parts: tuple[Part, Part], network: NetworkParams, recipe: Recipe, folder: Path | None
) -> FrozenTraining:
    """Fit the last layer. parts: train, val; folder: where features are kept, see features.py; None keeps none.

    Everything is computed in float32. It does not learn from mirror images, which gave nothing (docs/pretrained.md)."""
    begin, num_classes, (train_part, val_part) = time.monotonic(), len(images.class_names), parts
    fitted = fit_last_layer(images, parts, network, recipe, folder, mirrored=recipe.flip_at_test)
    fitted.model.get_layer("output").set_weights([fitted.head.kernel, fitted.head.bias])
    val_logits = fitted.head.logits(fitted.val).reshape(-1, len(val_part.rows), num_classes).mean(axis=0)
    row = {
        "epoch": 1,
        **_train_figures(fitted.head, fitted.train, train_part.labels),
        **val_figures(val_part.labels, softmax(val_logits)),
        "learning_rate": 0.0,
        "images_per_second": (len(train_part.rows) + len(val_part.rows)) / (time.monotonic() - begin),
    }
    finished = finish_network(fitted.model, network, images.form, num_classes, recipe.flip_at_test)
    return FrozenTraining(finished, fitted.head, row, val_logits)


@dataclass(frozen=True)
class FittedLayer:
    """The frozen network with a last layer that knows nothing yet, the head for it, and the features it was fitted on.

    val: those of the mirror images follow, if they are asked for."""

    model: keras.Model
    head: Head
    train: Features
    val: Features


def fit_last_layer(
    images: PreparedImages,
    parts: tuple[Part, Part],
    network: NetworkParams,
    params: TrainParams,
    folder: Path | None,
    mirrored: bool,
) -> FittedLayer:
    """Compute or find the features of both parts, train and val, and fit a last layer on them.

    folder: see features.py. mirrored: also compute those of the mirror images of val. Raises DatasetError if train
    holds one class."""
    train_part, val_part = parts
    model = build_network(network, images.form, len(images.class_names), "float32")
    store = FeatureStore(_compiled(model), folder, _key(model))
    train = _features(store, images, train_part, mirrored=False)
    val = _features(store, images, val_part, mirrored)
    among_them = ", mirror images of val among them" if mirrored else ""
    say(f"train: features of {store.num_computed:,} pictures computed, {store.num_known:,} known{among_them}")
    head = fit_head(
        (train, train_part.labels), (val[: len(val_part.rows)], val_part.labels), len(images.class_names),
        network.pretrained.penalty, balanced=params.balance != "none",
    )  # fmt: skip
    return FittedLayer(model, head, train, val)


def fit_first_layer(
    images: PreparedImages, split: pd.DataFrame, network: NetworkParams, params: TrainParams, folder: Path | None
) -> Head:
    """Fit the last layer that fine-tuning begins with. images: as they were prepared; folder: see features.py."""
    fraction = 1.0 if params.predict_size == AUTO else params.predict_size
    seen = images.shrunk_to(network.predicted_side(images.form.image_size, fraction))
    parts = Part.of("train", seen, split), Part.of("val", seen, split)
    return fit_last_layer(seen, parts, network, params, folder, mirrored=False).head


def _features(store: FeatureStore, images: PreparedImages, part: Part, mirrored: bool) -> Features:
    """The features of the part's pictures, then of their mirror images."""
    count = len(part.rows)
    features = store.features(lambda positions: images.pixels(part.rows[positions]), count)
    if not mirrored:
        return features
    mirror_features = store.features(lambda positions: images.pixels(part.rows[positions])[:, :, ::-1], count)
    return np.concatenate([features, mirror_features])


def _train_figures(head: Head, features: Features, labels: NDArray[np.int64]) -> EpochRow:
    figures = val_figures(labels, softmax(head.logits(features)))
    return {"loss": figures["val_loss"], "accuracy": figures["val_accuracy"]}


def _compiled(model: keras.Model) -> Callable[[NDArray[np.uint8]], Features]:
    """The network up to its last layer, for batches of BATCH_SIZE. The pieces of a batch run at the same time."""
    body = keras.Model(model.input, model.get_layer("output").input)
    length = BATCH_SIZE // NUM_PIECES

    @tf.function(input_signature=[tf.TensorSpec((BATCH_SIZE, *model.input_shape[1:]), tf.uint8)])
    def features(pixels: tf.Tensor) -> tf.Tensor:
        pieces = [pixels[start : start + length] for start in range(0, BATCH_SIZE, length)]
        return tf.concat([body(piece, training=False) for piece in pieces], axis=0)

    return lambda pixels: np.asarray(features(tf.constant(pixels)).numpy(), np.float32)


def _key(model: keras.Model) -> str:
    """A digest of all that features depend on besides pixels: weights, code, kind of machine, versions."""
    key = hashlib.sha256()
    for weight in keras.Model(model.input, model.get_layer("output").input).weights:
        key.update(str(weight.shape).encode())
        key.update(keras.ops.convert_to_numpy(weight).tobytes())
    code = [file_digest(Path(module.__file__ or "")) for module in (efficientnet_lite, pretrained)]
    machine = [processor(), num_threads(), NUM_PIECES, uses_one_dnn(), version("tensorflow"), version("keras")]
    key.update(f"{model.input_shape} {BATCH_SIZE} {code} {machine}".encode())
    return key.hexdigest()
