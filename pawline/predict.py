"""Predict class names for pictures: the model's card sets the decoder, so it works exactly as in training."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.errors import DatasetError, ModelError, ParamsError
from pawline.files import is_litter, read_regular_file
from pawline.pictures.decode import MAX_MEGAPIXELS, BadImage, Pixels, decode_image
from pawline.runtime.maps import Heat, map_kind, picture_map
from pawline.runtime.model import RuntimeModel
from pawline.runtime.reference import Reference
from pawline.side_by_side import side_by_side
from pawline.sources.file_kinds import is_no_picture, is_other_name
from pawline.sources.listing import MAX_FILE_BYTES

MAX_BYTES = MAX_FILE_BYTES  # of a picture's file: a film among the pictures must not fill the memory
STANDARD_INPUT = Path("-")  # holds one picture; a file with the name "-" is given as ./-


@dataclass(frozen=True)
class Prediction:
    """`label` is the name of the likeliest class, `probabilities` gives the probability of every class by name,
    `unsure` says that the label's is below the card's threshold. `distance` is how far the picture is from those that
    the model learned from, see runtime/reference.py; above 1 it is `unlike` them. Both are None where the model does
    not know them. `appearance` is measured by pictures/appearance.py. A picture that cannot be read has an `error`,
    which gives the reason, and None for the rest."""

    label: str | None
    probabilities: dict[str, float] | None
    error: str | None = None
    unsure: bool | None = None
    unlike: bool | None = None
    distance: float | None = None
    appearance: dict[str, float] | None = None

    def likeliest(self, count: int | None = None) -> dict[str, float]:
        """The probabilities of the `count` likeliest classes, the largest first; of equal ones the first class first.
        None: of all classes, in the order of the card."""
        probabilities = self.probabilities or {}
        if count is None:
            return probabilities
        ranked = sorted(probabilities.items(), key=lambda item: -item[1])
        return dict(ranked[:count])


@dataclass(frozen=True)
class Seen:
    """A picture as the network sees it, uint8 (side, side, channels), and where it speaks for the predicted class: see
    runtime/maps.py."""

    pixels: Pixels
    kind: str
    heat: Heat


class Predictor:
    """A model with its decoder. Raises ModelError for a missing or damaged file, or a card of another model."""

    def __init__(self, model_file: Path, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        """max_megapixels: larger pictures are unreadable, as are those that the card's form refuses."""
        self.file = model_file.resolve()
        self._model = RuntimeModel(model_file)
        self.card, self.reference = self._model.card, self._model.reference
        allowed = min(max_megapixels, self.card.form.get("max_megapixels", MAX_MEGAPIXELS))
        self._form = {**self.card.form, "max_megapixels": allowed}

    def predict(self, pictures: Iterable[bytes | BadImage]) -> Iterator[Prediction]:
        """Yield one prediction per picture, in order; a picture is the bytes of an image file. Pictures are taken a few
        at a time, so their number does not change the memory needed."""
        return side_by_side(self.predict_batch, pictures, self._model.batch_size)

    def predict_files(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Prediction]]:
        """Yield (path, prediction) for each file, in order. In memory are a few decoded pictures, and the bytes of one
        file per processor."""
        return side_by_side(self._predict_paths, paths, self._model.batch_size)

    def predict_with_map(self, picture: bytes) -> tuple[Prediction, "Seen | None"]:
        """Predict one picture, the bytes of an image file. Returns (prediction, what it rests on); None for the latter
        if the picture cannot be read."""
        pixels = self._decode(picture)
        if isinstance(pixels, BadImage):
            return Prediction(None, None, str(pixels)), None
        [prediction] = self._predictions([pixels])
        heat = picture_map(self._model, pixels, self.card.class_names.index(prediction.label or ""))
        return prediction, Seen(pixels, map_kind(self._model), heat)

    def reference_or_refuse(self) -> Reference:
        """What the model knows of its training data. Raises ModelError where it knows nothing."""
        if self.reference is None:
            raise ModelError(
                "the model's export.json does not describe its training data (too few pictures, or an old export)"
            )
        return self.reference

    @property
    def batch_size(self) -> int:
        """Number of pictures to hand to `predict_batch` at once."""
        return self._model.batch_size

    def try_out(self, file: Path) -> None:
        """Answer for a gray picture, with its map. Raises ModelError, which names `file`, if the engine cannot."""
        form = self.card.form
        gray = np.full((form["image_size"], form["image_size"], 3 if form["color"] == "rgb" else 1), 128, np.uint8)
        try:
            self._model.probabilities(gray[np.newaxis])
            picture_map(self._model, gray, 0)
        except Exception as error:  # the engine has a dozen types of errors without a common base
            raise ModelError(f"{file}: the engine cannot run it: {str(error).splitlines()[0]}") from None

    def _predict_paths(self, paths: list[Path]) -> list[tuple[Path, Prediction]]:
        return list(zip(paths, self.predict_batch(_read(path) for path in paths), strict=True))

    def predict_batch(self, pictures: Iterable[bytes | BadImage]) -> list[Prediction]:
        """Predict pictures on this thread, all in memory at once: one prediction per picture, in order."""
        decoded = [self._decode(picture) for picture in pictures]
        good = [pixels for pixels in decoded if not isinstance(pixels, BadImage)]
        predictions = iter(self._predictions(good))
        return [
            Prediction(None, None, str(pixels)) if isinstance(pixels, BadImage) else next(predictions)
            for pixels in decoded
        ]

    def _decode(self, picture: bytes | BadImage) -> Pixels | BadImage:
        if isinstance(picture, BadImage):
            return picture
        try:
            return decode_image(picture, **self._form)
        except BadImage as bad:
            return self._in_own_words(bad)

    def _in_own_words(self, bad: BadImage) -> BadImage:
        """A new error: the traceback of the raised one holds the picture's bytes, and stays until they are collected.

        The decoder's words on size name a param of the stage that prepares pictures."""
        if bad.reason != "too_large":
            return BadImage(bad.reason, bad.detail)
        size, allowed = bad.detail.partition(", ")[0], self._form["max_megapixels"]
        return BadImage(
            bad.reason, f"{size}, more than {allowed:g} megapixels take too much memory: make it smaller"
        )

    def _predictions(self, pictures: list[Pixels]) -> list[Prediction]:
        if not pictures:
            return []
        probabilities, distances, appearances = self._model.answers(np.stack(pictures))
        known = [None] * len(pictures) if distances is None else distances.tolist()
        return list(map(self._prediction, probabilities, known, appearances))

    def _prediction(
        self, probabilities: NDArray[np.float32], distance: float | None, appearance: dict[str, float]
    ) -> Prediction:
        names, likeliest = self.card.class_names, int(probabilities.argmax())
        return Prediction(
            names[likeliest],
            {name: round(float(p), 6) for name, p in zip(names, probabilities, strict=True)},
            unsure=bool(probabilities[likeliest] < self.card.unsure_below),
            unlike=None if distance is None else distance > 1,
            distance=None if distance is None else round(distance, 4),
            appearance=appearance,
        )


