"""A network with weights trained by others, EfficientNet-Lite or one of keras.applications, and a new head for these
classes."""

import warnings
from pathlib import Path

from pawline.errors import ModelError, root_cause
from pawline.model.backend import keras
from pawline.params.network import PretrainedParams
from pawline.params.prepare import ImageForm
from pawline.training.efficientnet_lite import build_lite, set_lite_weights
from pawline.training.pretrained_weights import read_converted


def build(params: PretrainedParams, form: ImageForm, num_classes: int, policy: str) -> keras.Model:
    """Build the architecture with a new head. The architecture rescales pixels itself; grayscale is repeated to RGB.

    Its batch normalization keeps the statistics of the file, as Keras's guide to transfer learning advises.
    Raises ModelError if the weights cannot be read or belong to another architecture."""
    return _network(params, form, num_classes, policy, params.weights)


def finish(trained: keras.Model, params: PretrainedParams, form: ImageForm, num_classes: int) -> keras.Model:
    """Build the same network in float32 and copy the weights."""
    model = _network(params, form, num_classes, "float32", weights=None)
    model.set_weights(trained.get_weights())
    return model


def _network(
    params: PretrainedParams, form: ImageForm, num_classes: int, policy: str, weights: str | None
) -> keras.Model:
    pixels = keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels")
    rgb = keras.layers.Concatenate(name="as_rgb")([pixels] * 3) if form.num_channels == 1 else pixels
    build_body = _lite_body if params.is_packaged else _body
    body = build_body(params.architecture, form.image_size, policy, weights)
    _freeze(body, params.fine_tune)
    pooled = keras.layers.GlobalAveragePooling2D(name="average")(body(rgb, training=False))
    logits = keras.layers.Dense(num_classes, dtype="float32", name="output")(pooled)
    return keras.Model(pixels, logits, name="pretrained")


def _freeze(body: keras.Model, fine_tune: bool | float) -> None:
    """Let the last layers learn: all, none, or a fraction of those with weights."""
    body.trainable = bool(fine_tune)
    layers = [layer for layer in body.layers if layer.weights]
    for layer in layers[: round((1 - float(fine_tune)) * len(layers))]:
        layer.trainable = False


def _lite_body(architecture: str, image_size: int, policy: str, weights: str | None) -> keras.Model:
    body = build_lite(architecture, image_size, policy)
    if weights:
        try:
            set_lite_weights(body, read_converted(Path(weights)))
        except Exception as error:  # a flipped bit can raise almost any type
            raise ModelError(
                f"{weights}: not usable as weights of {architecture}: {root_cause(error)}; delete this file and run "
                "again: it is made from the installed package"
            ) from None
    return body


def _body(architecture: str, image_size: int, policy: str, weights: str | None) -> keras.Model:
    build = getattr(keras.applications, architecture)
    default_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # keras.applications has no argument for the policy
    try:
        with warnings.catch_warnings():
            # Keras warns of each layer that does not fit, a second time: the exception says that some do not.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            return build(
                include_top=False,
                include_preprocessing=True,
                input_shape=(image_size, image_size, 3),
                weights=weights,
            )
    except Exception as error:  # Keras passes on the exceptions of h5py, zipfile and urllib
        raise ModelError(
            f"network.pretrained.weights: {weights}: not usable as headless weights of {architecture}: "
            f"{root_cause(error).rstrip(' .:')}; name a file that `model.save_weights` wrote for it, or imagenet"
        ) from None
    finally:
        keras.config.set_dtype_policy(default_policy)
