"""What people decided about labels: `data/relabel.csv`, which `ingest` reads and `pawline relabel` extends.

A decision belongs to the bytes of a picture, not to its name: it holds for every copy, and after a rename. The source
itself is never changed.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pawline.errors import DatasetError
from pawline.files import read_regular_file, write_text
from pawline.index import IndexRow
from pawline.terminal import listed
from pawline.words import plural

COLUMNS = ("digest", "path", "label", "who", "when")
NEEDED = ("digest", "label")
NO_CLASS = "(none)"  # as a label: the picture shows none of the classes and is left out
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Decision:
    """label: the class that the picture shows, or NO_CLASS. path, who, when: for readers."""

    digest: str
    path: str
    label: str
    who: str
    when: str


def read_decisions(file: Path) -> list[Decision]:
    """Read a file of decisions: CSV in UTF-8 with the columns `digest` and `label`; `path`, `who` and `when` may be
    missing. Raises DatasetError, a line that names the file and the line in it."""
    expected = (
        f"expected CSV in UTF-8 with the columns {','.join(COLUMNS)}, as the page of `pawline suspects` makes it"
    )
    try:
        text = read_regular_file(file, MAX_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if missing := [name for name in NEEDED if name not in (reader.fieldnames or [])]:
            raise DatasetError(f"{file}: no column {' and no column '.join(missing)}; {expected}")
        decisions = [_decision(row, f"{file}: line {reader.line_num}") for row in reader]
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror or error}; {expected}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: {error}; {expected}") from None
    _refuse_contradictions(decisions, file)
    return decisions


def kept_decisions(file: Path) -> list[Decision]:
    """The decisions of data/relabel.csv; none where there is no such file. Raises DatasetError."""
    return read_decisions(file) if file.exists() else []


def _decision(row: Mapping[str | None, str | list[str] | None], place: str) -> Decision:
    if None in row or None in row.values():
        raise DatasetError(
            f"{place}: not as many values as the header has columns; quote values that hold a comma"
        )
    values = {name: str(row.get(name) or "").strip() for name in COLUMNS}
    if not re.fullmatch("[0-9a-fA-F]{64}", values["digest"]):
        raise DatasetError(f"{place}: digest is {values['digest']!r}, expected the 64 hex digits of a SHA-256")
    if not values["label"]:
        raise DatasetError(f"{place}: no label; expected a class, or {NO_CLASS} for a picture of none of them")
    return Decision(**values | {"digest": values["digest"].lower()})


def _refuse_contradictions(decisions: Sequence[Decision], file: Path) -> None:
    labels: dict[str, str] = {}
    for one in decisions:
        if labels.setdefault(one.digest, one.label) != one.label:
            raise DatasetError(
                f"{file}: {one.path or one.digest} is decided twice, as {labels[one.digest]} and as {one.label}; "
                "keep one of the lines"
            )


def refuse_unknown_classes(decisions: Sequence[Decision], class_names: Sequence[str], file: Path) -> None:
    """Raise DatasetError where a label is neither a class of the data nor NO_CLASS."""
    known = {*class_names, NO_CLASS}
    if unknown := sorted({one.label for one in decisions} - known):
        raise DatasetError(
            f"{file}: label {', '.join(map(repr, unknown))} is no class of the data; expected "
            f"{listed(class_names, 10)}, or {NO_CLASS}"
        )


@dataclass(frozen=True)
class Merged:
    """The decisions after a merge, sorted by path and digest, and how many of the file were new, changed, known."""

    decisions: list[Decision]
    num_new: int
    num_changed: int
    num_known: int


def merge(old: Sequence[Decision], new: Sequence[Decision]) -> Merged:
    """Add new decisions to the old ones; the newer decision about the same picture counts."""
    before = {one.digest: one for one in old}
    after = {one.digest: one for one in new}
    known = {digest for digest, one in after.items() if digest in before and before[digest].label == one.label}
    num_changed = len(after.keys() & before.keys()) - len(known)
    merged = before | {digest: one for digest, one in after.items() if digest not in known}
    ordered = sorted(merged.values(), key=lambda one: (one.path, one.digest))
    return Merged(ordered, len(after) - num_changed - len(known), num_changed, len(known))


def write_decisions(file: Path, decisions: Sequence[Decision]) -> None:
    """Write the file whole or not at all; equal decisions make equal bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(one, name) for name in COLUMNS] for one in decisions)
    write_text(file, text.getvalue())


class Relabelling:
    """Applies decisions to the rows of the index while they are made, and counts.

    class_names: those of the source, as the index writes them."""

    def __init__(self, decisions: Sequence[Decision], class_names: set[str]) -> None:
        self._labels = {bytes.fromhex(one.digest): one.label for one in decisions}
        self._class_names = class_names
        self._seen: set[bytes] = set()
        self.num_relabelled, self.num_removed = 0, 0

    @property
    def num_unmatched(self) -> int:
        """The number of decisions about pictures that the source does not hold."""
        return len(self._labels) - len(self._seen)

    def apply(self, row: IndexRow) -> IndexRow | None:
        """The row with the label that was decided, or None for a picture that shows none of the classes."""
        label = self._labels.get(row.digest)
        if label is None:
            return row
        self._seen.add(row.digest)
        if label in self._class_names:
            self.num_relabelled += label != row.class_name
            return row._replace(class_name=label)
        if label != NO_CLASS:
            raise DatasetError(
                f"data/relabel.csv: {row.path} shall be {label!r}, which is no class of the source; expected one of "
                f"{listed(sorted(self._class_names), 10)}, or {NO_CLASS}"
            )
        self.num_removed += 1
        return None

    def lines(self) -> list[str]:
        """What was done, for people; nothing without decisions."""
        if not self._labels:
            return []
        done = f"{plural(self.num_relabelled, 'label')} changed, {plural(self.num_removed, 'picture')} left out"
        line = f"ingest: data/relabel.csv: {plural(len(self._labels), 'decision')}: {done}"
        if self.num_unmatched:
            line += f"; {plural(self.num_unmatched, 'decision')} about pictures that this source does not hold"
        return [line]
