"""The classic network: Convolution, Pooling, Convolution, Pooling, Fully Connected, Output."""

from pawline.backend import keras
from pawline.params import ClassicParams, ImageForm


def build_classic(params: ClassicParams, form: ImageForm, num_classes: int) -> keras.Sequential:
    """uint8 or float32 (n, image_size, image_size, num_channels), values 0 to 255, in;
    logits, float32 (n, num_classes), out: softmax is applied once, in model.py."""
    return keras.Sequential(
        [
            keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels"),
            keras.layers.Rescaling(1 / 255, name="rescale"),
            *_convolution_and_pooling(params, 0),
            *_convolution_and_pooling(params, 1),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(params.dropout, name="dropout_1"),
            keras.layers.Dense(params.dense_units, activation="relu", name="fully_connected"),
            keras.layers.Dropout(params.dropout, name="dropout_2"),
            keras.layers.Dense(num_classes, name="output"),
        ],
        name="classic",
    )


def _convolution_and_pooling(params: ClassicParams, layer: int) -> tuple[keras.layers.Layer, ...]:
    return (
        keras.layers.Conv2D(
            params.filters[layer],
            params.kernel[layer],
            strides=params.stride[layer],
            padding="same",
            activation="relu",
            name=f"convolution_{layer + 1}",
        ),
        keras.layers.MaxPooling2D(
            params.pool_window[layer], strides=params.pool_stride[layer], name=f"pooling_{layer + 1}"
        ),
    )
