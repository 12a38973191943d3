"""The classic network: Convolution, Pooling, Convolution, Pooling, Fully Connected, Output."""

from pawline.model.backend import keras
from pawline.params.network import ClassicParams
from pawline.params.prepare import ImageForm


def build(params: ClassicParams, form: ImageForm, num_classes: int, policy: str = "float32") -> keras.Sequential:
    """Build the network for pictures of form.image_size. policy: the Keras dtype policy of the computation."""
    return keras.Sequential(
        [
            keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels"),
            keras.layers.Rescaling(1 / 255, dtype=policy, name="rescale"),
            *_convolution_and_pooling(params, 0, policy),
            *_convolution_and_pooling(params, 1, policy),
            keras.layers.Flatten(dtype=policy, name="flatten"),
            keras.layers.Dropout(params.dropout, dtype=policy, name="dropout_1"),
            keras.layers.Dense(params.dense_units, activation="relu", dtype=policy, name="fully_connected"),
            keras.layers.Dropout(params.dropout, dtype=policy, name="dropout_2"),
            keras.layers.Dense(num_classes, dtype="float32", name="output"),
        ],
        name="classic",
    )


def finish(trained: keras.Model, params: ClassicParams, form: ImageForm, num_classes: int) -> keras.Model:
    """Build the same network in float32 and copy the weights."""
    model = build(params, form, num_classes, "float32")
    model.set_weights(trained.get_weights())
    return model


def _convolution_and_pooling(params: ClassicParams, layer: int, policy: str) -> tuple[keras.layers.Layer, ...]:
    return (
        keras.layers.Conv2D(
            params.filters[layer],
            params.kernel[layer],
            strides=params.stride[layer],
            padding="same",
            activation="relu",
            dtype=policy,
            name=f"convolution_{layer + 1}",
        ),
        keras.layers.MaxPooling2D(
            params.pool_window[layer],
            strides=params.pool_stride[layer],
            dtype=policy,
            name=f"pooling_{layer + 1}",
        ),
    )
