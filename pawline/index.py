"""The index: one row per file found under the class folders."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from sys import intern
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pawline.files import ROWS_AT_A_TIME, whole_file

# `animated` tells that more frames or pages follow the first, which is the one that is taken;
# `given_part` is train, val or test where the source came ready-split, else empty;
# `problem` says why the bytes could not be had, and is empty for every file that could be read.
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
    "problem": "str",
}

SCHEMA = pa.schema([(name, pa.string() if kind == "str" else kind) for name, kind in COLUMNS.items()])

# Written by file managers, not by people: neither images nor errors.
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}


class Row(NamedTuple):
    """`format` is empty and the size 0 x 0 where the header says nothing usable."""

    path: str
    class_name: str
    digest: bytes  # empty where the bytes could not be had
    bytes: int
    format: str
    width: int
    height: int
    animated: bool
    given_part: str
    problem: str


class IndexRows:
    """The index while it grows: about 200 bytes a row, a sixth of what a tuple takes."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._digests = bytearray()  # 32 bytes each
        self._num_bytes = array("q")
        self._sides = {"width": array("i"), "height": array("i")}
        self._animated = bytearray()
        # Few different texts, so that a row costs a reference to each.
        self._words: dict[str, list[str]] = {
            name: [] for name in ("class_name", "format", "given_part", "problem")
        }

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, row: Row) -> None:
        self._paths.append(row.path)
        self._digests += row.digest or bytes(32)
        self._num_bytes.append(row.bytes)
        for name, sides in self._sides.items():
            sides.append(getattr(row, name))
        self._animated.append(row.animated)
        for name, words in self._words.items():
            words.append(intern(getattr(row, name)))

    def words(self, name: str) -> list[str]:
        """One of the columns of few different texts, in the order of adding."""
        return self._words[name]

    @property
    def num_bytes(self) -> int:
        return sum(self._num_bytes)

    def table(self) -> pd.DataFrame:
        """All rows, by path: the order of listing never shows."""
        return pd.concat([part.to_pandas() for part in self._parts()], ignore_index=True).astype(COLUMNS)

    def write(self, path: Path) -> None:
        """As Parquet, one row group at a time."""
        with whole_file(path) as partial, pq.ParquetWriter(partial, SCHEMA) as writer:
            for part in self._parts():
                writer.write_table(part)

    def _parts(self) -> Iterator[pa.Table]:
        order = np.argsort(np.array(self._paths, object))
        for start in range(0, max(len(order), 1), ROWS_AT_A_TIME):
            yield self._rows(order[start : start + ROWS_AT_A_TIME].tolist())

    def _rows(self, chosen: list[int]) -> pa.Table:
        columns: dict[str, Sequence[Any]] = {
            "path": self._paths,
            "bytes": self._num_bytes,
            **self._sides,
            **self._words,
        }
        picked: dict[str, list[Any]] = {name: [column[row] for row in chosen] for name, column in columns.items()}
        picked["animated"] = [bool(self._animated[row]) for row in chosen]
        picked["digest"] = [self._digest(row) for row in chosen]
        return pa.table(picked, schema=SCHEMA)

    def _digest(self, row: int) -> str:
        return "" if self._words["problem"][row] else self._digests[32 * row : 32 * row + 32].hex()


def digest_bytes(digests: pd.Series) -> NDArray[np.bytes_]:
    """Hex digests as S32, a quarter of what they take as text; "" (a file that could not be read) as zeros."""
    starts = range(0, len(digests), 1000)  # fast as lists, which take four times as much
    lists = (digests.iloc[start : start + 1000].tolist() for start in starts)
    return np.fromiter((bytes.fromhex(digest) for few in lists for digest in few), "S32", len(digests))


def is_litter(path: PurePath) -> bool:
    """Whether a path inside a source is left alone: hidden files and folders, and file managers' litter."""
    return any(is_litter_name(part) for part in path.parts)


def is_litter_name(part: str) -> bool:
    return part.startswith(".") or part.lower() in LITTER


def class_names(index: pd.DataFrame) -> list[str]:
    """Sorted; a label is a position in this list."""
    return sorted(index["class_name"].unique())
