"""EfficientNet-Lite 0, 1 and 2 in Keras layers, without their last layer.

EfficientNet-Lite (Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020) is
EfficientNet (Tan & Le, 2019) without squeeze-and-excite, with ReLU6 for swish, and with a stem and a head of the same
size in each network. keras.applications has no Lite.

Two things must be those of the original, or its weights compute nonsense: the pixels are (x - 127) / 128, and a
convolution of stride 2 pads its odd row and column at the end (TensorFlow's "same"). The test
tests/test_efficientnet_lite.py compares the features with those of another implementation.

Batch normalization is folded into the convolutions: the statistics of the weights' training stay as they are, here as
in every network of keras.applications.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pawline.model.backend import keras

NUM_FEATURES = 1280


@dataclass(frozen=True)
class Stage:
    """Blocks of equal width; the first one has the stride."""

    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    filters: int


# EfficientNet-B0's stages.
STAGES = (
    Stage(num_blocks=1, kernel=3, stride=1, expansion=1, filters=16),
    Stage(num_blocks=2, kernel=3, stride=2, expansion=6, filters=24),
    Stage(num_blocks=2, kernel=5, stride=2, expansion=6, filters=40),
    Stage(num_blocks=3, kernel=3, stride=2, expansion=6, filters=80),
    Stage(num_blocks=3, kernel=5, stride=1, expansion=6, filters=112),
    Stage(num_blocks=4, kernel=5, stride=2, expansion=6, filters=192),
    Stage(num_blocks=1, kernel=3, stride=1, expansion=6, filters=320),
)
SCALES = {"EfficientNetLite0": (1.0, 1.0), "EfficientNetLite1": (1.0, 1.1), "EfficientNetLite2": (1.1, 1.2)}


def build_lite(architecture: str, image_size: int, policy: str) -> keras.Model:
    """Build the network up to its last maps: RGB pixels, 0 to 255, to (n, rows, columns, 1280), with random weights.

    architecture: a key of SCALES. policy: the Keras dtype policy of the computation."""
    width, depth = SCALES[architecture]
    layers = _Layers(policy)
    pixels = keras.Input((image_size, image_size, 3), name="pixels")
    maps = keras.layers.Rescaling(1 / 128, offset=-127 / 128, dtype=policy, name="rescale")(pixels)
    maps = layers.convolution(maps, 32, kernel=3, stride=2, name="stem")
    number = 0
    for stage in STAGES:
        scaled = stage not in (STAGES[0], STAGES[-1])
        for repetition in range(math.ceil(depth * stage.num_blocks) if scaled else stage.num_blocks):
            number += 1
            stride = 1 if repetition else stage.stride
            maps = layers.block(maps, stage, stride, _scaled(stage.filters, width), f"block_{number}")
    maps = layers.convolution(maps, NUM_FEATURES, kernel=1, stride=1, name="head")
    return keras.Model(pixels, maps, name=architecture)


def set_lite_weights(body: keras.Model, arrays: dict[str, NDArray[np.float32]]) -> None:
    """Set every weight. arrays: {"<layer>.kernel": …, "<layer>.bias": …}, see pretrained_weights.py.

    Raises ValueError where a name or a shape is not that of the architecture."""
    layers = [layer for layer in body.layers if layer.weights]
    if {f"{layer.name}.{part}" for layer in layers for part in ("kernel", "bias")} != set(arrays):
        raise ValueError("its layers are not those of the architecture")
    for layer in layers:
        layer.set_weights([arrays[f"{layer.name}.kernel"], arrays[f"{layer.name}.bias"]])


def _scaled(filters: int, width: float) -> int:
    """A multiple of 8, at least nine tenths of the exact number (Sandler et al., "MobileNetV2", 2018)."""
    exact = filters * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * exact else rounded + 8


@dataclass(frozen=True)
class _Layers:
    policy: str

    def block(
        self, maps: keras.KerasTensor, stage: Stage, stride: int, filters: int, name: str
    ) -> keras.KerasTensor:
        """An inverted residual block (Sandler et al., "MobileNetV2", 2018): widen, look around in each map, narrow."""
        inner = maps
        if stage.expansion > 1:
            inner = self.convolution(maps, stage.expansion * maps.shape[-1], 1, 1, f"{name}_expand")
        inner = self._relu6(
            keras.layers.DepthwiseConv2D(
                stage.kernel, strides=stride, padding="same", dtype=self.policy, name=f"{name}_depthwise"
            )(inner),
            f"{name}_depthwise",
        )
        inner = self.convolution(inner, filters, 1, 1, f"{name}_project", relu=False)
        if stride > 1 or maps.shape[-1] != filters:
            return inner
        return keras.layers.Add(dtype=self.policy, name=f"{name}_add")([maps, inner])

    def convolution(
        self, maps: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, relu: bool = True
    ) -> keras.KerasTensor:
        maps = keras.layers.Conv2D(filters, kernel, strides=stride, padding="same", dtype=self.policy, name=name)(
            maps
        )
        return self._relu6(maps, name) if relu else maps

    def _relu6(self, maps: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return keras.layers.ReLU(max_value=6, dtype=self.policy, name=f"{name}_relu6")(maps)
