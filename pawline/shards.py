"""Prepared images: uint8 pixels packed into a few .npy files, with a table that has one row per image.

    data/prepared/
    ├── prepared.json      class_names, and how the pictures were brought to one form
    ├── table.parquet      path, digest, class_name, label, given_part
    ├── hashes.npy         uint64 (num_images, NUM_HASHES): what duplicates are found by
    └── images-00000.npy … uint8 (n, image_size, image_size, channels), n as large as SHARD_BYTES allows;
                           the row of the table is the position in the concatenation of all shards

A few files cost DVC much less than one per image, and a memory map of them costs next to nothing to open.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from mmap import MADV_DONTNEED
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.files import write_json, write_table
from pawline.params import ImageForm

SHARD_BYTES = 16 * 2**20  # what a batch of `prepare` keeps in memory, a few times over


class Concatenation:
    """Arrays of one type, read as if they were one; what is memory-mapped is not in memory until asked for."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def runs(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Views of the rows in the order given, neighbours together."""
        breaks = 1 + np.flatnonzero((np.diff(rows) != 1) | np.isin(rows[1:], self._starts))
        for begin, end in pairwise([0, *breaks.tolist(), len(rows)]):
            if begin < end:
                number = int(np.searchsorted(self._starts, rows[begin], side="right")) - 1
                place = int(rows[begin] - self._starts[number])
                yield self._arrays[number][place : place + end - begin]

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """A copy of the rows in the order given."""
        return np.concatenate([self._arrays[0][:0], *self.runs(rows)])


def let_go(mapped: Sequence[NDArray[Any]]) -> None:
    """Of the pages read so far: the system has them in its cache anyway, and they count as this process's."""
    for array in mapped:
        array.base.madvise(MADV_DONTNEED)  # type: ignore[union-attr]  # a memory map's base is the mmap


class PreparedImages:
    """The prepared folder, opened for reading."""

    def __init__(self, folder: Path) -> None:
        description = json.loads((folder / "prepared.json").read_text())
        self.class_names: list[str] = description.pop("class_names")
        self.form = ImageForm(**description)
        self.table = pd.read_parquet(folder / "table.parquet")
        self.hashes: NDArray[np.uint64] = np.load(folder / "hashes.npy", mmap_mode="r")
        self._shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("images-*.npy"))]
        self._pixels = Concatenation(self._shards)

    def __len__(self) -> int:
        return len(self.table)

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (len(rows), image_size, image_size, channels), in the order of `rows`."""
        return self._pixels.read(rows)

    def let_go(self) -> None:
        """Of the pixels that were read so far, see `let_go`."""
        let_go(self._shards)

    def rows_of(self, paths: pd.Series) -> NDArray[np.int64]:
        """The rows of images by path, in the order given."""
        return pd.Index(self.table["path"]).get_indexer(paths).astype(np.int64)


def shard_size(form: ImageForm) -> int:
    """How many images a full shard holds."""
    return max(64, SHARD_BYTES // (form.image_size**2 * form.num_channels))


class ShardWriter:
    """Writes shards while the next ones are decoded. Two are under way at most: a third waits in `write`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._num_shards = folder, 0
        self._pool = ThreadPoolExecutor(2)
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._finish(0)

    def write(self, images: Concatenation, rows: NDArray[np.int64]) -> None:
        """These rows of the images, which must not change any more."""
        self._finish(1)
        self._under_way.append(self._pool.submit(write_shard, self._folder, self._num_shards, images, rows=rows))
        self._num_shards += 1

    def _finish(self, all_but: int) -> None:
        while len(self._under_way) > all_but:
            self._under_way.popleft().result()  # raises what writing raised: a full disk


def write_shard(folder: Path, number: int, images: Concatenation, rows: NDArray[np.int64]) -> None:
    """What np.save would write, straight from where the pixels are: a copy of all would cost as much again."""
    with (folder / f"images-{number:05}.npy").open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(images.read(rows[:0]))
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (len(rows), *header["shape"][1:])})
        for run in images.runs(rows):
            file.write(run.data)


def write_description(
    folder: Path, table: pd.DataFrame, hashes: NDArray[np.uint64], class_names: list[str], form: ImageForm
) -> None:
    write_table(folder / "table.parquet", table)
    np.save(folder / "hashes.npy", hashes, allow_pickle=False)
    write_json(folder / "prepared.json", {"class_names": class_names, **form.model_dump()})


@dataclass(frozen=True)
class Part:
    """One part of the split: the images' paths, their rows among the prepared ones and their labels."""

    paths: list[str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, images: PreparedImages, split: pd.DataFrame) -> "Part":
        chosen = split[split["split"] == name]
        return cls(list(chosen["path"]), images.rows_of(chosen["path"]), chosen["label"].to_numpy(np.int64))

    def first(self, count: int) -> "Part":
        return Part(self.paths[:count], self.rows[:count], self.labels[:count])
