"""Prepared images: uint8 pixels packed into a few .npy files, with a table that has one row per image.

    data/prepared/
    ├── prepared.json      class_names, image_size, color, shard_size
    ├── table.parquet      path, digest, class_name, label, given_part, hash, mirrored_hash
    └── images-00000.npy … (shard_size, image_size, image_size, channels); the row of the table is the
                           position in the concatenation of all shards

A few files cost DVC much less than one per image, and a memory map of them costs next to nothing to open.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.files import write_json, write_table

SHARD_SIZE = 4096


def write_shards(folder: Path, images: Iterable[NDArray[np.uint8]], shard_size: int = SHARD_SIZE) -> None:
    """Write images as they come; at most one shard is in memory."""
    shard: list[NDArray[np.uint8]] = []
    number = 0
    for image in images:
        shard.append(image)
        if len(shard) == shard_size:
            _save(folder, number, shard)
            shard, number = [], number + 1
    if shard:
        _save(folder, number, shard)


def _save(folder: Path, number: int, shard: list[NDArray[np.uint8]]) -> None:
    np.save(folder / f"images-{number:05}.npy", np.stack(shard), allow_pickle=False)


def write_description(folder: Path, table: pd.DataFrame, description: dict[str, Any]) -> None:
    write_table(folder / "table.parquet", table)
    write_json(folder / "prepared.json", description)


class PreparedImages:
    """The prepared folder, opened for reading; pixels stay on disk until asked for."""

    def __init__(self, folder: Path) -> None:
        description = json.loads((folder / "prepared.json").read_text())
        self.class_names: list[str] = description["class_names"]
        self.image_size: int = description["image_size"]
        self.color: Literal["grayscale", "rgb"] = description["color"]
        self._shard_size: int = description["shard_size"]
        self.table = pd.read_parquet(folder / "table.parquet")
        self._shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("images-*.npy"))]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def num_channels(self) -> int:
        return 1 if self.color == "grayscale" else 3

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (len(rows), image_size, image_size, channels), in the order of `rows`."""
        out = np.empty((len(rows), self.image_size, self.image_size, self.num_channels), np.uint8)
        shard_of, within = np.divmod(rows, self._shard_size)
        for number in np.unique(shard_of):
            chosen = shard_of == number
            out[chosen] = self._shards[number][within[chosen]]
        return out

    def rows_of(self, paths: pd.Series) -> NDArray[np.int64]:
        """The rows of images by path, in the order given."""
        return pd.Index(self.table["path"]).get_indexer(paths).astype(np.int64)


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
