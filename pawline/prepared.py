"""Prepared images: uint8 pixels in a few .npy files, with a table that has one row per image.

    data/prepared/
    ├── prepared.json      class_names, the decoder, and the form of all pictures
    ├── table.parquet      path, digest, class_name, label, given_part, given_group
    ├── hashes.npy         uint64 (num_images, NUM_HASHES): hashes that find near-duplicates
    └── images-00000.npy … uint8 (n, image_size, image_size, channels), n as large as SHARD_BYTES allows;
                           the row of the table is the position in the concatenation of all shards

DVC handles a few large files much faster than one file per image, and a memory map of them opens at once.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from itertools import pairwise
from mmap import MADV_DONTNEED
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import ModelError
from pawline.files import write_json, write_table
from pawline.params.prepare import ImageForm
from pawline.pictures.shrink import shrink

SHARD_BYTES = 16 * 2**20  # `prepare` holds a few shards in memory at once


class Concatenation:
    """Reads arrays of one dtype like a single array; memory-mapped rows are loaded only when they are read."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self._arrays = arrays
        self._starts = np.cumsum([0, *map(len, arrays)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def runs(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Yield views of the rows in the given order; consecutive rows of an array form one view.

        rows: int64 (n,).
        """
        breaks = 1 + np.flatnonzero((np.diff(rows) != 1) | np.isin(rows[1:], self._starts))
        for begin, end in pairwise([0, *breaks.tolist(), len(rows)]):
            if begin < end:
                number = int(np.searchsorted(self._starts, rows[begin], side="right")) - 1
                place = int(rows[begin] - self._starts[number])
                yield self._arrays[number][place : place + end - begin]

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """A copy of the rows in the given order, (len(rows), ...)."""
        return np.concatenate([self._arrays[0][:0], *self.runs(rows)])


def drop_pages(mapped: Sequence[NDArray[Any]]) -> None:
    """Drop the pages read so far: they stay in the system's cache but stop counting as our memory."""
    for array in mapped:
        array.base.madvise(MADV_DONTNEED)  # type: ignore[union-attr]  # a memory map's base is the mmap


class PreparedImages:
    """The prepared folder, opened for reading.

    table: one row per image; hashes: uint64 (num_images, NUM_HASHES); form: the form of all pictures.
    """

    def __init__(self, folder: Path) -> None:
        description = json.loads((folder / "prepared.json").read_text())
        self.class_names: list[str] = description.pop("class_names")
        self.decoder: str = description.pop("decoder")
        self.form = ImageForm(**description)
        self.table = pd.read_parquet(folder / "table.parquet")
        self.hashes: NDArray[np.uint64] = np.load(folder / "hashes.npy", mmap_mode="r")
        self._shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("images-*.npy"))]
        self._pixels = Concatenation(self._shards)

    def __len__(self) -> int:
        return len(self.table)

    def seen_as(self, form: ImageForm) -> Self:
        """The same pictures as a network sees them that was trained on them: `form` stands on its card.

        Raises ModelError where the pictures were prepared in another form."""
        seen = copy(self)
        seen.form = self.form.shrunk_to(form.image_size)
        if seen.form != form:
            raise ModelError(
                f"the model expects pictures {_words(form)}, but they are prepared {_words(self.form)}"
            )
        return seen

    def shrunk_to(self, side: int) -> Self:
        """The same pictures with another side, in pixels."""
        return self.seen_as(self.form.shrunk_to(side))

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (len(rows), image_size, image_size, channels), in the order of `rows`."""
        pixels = self._pixels.read(rows)
        if self.form.shrunk_from is None:
            return pixels
        side = self.form.image_size
        shrunk = np.empty((len(rows), side, side, pixels.shape[3]), np.uint8)
        for number, picture in enumerate(pixels):
            shrunk[number] = shrink(picture, side)
        return shrunk

    def drop_pages(self) -> None:
        """Drop the pages of the pixels read so far; see the function `drop_pages`."""
        drop_pages(self._shards)

    def rows_of(self, paths: pd.Series) -> NDArray[np.int64]:
        """int64 (len(paths),): the row of each path, -1 for a path that is not in the table."""
        return np.asarray(pd.Index(self.table["path"]).get_indexer(paths), np.int64)


def _words(form: ImageForm) -> str:
    return " ".join(f"{key}={value}" for key, value in form.model_dump().items())


def shard_size(form: ImageForm) -> int:
    """The number of images in a full shard."""
    return max(64, SHARD_BYTES // (form.image_size**2 * form.num_channels))


class ShardWriter:
    """Writes shards while the next ones are decoded. At most two are written at a time: a third waits in `write`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._num_shards = folder, 0
        self._pool = ThreadPoolExecutor(2)
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._wait_until(0)

    def write(self, images: Concatenation, rows: NDArray[np.int64]) -> None:
        """Write these rows of the images as the next shard. The arrays must not change afterwards. rows: int64 (n,)."""
        self._wait_until(1)
        self._pending.append(self._pool.submit(write_shard, self._folder, self._num_shards, images, rows=rows))
        self._num_shards += 1

    def _wait_until(self, num_pending: int) -> None:
        while len(self._pending) > num_pending:
            self._pending.popleft().result()  # raises the error of the write, such as a full disk


def write_shard(folder: Path, number: int, images: Concatenation, rows: NDArray[np.int64]) -> None:
    """Write the same bytes as np.save, but directly from the given rows, since np.save needs a copy of all of them."""
    with (folder / f"images-{number:05}.npy").open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(images.read(rows[:0]))
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (len(rows), *header["shape"][1:])})
        for run in images.runs(rows):
            file.write(run.data)


def write_description(
    folder: Path,
    table: pd.DataFrame,
    hashes: NDArray[np.uint64],
    class_names: list[str],
    decoder: str,
    form: ImageForm,
) -> None:
    write_table(folder / "table.parquet", table)
    np.save(folder / "hashes.npy", hashes, allow_pickle=False)
    write_json(folder / "prepared.json", {"class_names": class_names, "decoder": decoder, **form.model_dump()})
