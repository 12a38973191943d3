"""Read a table: CSV with any usual separator, JSON Lines or Parquet; from a file, or from bytes out of an archive."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pawline.errors import DatasetError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

# Excel writes semicolons where numbers have a decimal comma, in most of Europe. Of equals, the first is taken.
SEPARATORS = (",", ";", "\t", "|")

# Excel's "Unicode text" is UTF-16; other programs put this mark before UTF-8.
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Table:
    """A table by its columns and rows; every value is text, a missing value an empty one. Raises DatasetError.

    name: how messages call the table. content: its file, or its bytes.
    """

    def __init__(self, name: str, content: Path | bytes) -> None:
        self.name, self._content = name, content
        self.is_parquet = PurePath(name).suffix.lower() == ".parquet"
        self._is_json = PurePath(name).suffix.lower() in (".jsonl", ".ndjson")

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the bytes of the table. Errors of the readers become a DatasetError with the table's name."""
        try:
            with (
                self._content.open("rb") if isinstance(self._content, Path) else io.BytesIO(self._content) as file
            ):
                yield file
        except UnicodeError:
            raise DatasetError(f"{self.name}: not UTF-8; save it as CSV in UTF-8") from None
        except (csv.Error, json.JSONDecodeError, pa.ArrowException, OSError) as error:
            raise DatasetError(f"{self.name}: cannot be read as a table: {error}") from None

    @cached_property
    def columns(self) -> list[str]:
        if self.is_parquet:
            return list(self.schema.names)
        with self.open() as file:
            if self._is_json:
                return list(next(_objects(file), {}))
            return _header(_text_of(file))[0]

    @cached_property
    def schema(self) -> pa.Schema:
        with self.open() as file:
            return pq.read_schema(file)

    @cached_property
    def bytes_column(self) -> str:
        """The column that holds the pictures' bytes themselves, as bytes or as {bytes, path}; empty for none."""
        fields = list(self.schema) if self.is_parquet else []
        return next((field.name for field in fields if _is_bytes(field.type) or _holds_bytes(field.type)), "")

    @cached_property
    def _class_names(self) -> dict[str, list[str]]:
        """The names of labels that are numbers, where Hugging Face's metadata gives them."""
        about = json.loads((self.schema.metadata or {}).get(b"huggingface", b"{}"))
        features = about.get("info", {}).get("features", {})
        return {name: feature["names"] for name, feature in features.items() if _has_names(feature)}

    def rows(self, columns: Sequence[str]) -> Iterator[list[str]]:
        """Yield the values of these columns for every row."""
        with self.open() as file:
            if self._is_json:
                yield from ([_text(row.get(column)) for column in columns] for row in _objects(file))
            else:
                yield from self._parquet_rows(file, columns) if self.is_parquet else self._csv_rows(file, columns)

    def _csv_rows(self, file: BinaryIO, columns: Sequence[str]) -> Iterator[list[str]]:
        text = _text_of(file)
        names, separator = _header(text)
        positions = [names.index(column) for column in columns]
        rows = (row for row in csv.reader(text, delimiter=separator, skipinitialspace=True) if row)
        for number, row in enumerate(rows, start=1):
            if any(row[len(names) :]):
                raise DatasetError(
                    f"{self.name}: row {number} has {len(row)} fields and the first line {len(names)}; "
                    f"put quotes around a field with {separator!r} in it"
                )
            yield [row[position].strip() if position < len(row) else "" for position in positions]

    def _parquet_rows(self, file: BinaryIO, columns: Sequence[str]) -> Iterator[list[str]]:
        stored = [self._leaf(column) for column in columns]
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=10_000, columns=list(filter(None, stored))):
                values = [
                    self._named(column, batch.column(column).to_pylist()) if leaf else [""] * len(batch)
                    for column, leaf in zip(columns, stored, strict=True)
                ]
                yield from map(list, zip(*values, strict=True))

    def _leaf(self, column: str) -> str:
        """What to read of a column: of pictures only their paths, and nothing where there are only bytes."""
        if column != self.bytes_column:
            return column
        kind = self.schema.field(column).type
        return f"{column}.path" if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0 else ""

    def _named(self, column: str, values: list[Any]) -> list[str]:
        if column == self.bytes_column:
            return [_text((value or {}).get("path")) for value in values]
        if names := self._class_names.get(column):
            return [names[value] if _is_label(value, names) else "" for value in values]  # -1: kept secret
        return [_text(value) for value in values]


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_bytes(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    return _is_bytes(kind.field("bytes").type)


def _has_names(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and bool(feature.get("names"))


def _is_label(value: Any, names: list[str]) -> bool:
    return isinstance(value, int) and 0 <= value < len(names)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _objects(file: BinaryIO) -> Iterator[dict[str, Any]]:
    for line in filter(str.strip, _text_of(file)):
        value = json.loads(line)
        if not isinstance(value, dict):
            raise csv.Error(f"{line.strip()[:40]!r} is no JSON object")
        yield value


def _text_of(file: BinaryIO) -> io.TextIOWrapper:
    mark = file.read(2)
    file.seek(0)
    return io.TextIOWrapper(file, BYTE_ORDER_MARKS.get(mark, "utf-8-sig"), newline="")


def _header(text: io.TextIOWrapper) -> tuple[list[str], str]:
    """Read the first line: (the names of the columns, the separator)."""
    line = next(text, "")
    if line.lower().startswith("sep=") and len(line.strip()) == 5:  # Excel's own way to name the separator
        separator = line[4]
        return _names(next(text, ""), separator), separator
    while line.count('"') % 2 and (more := next(text, "")):  # a line break inside quotes
        line += more
    separator = max(SEPARATORS, key=lambda candidate: len(_names(line, candidate)))
    return _names(line, separator), separator


def _names(line: str, separator: str) -> list[str]:
    row = next(csv.reader(line.splitlines(keepends=True), delimiter=separator, skipinitialspace=True), [])
    names = [" ".join(name.split()) for name in row]
    while names and not names[-1]:  # separators at the end of every line
        names.pop()
    return names
