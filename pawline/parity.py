"""Parity: whether every way to ask a model gives the answers of Keras, which trained it.

The stage `export` keeps Keras's answers (keras_answers.py); the stage `check` asks in every other way and compares.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import BusyError
from pawline.judging.predictions import probabilities_of
from pawline.keras_answers import AWKWARD, BOUND, TEST
from pawline.pictures.awkward import awkward_pictures
from pawline.predict import Prediction

NUM_NAMED = 3  # pictures in a message

Answer = Prediction | None


@dataclass(frozen=True)
class Asked:
    """Pictures that each way is asked: names for messages, files, and what Keras answered, (n, num_classes).

    num_test: how many are test pictures, which come first; skipped: awkward forms that are not asked, and why."""

    names: list[str]
    files: list[Path]
    expected: NDArray[np.float64]
    class_names: list[str]
    num_test: int
    skipped: dict[str, str]

    @property
    def test(self) -> "Asked":
        """The test pictures alone."""
        count = self.num_test
        return replace(self, names=self.names[:count], files=self.files[:count], expected=self.expected[:count])


@contextmanager
def asked_pictures(answers: pd.DataFrame, raw: Path, class_names: list[str]) -> Iterator[Asked]:
    """The pictures of a table of keras_answers.py, as files while the block runs.

    raw: the folder of the test pictures."""
    test = answers[answers["part"] == TEST]
    awkward = answers[answers["part"] == AWKWARD]
    drawn, kept = awkward_pictures(), []
    skipped: dict[str, str] = {}
    with TemporaryDirectory(prefix="pawline-check-") as folder:
        files = [raw / path for path in test["picture"]]
        for number, (name, digest, reason) in enumerate(
            zip(awkward["picture"], awkward["digest"], awkward["skipped"], strict=True)
        ):
            data = drawn.get(name, "this version draws none")
            if isinstance(reason, str) or isinstance(data, str):
                skipped[name] = reason if isinstance(reason, str) else str(data)
            elif hashlib.sha256(data).hexdigest() != digest:
                skipped[name] = "Pillow or OpenCV writes other bytes here than where the model was exported"
            else:
                files.append(Path(folder, f"awkward-{number}"))
                files[-1].write_bytes(data)
                kept.append(number)
        table = pd.concat([test, awkward.iloc[kept]])
        expected = probabilities_of(table, class_names)
        yield Asked(list(table["picture"]), files, expected, class_names, len(test), skipped)


@dataclass(frozen=True)
class Way:
    """A way to ask the model, and the pictures to which it gives another answer than Keras."""

    name: str
    num_test: int
    num_awkward: int
    differing: list[str]

    @property
    def passed(self) -> bool:
        return not self.differing

    def __str__(self) -> str:
        count = self.num_test + self.num_awkward
        shown = ", ".join(self.differing[:NUM_NAMED])
        return (
            f"{self.name} answers {len(self.differing)} of {count} pictures otherwise than Keras, such as {shown}; "
            f"expected each probability within {BOUND:g}"
        )


def compare(name: str, asked: Asked, answers: Iterable[Answer]) -> Way:
    """Compare the answers of a way, in order, with those of Keras. An answer that is missing differs."""
    differing = [
        picture
        for picture, expected, answer in zip_longest(asked.names, asked.expected, answers)
        if expected is None or answer is None or not _agrees(answer, expected, asked.class_names)
    ]
    return Way(name, asked.num_test, len(asked.names) - asked.num_test, [str(picture) for picture in differing])


def _agrees(answer: Prediction, expected: NDArray[np.float64], class_names: list[str]) -> bool:
    """Whether each probability is within BOUND, and the class is the same unless the two likeliest are so close that
    the bound allows either."""
    given = answer.probabilities or {}
    found = np.array([given.get(name, np.nan) for name in class_names])
    if given.keys() != {*class_names} or not (np.abs(found - expected) <= BOUND).all():
        return False
    second, first = np.sort(expected)[-2:] if len(expected) > 1 else (0.0, 1.0)
    return first - second <= 2 * BOUND or answer.label == class_names[int(expected.argmax())]


def summarize(asked: Asked, num_test: int, ways: list[Way]) -> dict[str, Any]:
    """What metrics/check.json says of parity. num_test: of the whole test part."""
    return {
        "bound": BOUND,
        "num_test_images": num_test,
        "num_asked": asked.num_test,
        "num_awkward": len(asked.names) - asked.num_test,
        "skipped": asked.skipped,
        "ways": {way.name: way.passed for way in ways},
    }


def answers_of_table(predictions: pd.DataFrame, asked: Asked) -> Iterator[Answer]:
    """What reports/predictions.csv says of the test pictures."""
    found = probabilities_of(predictions, asked.class_names).tolist()
    rows = {
        path: Prediction(label, dict(zip(asked.class_names, row, strict=True)))
        for path, label, row in zip(predictions["path"], predictions["predicted"], found, strict=True)
    }
    return map(rows.get, asked.names)


def answers_over_http(address: str, asked: Asked) -> Iterator[Answer]:
    """Ask a service for one picture after the other. Raises BusyError where it does not answer at all."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=120)
    try:
        for file in asked.files:
            connection.request("POST", "/predict", file.read_bytes(), {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            content = json.loads(response.read())
            [found] = content.get("predictions", [{"error": content.get("error")}])
            yield Prediction(found.get("label"), found.get("probabilities"), found.get("error"))
    except (ConnectionError, TimeoutError, HTTPException, ValueError) as error:
        raise BusyError(f"{address}: the service does not answer: {error!r}; try again") from None
    finally:
        connection.close()
