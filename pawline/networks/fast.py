"""The fast network: a strided stem, then per width a strided convolution and a residual block, on maps half as
large each time.

Dense 3 x 3 convolutions, which CPUs run near their peak, strided in place of pooled; batch normalization while it
is trained, folded into the convolutions when it is saved. Residual blocks: He et al., "Deep Residual Learning for
Image Recognition", 2015; their last scale starts at zero: Goyal et al., "Accurate, Large Minibatch SGD", 2017.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pawline.backend import keras, tf
from pawline.params import FastParams, ImageForm

MOST_PATCHES = 300_000  # that the stem begins by: more tell nothing new, and take memory


def build_fast(params: FastParams, form: ImageForm, num_classes: int, policy: str = "float32") -> keras.Model:
    """As it is trained, in the precision of a Keras dtype policy, on pictures of any size."""
    pixels = keras.Input((None, None, form.num_channels), name="pixels")
    return _Layers(policy, folded=False).network(params, pixels, num_classes)


def fold_fast(trained: keras.Model, params: FastParams, form: ImageForm, num_classes: int) -> keras.Model:
    """The same function in plain convolutions and float32, for pictures of form.image_size: what normalization
    does once training is over, scaling and shifting each channel, a kernel and a bias can do as well."""
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


def start_fast(model: keras.Model, pixels: NDArray[np.uint8]) -> None:
    """Let the stem begin as the principal components of the pictures' own patches, each as it is and negated,
    the strongest first: what it would have to learn otherwise (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a
    Single GPU", 2024; here the normalization after it does the scaling). pixels: (n, height, width, channels)."""
    kernel = model.get_layer("stem").kernel
    side, _, _, num_filters = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(1, 2))[:, ::side, ::side]
    patches = np.moveaxis(windows, 3, -1).reshape(-1, math.prod(kernel.shape[:-1]))
    patches = patches[:: math.ceil(len(patches) / MOST_PATCHES)]
    _, components = np.linalg.eigh(np.cov(patches, rowvar=False))  # columns of length 1, the strongest last
    strongest = components[:, ::-1][:, : num_filters // 2]
    start = keras.ops.convert_to_numpy(kernel).copy()
    first = np.concatenate([strongest, -strongest], axis=1) * math.sqrt(2)  # as long as he_normal makes them
    start[..., : first.shape[1]] = first.reshape(*kernel.shape[:-1], -1)
    kernel.assign(start)


@dataclass(frozen=True)
class _Layers:
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
        """Convolution, normalization, ReLU; windows overlap, since the stride is below the kernel."""
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
    """Keras's own takes several passes over the maps, TensorFlow's operation one. Never saved: folding comes
    first."""

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
