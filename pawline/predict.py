"""From pictures to class names: the same decoder as in training, driven by the model's own card."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.card import read_card
from pawline.errors import DatasetError
from pawline.files import read_regular_file
from pawline.images import BadImage, Pixels, decode_image
from pawline.index import is_litter

STANDARD_INPUT = Path("-")  # one picture; a file of that name is ./-


@dataclass(frozen=True)
class Prediction:
    """`label` is the name of the likeliest class, `probabilities` has every class by name; both None
    for a picture that cannot be read, and `error` then says why."""

    label: str | None
    probabilities: dict[str, float] | None
    error: str | None = None


class Predictor:
    """A model with its card. Raises ModelError when either is missing, damaged or not the other's."""

    def __init__(self, model_file: Path, card_file: Path | None = None) -> None:
        # Before TensorFlow's seconds, and before the model's bytes are parsed.
        self.card = read_card(model_file, card_file)
        from pawline.model import batch_size_of, load_model, predict_probabilities

        self._batch_size = batch_size_of(self.card.form.image_size)
        self._model = load_model(model_file)
        self._probabilities = predict_probabilities

    def predict(self, pictures: list[bytes | BadImage]) -> list[Prediction]:
        """One prediction per picture, in order; a picture is the bytes of an image file."""
        decoded = [self._decode(picture) for picture in pictures]
        good = [pixels for pixels in decoded if not isinstance(pixels, BadImage)]
        rows = iter(self._probabilities(self._model, np.stack(good))) if good else iter(())
        return [
            Prediction(None, None, str(pixels)) if isinstance(pixels, BadImage) else self._name(next(rows))
            for pixels in decoded
        ]

    def predict_files(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Prediction]]:
        """The same for files of any number; 256 at most are in memory at a time, fewer large ones."""
        remaining = iter(paths)
        while batch := list(islice(remaining, self._batch_size)):
            yield from zip(batch, self.predict([_read(path) for path in batch]), strict=True)

    def _decode(self, picture: bytes | BadImage) -> Pixels | BadImage:
        if isinstance(picture, BadImage):
            return picture
        try:
            return decode_image(picture, **self.card.form.model_dump())
        except BadImage as bad:
            return bad

    def _name(self, probabilities: NDArray[np.float32]) -> Prediction:
        names = self.card.class_names
        by_name = {name: round(float(p), 6) for name, p in zip(names, probabilities, strict=True)}
        return Prediction(names[int(probabilities.argmax())], by_name)


def find_pictures(named: str) -> list[Path]:
    """The file itself; every file below a folder that is not hidden and no file manager's litter; what a pattern
    such as `more/*.jpg` matches. Raises DatasetError where there is nothing."""
    path = Path(named)
    if path == STANDARD_INPUT or path.is_file():
        return [path]
    found = _below(path) if path.is_dir() else [Path(match) for match in sorted(glob(named))]  # noqa: PTH207 - any path
    if not found and not os.path.lexists(path):
        raise DatasetError(f"{named}: no such file or folder; give the pictures to predict")
    if not found and path.is_dir():
        raise DatasetError(f"{named}: holds no file to predict")
    return found or [path]  # a link to nothing, a FIFO: predicted as unreadable


def _below(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if not is_litter(path.relative_to(folder)))
    return sorted(path for path in found if not path.is_dir())


def _read(path: Path) -> bytes | BadImage:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return read_regular_file(path)
    except OSError as error:
        return BadImage("unreadable", error.strerror or str(error))
