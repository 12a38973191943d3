"""From pictures to class names: the same decoder as in training, driven by the model's own card."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pawline.card import read_card
from pawline.errors import DatasetError
from pawline.files import read_regular_file
from pawline.images import BadImage, decode_image
from pawline.index import is_litter

BATCH = 256

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


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
        self.card = read_card(
            model_file, card_file
        )  # before TensorFlow's seconds, and before its bytes are parsed
        from pawline.model import load_model, predict_probabilities

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
        """The same for files of any number; a few hundred are in memory at a time."""
        batch: list[Path] = []
        for path in paths:
            batch.append(path)
            if len(batch) == BATCH:
                yield from zip(batch, self.predict([_read(path) for path in batch]), strict=True)
                batch = []
        yield from zip(batch, self.predict([_read(path) for path in batch]), strict=True)

    def _decode(self, picture: bytes | BadImage) -> Pixels | BadImage:
        if isinstance(picture, BadImage):
            return picture
        try:
            return decode_image(picture, **self.card.form.model_dump())
        except BadImage as bad:
            return bad

    def _name(self, probabilities: np.ndarray[Any, np.dtype[np.float32]]) -> Prediction:
        names = self.card.class_names
        by_name = {name: round(float(p), 6) for name, p in zip(names, probabilities, strict=True)}
        return Prediction(names[int(probabilities.argmax())], by_name)


def find_pictures(path: Path) -> list[Path]:
    """The file itself, or every file below a folder that is not hidden and no file manager's litter."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and not is_litter(file.relative_to(path)))
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder; give the pictures to predict")
    return [path]


def _read(path: Path) -> bytes | BadImage:
    try:
        return read_regular_file(path)
    except OSError as error:
        return BadImage("unreadable", error.strerror or str(error))
