"""Ask a model about new pictures, and keep of each what tells it from others: its digest, its file, the answer."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pawline.pictures.appearance import file_shape
from pawline.pictures.decode import BadImage, read_header
from pawline.predict import Prediction, Predictor, read_picture
from pawline.side_by_side import side_by_side

# The bytes of a picture, or why they cannot be read.
Content = Callable[[], bytes | BadImage]


@dataclass(frozen=True)
class NewPicture:
    """digest: SHA-256 of the file, empty where it cannot be read. format, shape: of the file, see
    pictures/appearance.py; empty where the prediction has an error."""

    path: str
    digest: str
    format: str
    shape: dict[str, float]
    prediction: Prediction


def ask(predictor: Predictor, pictures: Iterable[tuple[str, Content]]) -> Iterator[NewPicture]:
    """Yield the answer for each picture, in order. pictures: the path as answers show it, and a way to read the bytes,
    which several threads call."""

    def work(named: list[tuple[str, Content]]) -> list[NewPicture]:
        contents = [content() for _, content in named]
        answers = predictor.predict_batch(contents)
        return [
            _picture(path, content, answer)
            for (path, _), content, answer in zip(named, contents, answers, strict=True)
        ]

    return side_by_side(work, pictures, predictor.batch_size)


def ask_files(predictor: Predictor, paths: Iterable[Path]) -> Iterator[NewPicture]:
    """Yield the answer for each file, in order, under its path as given."""
    return ask(predictor, ((str(path), partial(read_picture, path)) for path in paths))


def _picture(path: str, content: bytes | BadImage, prediction: Prediction) -> NewPicture:
    if isinstance(content, BadImage):
        return NewPicture(path, "", "", {}, prediction)
    digest = hashlib.sha256(content).hexdigest()
    if prediction.error is not None:
        return NewPicture(path, digest, "", {}, prediction)
    header = read_header(content)
    shape = file_shape(header.width, header.height, len(content))
    return NewPicture(
        path, digest, header.format, {name: float(value) for name, value in shape.items()}, prediction
    )
