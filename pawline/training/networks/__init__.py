"""The networks, a module each; `network.name` is the module's name.

Each module defines `build` and `finish`, and `start` if its first weights depend on the pictures; their parameters
are those of the functions here. What a network supports stands in its record in params/network.py.
"""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.model.backend import keras
from pawline.params.network import NetworkParams
from pawline.params.prepare import ImageForm


def build_network(params: NetworkParams, form: ImageForm, num_classes: int, precision: str) -> keras.Model:
    """Build the network for training.

    Input: uint8 or float32 (n, height, width, num_channels), values 0 to 255. Output: logits, float32 (n, num_classes);
    softmax is applied once, in model/saved.py. precision: float32 or bfloat16, for the computation; the weights are
    float32. Raises ModelError if pretrained weights cannot be used."""
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    return _module(params).build(params.section, form, num_classes, policy)


def start_network(model: keras.Model, params: NetworkParams, pixels: NDArray[np.uint8]) -> None:
    """Set the first weights that depend on the pictures, if the network has such weights.

    pixels: uint8 (n, height, width, num_channels), a sample of the train part."""
    if start := getattr(_module(params), "start", None):
        start(model, pixels)


def finish_network(
    trained: keras.Model, params: NetworkParams, form: ImageForm, num_classes: int, flip: bool
) -> keras.Model:
    """Build the network to save: it computes the same function in plain Keras layers and float32.

    flip: return the mean of the logits of the picture and of its mirror image."""
    model = _module(params).finish(trained, params.section, form, num_classes)
    return _with_flip(model, form) if flip else model


def _module(params: NetworkParams) -> Any:
    return import_module(f"pawline.training.networks.{params.name}")


def _with_flip(model: keras.Model, form: ImageForm) -> keras.Model:
    pixels = keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels")
    mirrored = keras.ops.flip(pixels, axis=2)
    mean = keras.layers.Average(name="mean")([model(pixels), model(mirrored)])
    return keras.Model(pixels, mean, name=f"{model.name}_flipped_too")
