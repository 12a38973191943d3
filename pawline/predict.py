"""Predict class names for pictures: the model's card sets the decoder, so it works exactly as in training."""

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
from pawline.files import is_litter, read_regular_file
from pawline.pictures.decode import BadImage, Pixels, decode_image
from pawline.sources.file_kinds import is_no_picture, is_other_name
from pawline.sources.listing import MAX_FILE_BYTES

MAX_BYTES = MAX_FILE_BYTES  # of a picture's file: a film among the pictures must not fill the memory
STANDARD_INPUT = Path("-")  # holds one picture; a file with the name "-" is given as ./-


@dataclass(frozen=True)
class Prediction:
    """`label` is the name of the likeliest class, `probabilities` gives the probability of every class by name. Both
    are None for a picture that cannot be read; `error` then gives the reason."""

    label: str | None
    probabilities: dict[str, float] | None
    error: str | None = None


class Predictor:
    """A model with its card. Raises ModelError for a missing or damaged file, or a card of another model."""

    def __init__(self, model_file: Path, card_file: Path | None = None) -> None:
        # Check the card first: TensorFlow takes seconds to load, and an unknown model must not be parsed.
        self.card = read_card(model_file, card_file)
        from pawline.model.saved import batch_size_of, load_model, predict_probabilities

        self._batch_size = batch_size_of(self.card.form.image_size)
        self._model = load_model(model_file)
        self._probabilities = predict_probabilities

    def predict(self, pictures: Iterable[bytes | BadImage]) -> list[Prediction]:
        """One prediction per picture, in order; a picture is the bytes of an image file. Pictures are taken one by one
        and decoded in batches, so their number does not change the memory needed."""
        remaining, predictions = iter(pictures), []
        while decoded := [self._decode(picture) for picture in islice(remaining, self._batch_size)]:
            predictions += self._predict_batch(decoded)
        return predictions

    def _predict_batch(self, decoded: list[Pixels | BadImage]) -> list[Prediction]:
        good = [pixels for pixels in decoded if not isinstance(pixels, BadImage)]
        probabilities = iter(self._probabilities(self._model, np.stack(good))) if good else iter(())
        return [
            Prediction(None, None, str(pixels))
            if isinstance(pixels, BadImage)
            else self._prediction(next(probabilities))
            for pixels in decoded
        ]

    def predict_files(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Prediction]]:
        """Yield (path, prediction) for each file, in order. At most 256 decoded pictures are in memory, fewer large
        ones, and the bytes of one file."""
        remaining = iter(paths)
        while batch := list(islice(remaining, self._batch_size)):
            yield from zip(batch, self.predict(_read(path) for path in batch), strict=True)

    def _decode(self, picture: bytes | BadImage) -> Pixels | BadImage:
        if isinstance(picture, BadImage):
            return picture
        try:
            return decode_image(picture, **self.card.form.model_dump())
        except BadImage as bad:
            return bad

    def _prediction(self, probabilities: NDArray[np.float32]) -> Prediction:
        names = self.card.class_names
        by_name = {name: round(float(p), 6) for name, p in zip(names, probabilities, strict=True)}
        return Prediction(names[int(probabilities.argmax())], by_name)


def find_pictures(pattern: str, passed_over: list[Path] | None = None) -> list[Path]:
    """The files that an argument of `predict` means: a file, the visible files of a folder, or the matches of a pattern
    such as `more/*.jpg`. Raises DatasetError where no file is found.

    passed_over: receives the files of a folder that are no pictures by name and content, such as sidecars.
    """
    path = Path(pattern)
    if path == STANDARD_INPUT or path.is_file():
        return [path]
    files = _files_below(path, passed_over) if path.is_dir() else [Path(match) for match in sorted(glob(pattern))]  # noqa: PTH207 - any path
    if not files and not os.path.lexists(path):
        raise DatasetError(f"{pattern}: no such file or folder; give the pictures to predict")
    if not files and path.is_dir():
        raise DatasetError(f"{pattern}: holds no file to predict")
    return files or [path]  # a broken link or a FIFO: predicted as unreadable


def _files_below(folder: Path, passed_over: list[Path] | None) -> list[Path]:
    visible = (path for path in folder.rglob("*") if not is_litter(path.relative_to(folder)))
    files = sorted(path for path in visible if not path.is_dir())
    others = [] if passed_over is None else [path for path in files if _is_no_picture(path)]
    if passed_over is not None and len(others) < len(files):  # else there is something to say of each
        passed_over += others
        left_out = {*others}
        files = [path for path in files if path not in left_out]
    return files


def _is_no_picture(path: Path) -> bool:
    if not is_other_name(path.name) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return is_no_picture(path.name, file.read(4096))
    except OSError:
        return False


def _read(path: Path) -> bytes | BadImage:
    if path == STANDARD_INPUT:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
        return data if len(data) <= MAX_BYTES else BadImage("unreadable", f"larger than {MAX_BYTES // 2**20} MB")
    try:
        return read_regular_file(path, MAX_BYTES)
    except OSError as error:
        return BadImage("unreadable", error.strerror or str(error))
