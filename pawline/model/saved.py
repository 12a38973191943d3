"""Save a trained model as one `.keras` file, load it and predict with it. Equal weights make equal bytes."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.card import Card, Conditions, write_card
from pawline.errors import ModelError
from pawline.files import file_digest, whole_file
from pawline.model.backend import NUM_PIECES, keras, tf
from pawline.prepared import PreparedImages
from pawline.softmax import softmax

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
BATCH_SIZE, BATCH_PIXELS = 256, 256 * 96 * 96  # at most, of one batch of predictions


def save_model(model: keras.Model, path: Path) -> None:
    """Save a model as a `.keras` file, whole or not at all, without date and addresses: equal weights, equal bytes."""
    with whole_file(path) as partial:
        keras_file = partial.with_suffix(".keras")
        try:
            model.save(keras_file)
            partial.write_bytes(_canonical(keras_file.read_bytes()))
        finally:
            keras_file.unlink(missing_ok=True)


def save_with_card(
    model: keras.Model,
    path: Path,
    images: PreparedImages,
    training_data_digest: str,
    conditions: Conditions,
    temperature: float = 1.0,
    **about: Any,
) -> Card:
    """Save the model and its card beside it: how to feed the model, and how to recognize it.

    images: as the model sees them; training_data_digest: from parts.data_digest; temperature: from fit_temperature;
    about: other fields of the card."""
    save_model(model, path)
    card = Card(
        digest=file_digest(path),
        class_names=images.class_names,
        form=images.form,
        network=model.name,
        num_weights=model.count_params(),
        training_data_digest=training_data_digest,
        decoder=images.decoder,
        conditions=conditions,
        temperature=temperature,
        **about,
    )
    write_card(path, card)
    return card


def load_model(path: Path) -> keras.Model:
    """Load a `.keras` file. Call card.read_card first to check the file. Raises ModelError if Keras cannot load it."""
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: Keras cannot load it: {reason}") from None


def predict_probabilities(
    model: keras.Model, images: NDArray[np.uint8], temperature: float = 1.0
) -> NDArray[np.float32]:
    """Predict one batch: uint8 (n, height, width, channels) to float32 (n, num_classes); rows sum to 1."""
    return softmax(_ask(model, images), temperature)


def predict_rows(
    model: keras.Model, images: PreparedImages, rows: NDArray[np.int64], temperature: float = 1.0
) -> NDArray[np.float32]:
    """Predict rows of the prepared images, int64 (n,), batch by batch. Returns float32 (n, num_classes)."""
    return softmax(logits_of_rows(model, images, rows), temperature)


def logits_of_rows(model: keras.Model, images: PreparedImages, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Ask for rows of the prepared images, int64 (n,), batch by batch. Returns float32 (n, num_classes)."""
    batch_size = batch_size_of(images.form.image_size)
    return np.concatenate(
        [_ask(model, images.pixels(rows[start : start + batch_size])) for start in range(0, len(rows), batch_size)]
    )


def batch_size_of(image_size: int) -> int:
    """Number of pictures of this size to predict at once; it falls as they grow, so that memory does not."""
    return max(1, min(BATCH_SIZE, BATCH_PIXELS // image_size**2))


def _ask(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    logits = _logits(model, NUM_PIECES if len(images) >= NUM_PIECES else 1)(tf.constant(images)).numpy()
    return np.asarray(logits, np.float32)


@lru_cache(maxsize=2)
def _logits(model: keras.Model, num_pieces: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compile the model for batches of any size. The pieces of a batch run at the same time (see trainer.py)."""

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)])
    def logits(images: tf.Tensor) -> tf.Tensor:
        length = tf.shape(images)[0] // num_pieces
        pieces = [images[number * length : (number + 1) * length] for number in range(num_pieces - 1)]
        pieces.append(images[(num_pieces - 1) * length :])  # the last piece takes the remainder
        return tf.concat([model(piece, training=False) for piece in pieces], axis=0)

    return logits


def _canonical(saved: bytes) -> bytes:
    """Remove from a Keras file what differs between processes: the date, in the file and in the zip's entries, and the
    memory addresses that identify shared objects."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as source, zipfile.ZipFile(out, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                metadata = json.loads(content)
                del metadata["date_saved"]
                content = json.dumps(metadata, sort_keys=True).encode()
            elif name == "config.json":
                content = _number_shared_objects(content)
            target.writestr(zipfile.ZipInfo(name, date_time=ZIP_EPOCH), content)
    return out.getvalue()


def _number_shared_objects(config: bytes) -> bytes:
    """Replace the addresses by 1, 2, … in order of appearance."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode(),
        config,
    )
