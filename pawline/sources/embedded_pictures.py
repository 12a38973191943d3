"""Pictures whose bytes stand in a Parquet table, as on the Hugging Face Hub: read from the table, a few at a time."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pawline.sources.listing import MAX_FILE_BYTES, TOO_LARGE, Read, plain_path
from pawline.sources.table_files import Table

NUM_AT_A_TIME = 32


def name_in_table(table_path: str, row: int, given: str) -> str:
    """The path of a picture that has no file: train-00000-of-00002/000012-cat.jpg; `given` may be empty."""
    name = plain_path(given).rsplit("/", 1)[-1]
    return f"{PurePosixPath(table_path).with_suffix('')}/{row:06}{'-' if name else ''}{name}"


def read_embedded(
    tables: Sequence[tuple[Table, NDArray[np.int64]]], wanted: NDArray[np.bool_]
) -> Iterator[tuple[int, Read]]:
    """The `reads` of a listing. tables: each with the position of every row in the listing, -1 for a row left out."""
    for table, positions in tables:
        with table.open() as file, pq.ParquetFile(file) as parquet:
            row = 0
            for batch in parquet.iter_batches(batch_size=NUM_AT_A_TIME, columns=[table.bytes_column]):
                for value in batch.column(0):
                    position, row = int(positions[row]), row + 1
                    if position >= 0 and wanted[position]:
                        yield position, partial(_read, _bytes_of(value.as_py()))


def _bytes_of(value: Any) -> bytes | None:
    return value.get("bytes") if isinstance(value, dict) else value


def _read(data: bytes | None) -> bytes:
    if data is None:
        _fail("the table has no bytes in this row")
    if len(data) > MAX_FILE_BYTES:
        _fail(TOO_LARGE)
    return data


def _fail(problem: str) -> NoReturn:
    raise OSError(problem)
