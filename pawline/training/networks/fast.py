"""The fast network: a strided stem, then for each width a strided convolution, which halves the maps, and a residual
block.

It uses dense 3 x 3 convolutions, which CPUs run near their peak, and strides instead of pooling. Batch normalization
is used in training and folded into the convolutions of the saved model. Residual blocks: He et al., "Deep Residual
Learning for Image Recognition", 2015; their last scale starts at zero: Goyal et al., "Accurate, Large Minibatch SGD",
2017.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pawline.model.backend import keras, tf
from pawline.params.network import FastParams
from pawline.params.prepare import ImageForm

MAX_PATCHES = 300_000  # for the stem's first weights: more patches take memory and change nothing


def build(params: FastParams, form: ImageForm, num_classes: int, policy: str = "float32") -> keras.Model:
    """Build the network for training, on pictures of any size. policy: the Keras dtype policy of the computation."""
    pixels = keras.Input((None, None, form.num_channels), name="pixels")
    return _Layers(policy, folded=False).network(params, pixels, num_classes)


def finish(trained: keras.Model, params: FastParams, form: ImageForm, num_classes: int) -> keras.Model:
    """Build the same function in plain convolutions and float32, for pictures of form.image_size.

    After training, normalization only scales and shifts each channel; the kernel and a bias can do the same."""
    pixels = keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels")
    folded = _Layers("float32", folded=True).network(params, pixels, num_classes)
    for layer in folded.layers:
        if isinstance(layer, keras.layers.Conv2D):
            normalization = trained.get_layer(_normalization(layer.name))
            gamma, beta, mean, variance = (np.float64(weight) for weight in normalization.get_weights())
            scale = gamma / np.sqrt(variance + normalization.epsilon)
            [kernel] = trained.get_layer(layer.name).get_weights()
            layer.set_weights([kernel * scale, beta - mean * scale])
    folded.get_layer("output").set_weights(trained.get_layer("output").get_weights())
    return folded


def start(model: keras.Model, pixels: NDArray[np.uint8]) -> None:
    """Set the stem's kernel to the strongest principal components of the pictures' patches, each also negated.

    The stem then need not learn them (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024; here the
    normalization after the stem does the scaling). Filters beyond the number of components stay random.
    pixels: uint8 (n, height, width, channels)."""
    kernel = model.get_layer("stem").kernel
    side, _, _, num_filters = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(1, 2))[:, ::side, ::side]
    patches = np.moveaxis(windows, 3, -1).reshape(-1, math.prod(kernel.shape[:-1]))
    patches = patches[:: math.ceil(len(patches) / MAX_PATCHES)]
    _, components = np.linalg.eigh(np.cov(patches, rowvar=False))  # columns of length 1, in ascending order
    strongest = components[:, ::-1][:, : num_filters // 2]
    weights = keras.ops.convert_to_numpy(kernel).copy()
    filters = np.concatenate([strongest, -strongest], axis=1) * math.sqrt(2)  # the length of he_normal's filters
    weights[..., : filters.shape[1]] = filters.reshape(*kernel.shape[:-1], -1)
    kernel.assign(weights)


@dataclass(frozen=True)
class _Layers:
    """The layers in one precision, with batch normalization or folded: convolutions with a bias."""

    policy: str
    folded: bool

    def network(self, params: FastParams, pixels: keras.KerasTensor, num_classes: int) -> keras.Model:
        maps = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype=self.policy, name="rescale")(pixels)
        stem, *widths = params.filters
        maps = self._unit(maps, stem, "stem", kernel=4, stride=2)
        for number, filters in enumerate(widths, start=1):
            maps = self._unit(maps, filters, f"halve_{number}", stride=2)
            maps = self._residual(maps, filters, f"block_{number}")
        pooled = keras.layers.GlobalAveragePooling2D(dtype=self.policy, name="average")(maps)
        logits = keras.layers.Dense(num_classes, dtype="float32", name="output")(pooled)
        return keras.Model(pixels, logits, name="fast")

    def _residual(self, maps: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
        inner = self._unit(maps, filters, f"{name}_convolution_1")
        inner = self._unit(inner, filters, f"{name}_convolution_2", relu=False, gamma="zeros")
        added = keras.layers.Add(dtype=self.policy, name=f"{name}_add")([maps, inner])
        return keras.layers.ReLU(dtype=self.policy, name=f"{name}_relu")(added)

    def _unit(
        self,
        maps: keras.KerasTensor,
        filters: int,
        name: str,
        kernel: int = 3,
        stride: int = 1,
        relu: bool = True,
        gamma: str = "ones",
    ) -> keras.KerasTensor:
        """Convolution, normalization, ReLU. The stride is smaller than the kernel, so windows overlap."""
        maps = keras.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=self.folded,
            kernel_initializer="he_normal",
            dtype=self.policy,
            name=name,
        )(maps)
        if not self.folded:
            normalization = FusedBatchNormalization(
                momentum=0.95, gamma_initializer=gamma, dtype=self.policy, name=_normalization(name)
            )
            maps = normalization(maps)
        return keras.layers.ReLU(dtype=self.policy, name=f"{name}_relu")(maps) if relu else maps


def _normalization(convolution: str) -> str:
    return f"{convolution}_normalization"


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization in one pass over the maps, where Keras takes several. It is never part of a saved model:
    `finish` folds it into the convolutions."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1 - self.momentum,
            is_training=bool(training),
        )
        if training:
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return normalized
