"""The queue of pictures worth a label, `label_queue.csv`; and the way of labelled ones into a folder per class.

A decision about a picture that the data does not hold yet says only what it shows. To learn from the picture, it has to
lie in the source of the data: a copy of it goes there, into the folder of its class, with its digest as the name.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pawline.errors import DatasetError, ParamsError
from pawline.files import read_regular_file, write_bytes
from pawline.relabel import NO_CLASS, Decision

QUEUE_COLUMNS = ("digest", "path", "suggested", "probability", "distance", "why")
NEEDED = ("digest", "path", "suggested", "probability", "why")
NAME_DIGITS = 16  # of the digest, as the name of a copy


@dataclass(frozen=True)
class Queued:
    """A row of the queue. path: as the command that wrote the queue was given it; suggested, probability: the model's
    answer; why: in words."""

    digest: str
    path: str
    suggested: str
    probability: float
    why: str


def read_queue(file: Path) -> list[Queued]:
    """Read the queue; rows may have been deleted or put into another order. Raises DatasetError in one line."""
    expected = f"expected CSV with the columns {','.join(QUEUE_COLUMNS)}, as `pawline drift` writes it"
    try:
        reader = csv.DictReader(io.StringIO(read_regular_file(file).decode("utf-8-sig"), newline=""))
        if missing := [name for name in NEEDED if name not in (reader.fieldnames or [])]:
            raise DatasetError(f"{file}: no column {missing[0]}; {expected}")
        return [_queued(row, f"{file}: line {reader.line_num}", expected) for row in reader]
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror or error}; {expected}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: {error}; {expected}") from None


def _queued(row: Mapping[str | None, str | None], place: str, expected: str) -> Queued:
    values = {name: row.get(name) or "" for name in NEEDED}
    try:
        probability = float(values["probability"])
    except ValueError:
        raise DatasetError(
            f"{place}: probability is {values['probability']!r}, expected a number; {expected}"
        ) from None
    return Queued(values["digest"], values["path"], values["suggested"], probability, values["why"])


def is_queue(file: Path) -> bool:
    """Whether a file begins as a queue does."""
    try:
        return read_regular_file(file).startswith(",".join(QUEUE_COLUMNS).encode())
    except OSError:
        return False


def refuse_foreign(file: Path) -> None:
    """Raise ParamsError where a queue would replace a file that is no queue."""
    if file.exists() and not is_queue(file):
        raise ParamsError(f"{file}: is not a queue of Pawline's and is not overwritten; name another file")


@dataclass(frozen=True)
class Added:
    """How many pictures were copied, by class, and how many lay there before."""

    num_by_class: Counter[str]
    num_known: int


def add_pictures(decisions: Sequence[Decision], folder: Path) -> Added:
    """Copy the pictures that decisions name into one folder per class below `folder`; those of no class are left out.

    Nothing is overwritten. Raises DatasetError, before anything is copied, where a picture is gone or has other bytes
    than the decision is about."""
    named = {one.digest: one for one in decisions if one.label != NO_CLASS}
    targets = {digest: _target(one, folder) for digest, one in named.items()}
    for one in named.values():
        _content(one)
    added: Counter[str] = Counter()
    for digest, one in named.items():
        if not targets[digest].exists():
            write_bytes(targets[digest], _content(one))
            added[one.label] += 1
    return Added(added, len(named) - added.total())


def _target(one: Decision, folder: Path) -> Path:
    if one.label in (".", "..") or "/" in one.label or "\\" in one.label:
        raise DatasetError(
            f"{one.label!r}: no name for a folder, so {one.path} cannot be put into one; do it by hand"
        )
    return folder / one.label / f"{one.digest[:NAME_DIGITS]}{Path(one.path).suffix.lower()}"


def _content(one: Decision) -> bytes:
    expected = "expected the picture that was decided about; get it back, or delete its line from the decisions"
    try:
        content = read_regular_file(Path(one.path))
    except OSError as error:
        raise DatasetError(f"{one.path}: {error.strerror or error}; {expected}") from None
    if hashlib.sha256(content).hexdigest() != one.digest:
        raise DatasetError(f"{one.path}: its bytes have changed since the page was made; {expected}")
    return content
