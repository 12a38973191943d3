"""Files that appear whole or not at all: written beside, flushed, then renamed."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

ROWS_AT_A_TIME = 10_000  # of a table in memory a second time while it is written


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the place of `path` only when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: an empty one to fill, renamed to `path` (replacing it) on success."""
    partial = path.with_name(path.name + ".partial")
    old = path.with_name(path.name + ".old.partial")
    for left_by_a_killed_process in (partial, old):
        shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            path.rename(old)  # removing takes time, in which a kill would leave half of it
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any) -> None:
    """Sorted keys and no NaN, so that equal values make equal bytes that every reader accepts."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Parquet or CSV, by the name's ending; the row index is not kept."""
    with whole_file(path) as partial:
        if path.suffix == ".parquet":
            table.to_parquet(partial, index=False, row_group_size=ROWS_AT_A_TIME)
        else:
            table.to_csv(partial, index=False, lineterminator="\n")


def file_digest(path: Path) -> str:
    """SHA-256 of the content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_regular_file(path: Path, max_bytes: int | None = None) -> bytes:
    """The bytes of a regular file. Raises OSError for anything else (a FIFO would block for ever), and for
    one that is larger than `max_bytes`."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("not a regular file")
        if max_bytes is not None and os.fstat(file).st_size > max_bytes:
            raise OSError(f"larger than {max_bytes // 2**20} MB")
        return stream.read()
