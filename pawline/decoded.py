"""Decoded images, kept by content: an image is decoded once in its life, not once per run of a stage.

DVC's grain is the stage: one more picture, and it runs `prepare` on all of them. This cache lies below
that, outside of DVC's outputs, and decides nothing: an entry is what decoding the same bytes would give.

    <folder>/<form and decoder>/<SHA-256 of the pack>.npy      one record, see `new_pack`

A pack is written whole, under its own digest, and never changed, so any number of processes may read and add.
One that does not match its name is deleted and its images are decoded again. Deleting the folder costs
time only.
"""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pawline.duplicates import HASH, NUM_HASHES
from pawline.files import file_digest
from pawline.images import DECODER
from pawline.params import ImageForm
from pawline.shards import Concatenation, let_go

PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600  # since anybody wrote to a partial file: nobody will

Pack = NDArray[Any]  # of shape (), see `new_pack`


def new_pack(form: ImageForm, num: int) -> Pack:
    """Room for the digests of `num` files (S32), the perceptual hashes and the pixels of their images."""
    pixels = (form.image_size, form.image_size, form.num_channels)
    fields = [("digest", "S32", (num,)), ("hashes", "<u8", (num, NUM_HASHES)), ("pixels", "u1", (num, *pixels))]
    return np.zeros((), np.dtype(fields))


class DecodedCache:
    """The packs of one form."""

    def __init__(self, folder: Path, form: ImageForm) -> None:
        key = hashlib.sha256(f"{form.model_dump_json()} {HASH} {DECODER}".encode()).hexdigest()
        self._folder = folder / key[:16]
        self._packs = _open_packs(self._folder)
        digests = np.concatenate([np.empty(0, "S32"), *(pack["digest"] for pack in self._packs)])
        self._order = np.argsort(digests, kind="stable")
        self._digests = digests[self._order]

    def __len__(self) -> int:
        return len(self._digests)

    def find(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """int64 (n,): the row of each image in the cache, -1 for one that is not there."""
        if not len(self._digests):
            return np.full(len(digests), -1)
        place = np.minimum(np.searchsorted(self._digests, digests), len(self._digests) - 1)
        return np.where(self._digests[place] == digests, self._order[place], -1)

    def field(self, name: str, further: Pack) -> Concatenation:
        """The `hashes` or `pixels` of all packs, and then of one more."""
        return Concatenation([pack[name] for pack in (*self._packs, further)])

    def let_go(self) -> None:
        """Of what was read so far, see `shards.let_go`."""
        let_go(self._packs)

    def add(self, pack: Pack) -> None:
        """Keep one more pack for later runs; this object goes on seeing the old ones."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # Not by process id: containers that share the folder may have the same.
        partial = self._folder / f"{uuid4().hex}{PARTIAL}"
        try:
            with partial.open("wb") as file:
                np.save(file, pack, allow_pickle=False)
            partial.replace(self._folder / f"{file_digest(partial)}.npy")
        finally:
            partial.unlink(missing_ok=True)

    @staticmethod
    def evict(folder: Path, limit_bytes: float) -> None:
        """Delete the packs that were not opened for longest, of any form, until the rest fits; and what killed
        processes left half-written."""
        found = [(stat, path) for path in folder.glob("*/*") if (stat := _stat(path))]
        for stat, path in found:
            if path.suffix == PARTIAL and stat.st_mtime < time.time() - ABANDONED_SECONDS:
                path.unlink(missing_ok=True)
        packs = [(stat, path) for stat, path in found if path.suffix == ".npy"]
        total = sum(stat.st_size for stat, _ in packs)
        for stat, path in sorted(packs, key=lambda pack: pack[0].st_mtime):
            if total <= limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _stat(path: Path) -> os.stat_result | None:
    """None where another process deleted it meanwhile."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _open_packs(folder: Path) -> list[Pack]:
    """The sound packs, each marked as used now; what does not match its name is deleted."""
    with ThreadPoolExecutor(2) as pool:
        packs = pool.map(_open_pack, sorted(folder.glob("*.npy")))
        return [pack for pack in packs if pack is not None]


def _open_pack(path: Path) -> Pack | None:
    try:
        if file_digest(path) == path.stem:
            os.utime(path)
            return np.load(path, mmap_mode="r")
        path.unlink()
    except FileNotFoundError:
        pass  # another process evicted it meanwhile
    return None
