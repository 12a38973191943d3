"""A CSV or Parquet table of `path,label` as a source: the table lists the pictures and their classes."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pawline.errors import DatasetError
from pawline.files import is_litter_name
from pawline.sources.folders import read_below
from pawline.sources.listing import (
    CONTROL_CHARACTER,
    MAX_NAME_BYTES,
    Listing,
    first_repeated,
    leads_out,
    plain_path,
)

SUFFIXES = (".csv", ".parquet")
COLUMNS = ("path", "label")

# For a table with one of these names, the source may be its folder; DVC then watches the pictures too.
NAMES_IN_FOLDERS = ("labels.csv", "labels.parquet")


def find_table(folder: Path) -> Path | None:
    """The table of `path,label` directly in a folder, or None."""
    tables = (folder / name for name in NAMES_IN_FOLDERS)
    return next((table for table in tables if table.is_file() and not _missing_columns(table)), None)


def list_table(table: Path) -> Listing:
    """The files that a table lists, as `<label>/<path>`. Raises DatasetError."""
    if missing := _missing_columns(table):
        present = ", ".join(f"'{name}'" for name in _columns(table)) or "none"
        raise DatasetError(f"{table}: no column '{missing[0]}'; expected 'path' and 'label', found {present}")
    paths = [_class_path(table, row, path, label) for row, (path, label) in enumerate(_rows(table), start=1)]
    if repeated := first_repeated(paths):
        label, path = repeated[0].split("/", 1)
        raise DatasetError(f"{table}: lists '{path}' as '{label}' twice; leave one of the rows out")

    def path_of(position: int) -> str:
        return paths[position].split("/", 1)[1]

    return Listing(paths, partial(read_below, table.parent, path_of), has_classes=True)


def _class_path(table: Path, row: int, path: str, label: str) -> str:
    """`<label>/<path>` of a row. Raises DatasetError where the path or the label cannot be used."""
    where = f"{table}: row {row}"
    if not plain_path(path):
        raise DatasetError(f"{where}: the path is empty")
    if CONTROL_CHARACTER.search(path):
        raise DatasetError(f"{where}: path {path!r} has a control character, as no picture's name does")
    if leads_out(path):
        raise DatasetError(
            f"{where}: path {path!r} leads out of the table's folder; write a path relative to that folder"
        )
    if not label:
        raise DatasetError(f"{where}: {path!r} has no label; add a label, or leave the row out")
    if not _can_name_a_folder(label):
        raise DatasetError(f"{where}: label {label!r} cannot be a class name, since no folder can have that name")
    return f"{label}/{plain_path(path)}"


def _can_name_a_folder(label: str) -> bool:
    fits = len(label.encode(errors="replace")) <= MAX_NAME_BYTES
    return fits and not is_litter_name(label) and not CONTROL_CHARACTER.search(label) and not {*"/\\"} & {*label}


def _missing_columns(table: Path) -> list[str]:
    columns = _columns(table)
    return [name for name in COLUMNS if name not in columns]


def _columns(table: Path) -> list[str]:
    with _read_errors_named(table):
        if _is_parquet(table):
            return list(pq.read_schema(table).names)
        with table.open(newline="", encoding="utf-8-sig") as file:
            return [name.strip() for name in next(csv.reader(file), [])]


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    """Yield (path, label) of every row; a missing value is an empty string."""
    with _read_errors_named(table):
        for path, label in _parquet_rows(table) if _is_parquet(table) else _csv_rows(table):
            yield _text(path), _text(label).strip()


def _csv_rows(table: Path) -> Iterator[tuple[Any, Any]]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        for row in reader:
            yield row["path"], row["label"]


def _parquet_rows(table: Path) -> Iterator[tuple[Any, Any]]:
    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(batch_size=10_000, columns=list(COLUMNS)):
            yield from zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _is_parquet(table: Path) -> bool:
    return table.suffix.lower() == ".parquet"


@contextmanager
def _read_errors_named(table: Path) -> Iterator[None]:
    """Turn errors of the readers into a DatasetError with the name of the table."""
    try:
        yield
    except UnicodeDecodeError:
        raise DatasetError(f"{table}: not UTF-8; save it as CSV in UTF-8") from None
    except (csv.Error, pa.ArrowException, OSError) as error:
        raise DatasetError(f"{table}: cannot be read as a table: {error}") from None
