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
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.files import write_json, write_table
from pawline.params import ImageForm

SHARD_BYTES = 16 * 2**20  # what a batch of `prepare` keeps in memory, a few times over


class Concatenation:
    """Memory-mapped arrays of one type, read as if they were one; nothing is in memory until asked for."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The rows in the order given."""
        first = self._arrays[0]
        out = np.empty((len(rows), *first.shape[1:]), first.dtype)
        array_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(array_of):
            chosen = array_of == number
            out[chosen] = self._arrays[number][rows[chosen] - self._starts[number]]
        return out


class PreparedImages:
    """The prepared folder, opened for reading."""

    def __init__(self, folder: Path) -> None:
        description = json.loads((folder / "prepared.json").read_text())
        self.class_names: list[str] = description.pop("class_names")
        self.form = ImageForm(**description)
        self.table = pd.read_parquet(folder / "table.parquet")
        self.hashes: NDArray[np.uint64] = np.load(folder / "hashes.npy", mmap_mode="r")
        self._shards = Concatenation(
            [np.load(path, mmap_mode="r") for path in sorted(folder.glob("images-*.npy"))]
        )

    def __len__(self) -> int:
        return len(self.table)

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (len(rows), image_size, image_size, channels), in the order of `rows`."""
        return self._shards.read(rows)

    def rows_of(self, paths: pd.Series) -> NDArray[np.int64]:
        """The rows of images by path, in the order given."""
        return pd.Index(self.table["path"]).get_indexer(paths).astype(np.int64)


def shard_size(form: ImageForm) -> int:
    """How many images a full shard holds."""
    return max(64, SHARD_BYTES // (form.image_size**2 * form.num_channels))


class ShardWriter:
    """Writes a shard while the next one is decoded. No more than one waits: `write` ends with the one before."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._num_shards = folder, 0
        self._pool = ThreadPoolExecutor(1)
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._finish()

    def write(self, pixels: NDArray[np.uint8]) -> None:
        self._finish()
        self._under_way = self._pool.submit(write_shard, self._folder, self._num_shards, pixels)
        self._num_shards += 1

    def _finish(self) -> None:
        if self._under_way:
            self._under_way.result()  # raises what writing raised: a full disk


def write_shard(folder: Path, number: int, pixels: NDArray[np.uint8]) -> None:
    np.save(folder / f"images-{number:05}.npy", pixels, allow_pickle=False)


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