def find_pictures(pattern: str, passed_over: list[Path] | None = None) -> list[Path]:
    """The files that an argument of `predict` means: a file, the visible files of a folder, or the matches of a pattern
    such as `more/*.jpg` or `more/**/*.jpg`, which may be folders too. Raises ParamsError where there is nothing of that
    name, DatasetError for folders without a file.

    passed_over: receives the files of a folder that are no pictures by name and content, such as sidecars.
    """
    path = Path(pattern)
    if path == STANDARD_INPUT or os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises for a long name
        return [path]
    matches: list[Path] = []
    if os.path.isdir(path):  # noqa: PTH112
        files = _files_below(path, passed_over)
    else:
        matches = [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - any path
        files = [
            file for match in matches for file in (_files_below(match, passed_over) if match.is_dir() else [match])
        ]
    if not files and not matches and not os.path.lexists(path):
        found = "matches no file" if escape(pattern) != pattern else "no such file or folder"
        raise ParamsError(f"{pattern}: {found}; give the pictures to predict")
    if not files and (matches or os.path.isdir(path)):  # noqa: PTH112
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
    return read_picture(path)


def read_picture(path: Path) -> bytes | BadImage:
    """The bytes of a picture's file, or the reason why they cannot be read."""
    try:
        return read_regular_file(path, MAX_BYTES)
    except OSError as error:
        return BadImage("unreadable", error.strerror or str(error))
