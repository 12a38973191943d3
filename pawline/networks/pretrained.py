"""Somebody else's network from keras.applications, with a new head for these classes."""

from pawline.backend import keras
from pawline.errors import ModelError
from pawline.params import ImageForm, PretrainedParams


def build_pretrained(
    params: PretrainedParams, form: ImageForm, num_classes: int, policy: str, weights: str | None
) -> keras.Model:
    """The architecture without its head, which rescales by itself; it is shown grayscale pictures as RGB.

    Its batch normalization keeps the statistics that it came with, as Keras's guide to transfer learning advises.
    Raises ModelError where the weights cannot be had or are not those of this architecture."""
    pixels = keras.Input((form.image_size, form.image_size, form.num_channels), name="pixels")
    rgb = keras.layers.Concatenate(name="as_rgb")([pixels] * 3) if form.num_channels == 1 else pixels
    body = _body(params.architecture, form.image_size, policy, weights)
    body.trainable = params.fine_tune
    pooled = keras.layers.GlobalAveragePooling2D(name="average")(body(rgb, training=False))
    logits = keras.layers.Dense(num_classes, dtype="float32", name="output")(pooled)
    return keras.Model(pixels, logits, name="pretrained")


def _body(architecture: str, image_size: int, policy: str, weights: str | None) -> keras.Model:
    build = getattr(keras.applications, architecture)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)  # the applications take none
    try:
        return build(
            include_top=False,
            include_preprocessing=True,
            input_shape=(image_size, image_size, 3),
            weights=weights,
        )
    except Exception as error:  # Keras lets through what h5py, zip files and urllib raise
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"network.pretrained.weights: {weights}: not to be had as weights of {architecture} "
            f"without its head: {reason}; name a file that `model.save_weights` wrote for it, or imagenet"
        ) from None
    finally:
        keras.config.set_dtype_policy(before)
