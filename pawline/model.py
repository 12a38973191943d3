"""A trained model as one `.keras` file, equal weights making equal bytes."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.backend import SHARES, keras, tf
from pawline.card import Card, Conditions, write_card
from pawline.errors import ModelError
from pawline.files import file_digest, whole_file
from pawline.images import DECODER
from pawline.shards import PreparedImages

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip can hold
BATCH_SIZE, BATCH_PIXELS = 256, 256 * 96 * 96  # at most, of what is predicted at a time


def save_model(model: keras.Model, path: Path) -> None:
    """Write the file whole, in canonical form."""
    with whole_file(path) as partial:
        saved = partial.with_suffix(".keras")
        try:
            model.save(saved)
            partial.write_bytes(_canonical(saved.read_bytes()))
        finally:
            saved.unlink(missing_ok=True)


def save_with_card(
    model: keras.Model,
    path: Path,
    images: PreparedImages,
    training_data_digest: str,
    conditions: Conditions,
) -> Card:
    """Save the model and, beside it, what is needed to feed it and to know it again."""
    save_model(model, path)
    card = Card(
        digest=file_digest(path),
        class_names=images.class_names,
        form=images.form,
        network=model.name,
        num_weights=model.count_params(),
        training_data_digest=training_data_digest,
        decoder=DECODER,
        conditions=conditions,
    )
    write_card(path, card)
    return card


def load_model(path: Path) -> keras.Model:
    """Check the file against its card first (card.read_card). Raises ModelError."""
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: Keras cannot load it: {reason}; run `dvc repro` to make it again") from None


def predict_probabilities(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """uint8 (n, height, width, channels) to float32 (n, num_classes); rows sum to 1. One batch."""
    logits = _logits(model, SHARES if len(images) >= SHARES else 1)(tf.constant(images)).numpy()
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def predict_rows(model: keras.Model, images: PreparedImages, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The same for rows of the prepared images, read a batch at a time."""
    batch_size = batch_size_of(images.form.image_size)
    return np.concatenate(
        [
            predict_probabilities(model, images.pixels(rows[start : start + batch_size]))
            for start in range(0, len(rows), batch_size)
        ]
    )


def batch_size_of(image_size: int) -> int:
    """To predict pictures of this size: fewer large ones, so that memory does not grow with them."""
    return max(1, min(BATCH_SIZE, BATCH_PIXELS // image_size**2))


@lru_cache(maxsize=2)
def _logits(model: keras.Model, num_shares: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compiled for batches of any size; shares of it are worked on side by side (see trainer.py)."""

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)])
    def logits(images: tf.Tensor) -> tf.Tensor:
        length = tf.shape(images)[0] // num_shares
        shares = [images[number * length : (number + 1) * length] for number in range(num_shares - 1)]
        shares.append(images[(num_shares - 1) * length :])  # with what is left over
        return tf.concat([model(share, training=False) for share in shares], axis=0)

    return logits


def _canonical(saved: bytes) -> bytes:
    """The same Keras file without what changes from one process to the next: the date, in the file and in
    the zip's entries, and the memory addresses that tell shared objects apart."""
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
    """1, 2, … in order of appearance, in place of addresses."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(numbers.setdefault(match[2], len(numbers) + 1)).encode(),
        config,
    )
