"""What Keras, which trained the model, answers to the test pictures and to awkward ones; parity.py compares with it.

They are kept where Keras is loaded anyway: its import takes seconds.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.predictions import PROBABILITY
from pawline.params.prepare import ImageForm
from pawline.parts import Part
from pawline.pictures.awkward import awkward_pictures
from pawline.pictures.decode import BadImage, decode_image
from pawline.prepared import PreparedImages

BOUND = 1e-4  # the largest difference of a probability from Keras's that is taken for rounding
# Of more, those with the smallest digests are asked: a sample that new pictures do not move.
MAX_TEST_PICTURES = 5_000
TEST, AWKWARD = "test", "awkward"

Probabilities = NDArray[np.float32]


def answers_of(
    ask: Callable[[NDArray[np.uint8]], Probabilities],
    ask_rows: Callable[[NDArray[np.int64]], Probabilities],
    images: PreparedImages,
    split: pd.DataFrame,
) -> pd.DataFrame:
    """Ask about the test pictures and the awkward ones. Returns `part` (TEST or AWKWARD), `picture` (path, or form),
    `digest` of the file, `skipped` (why there is no answer) and `probability_<class>`.

    ask: takes a batch, uint8 (n, side, side, channels); ask_rows: takes rows of `images`, int64 (n,); both return
    float32 (n, num_classes). Labels play no part."""
    test = Part.of("test", images, split).head(MAX_TEST_PICTURES)
    digests = split.set_index("path")["digest"]
    rows = [(TEST, path, digests[path], None) for path in test.paths]
    answers = [ask_rows(test.rows)] if rows else []
    for name, data in awkward_pictures().items():
        pixels = _decoded(data, images.form)
        digest = hashlib.sha256(data).hexdigest() if isinstance(data, bytes) else None
        is_skipped = isinstance(pixels, str)
        rows.append((AWKWARD, name, digest, pixels if is_skipped else None))
        answers.append(np.full((1, len(images.class_names)), np.nan) if is_skipped else ask(pixels[np.newaxis]))
    names = [f"{PROBABILITY}{name}" for name in images.class_names]
    table = pd.DataFrame(rows, columns=["part", "picture", "digest", "skipped"])
    return pd.concat([table, pd.DataFrame(np.concatenate(answers).round(6), columns=names)], axis=1)


def awkward_pixels(form: ImageForm) -> NDArray[np.uint8]:
    """The awkward pictures that can be read here, decoded: uint8 (n, side, side, channels)."""
    decoded = [_decoded(data, form) for data in awkward_pictures().values()]
    return np.stack([pixels for pixels in decoded if not isinstance(pixels, str)])


def _decoded(data: bytes | str, form: ImageForm) -> Any:
    """Pixels, uint8 (side, side, channels); or why there are none."""
    if isinstance(data, str):
        return data
    try:
        return decode_image(data, **form.model_dump())
    except BadImage as bad:
        return f"the decoder here refuses it: {bad}"
