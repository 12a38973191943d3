"""The index: one row for each file of a class."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pawline.files import ROWS_AT_A_TIME, whole_file

# `animated`: the file has more frames or pages than the first, and only the first is used;
# `class_name`: the class after the decisions of people; `given_class`: the class that the source gives;
# `given_part`: train, val or test where the source was already split, else empty;
# `given_group`: the patient, video or the like whose pictures stay together, where a table names it, else empty;
# `problem`: why the file could not be read; empty for a file that could.
COLUMNS = {
    "path": "str",
    "class_name": "str",
    "digest": "str",
    "bytes": "int64",
    "format": "str",
    "width": "int32",
    "height": "int32",
    "animated": "bool",
    "given_part": "str",
    "given_group": "str",
    "given_class": "str",
    "problem": "str",
}

SCHEMA = pa.schema([(name, pa.string() if kind == "str" else kind) for name, kind in COLUMNS.items()])


class IndexRow(NamedTuple):
    """One file. `format` is empty and the size is 0 x 0 where the header cannot be used."""

    path: str
    class_name: str
    digest: bytes  # empty where the file could not be read
    bytes: int
    format: str
    width: int
    height: int
    animated: bool
    given_part: str
    given_group: str
    given_class: str
    problem: str


class IndexRows:
    """The index while rows are added. A row takes about 200 bytes, a sixth of a tuple's memory."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._digests = bytearray()  # 32 bytes each
        self._num_bytes = array("q")
        self._sides = {"width": array("i"), "height": array("i")}
        self._animated = bytearray()
        # These columns repeat a few texts, so a row needs only a reference to each text.
        self._texts: dict[str, list[str]] = {
            name: [] for name in ("class_name", "format", "given_part", "given_group", "given_class", "problem")
        }

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, row: IndexRow) -> None:
        self._paths.append(row.path)
        self._digests += row.digest or bytes(32)
        self._num_bytes.append(row.bytes)
        for name, sides in self._sides.items():
            sides.append(getattr(row, name))
        self._animated.append(row.animated)
        for name, texts in self._texts.items():
            texts.append(intern(getattr(row, name)))

    def texts(self, name: str) -> list[str]:
        """A column of repeated texts, such as `class_name` or `problem`, in the order in which rows were added."""
        return self._texts[name]

    @property
    def num_bytes(self) -> int:
        return sum(self._num_bytes)

    def table(self) -> pd.DataFrame:
        """All rows, sorted by path, so that the order in which the source was listed has no effect."""
        table: pd.DataFrame = pd.concat([chunk.to_pandas() for chunk in self._chunks()], ignore_index=True)
        return table.astype(COLUMNS)

    def write(self, path: Path) -> None:
        """Write the table as Parquet, one row group at a time."""
        with whole_file(path) as partial, pq.ParquetWriter(partial, SCHEMA) as writer:
            for chunk in self._chunks():
                writer.write_table(chunk)

    def _chunks(self) -> Iterator[pa.Table]:
        order = np.argsort(np.array(self._paths, object))
        for start in range(0, max(len(order), 1), ROWS_AT_A_TIME):
            yield self._rows(order[start : start + ROWS_AT_A_TIME].tolist())

    def _rows(self, rows: list[int]) -> pa.Table:
        columns: dict[str, Sequence[Any]] = {
            "path": self._paths,
            "bytes": self._num_bytes,
            **self._sides,
            **self._texts,
        }
        chunk: dict[str, list[Any]] = {name: [column[row] for row in rows] for name, column in columns.items()}
        chunk["animated"] = [bool(self._animated[row]) for row in rows]
        chunk["digest"] = [self._digest(row) for row in rows]
        return pa.table(chunk, schema=SCHEMA)

    def _digest(self, row: int) -> str:
        return "" if self._texts["problem"][row] else self._digests[32 * row : 32 * row + 32].hex()


def digest_bytes(digests: pd.Series) -> NDArray[np.bytes_]:
    """S32 (n,): hex digests as bytes, a quarter of the memory of text; "" (a file that could not be read) as zeros."""
    starts = range(0, len(digests), 1000)  # lists are fast but take four times the memory, hence chunks
    chunks = (digests.iloc[start : start + 1000].tolist() for start in starts)
    return np.fromiter((bytes.fromhex(digest) for chunk in chunks for digest in chunk), "S32", len(digests))


def class_names(index: pd.DataFrame) -> list[str]:
    """The sorted class names; a label is a position in this list."""
    return sorted(index["class_name"].unique())
