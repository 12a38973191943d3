"""A store of features by content: a frozen network looks at each picture once, not again in every training.

    <folder>/<network and machine>/<SHA-256 of the pack>.npy      one record, see `_new_pack`

Pictures are computed in batches of one size, the last one filled up with black, and the features of a picture do not
depend on the others of its batch (tests/test_frozen.py). So a set that grew in steps gives the bytes of one computed at
once. A pack is written whole, under its own digest, and never changed; one that does not match its name is deleted and
computed again. Deleting the folder only costs time.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pawline.files import delete_abandoned, file_digest, modified
from pawline.prepared import Concatenation
from pawline.terminal import say

BATCH_SIZE = 32
PACK_SIZE = 1024  # pictures, at most: what a kill costs
KEPT_FOLDERS = 4  # of networks and machines; the ones used last

Features = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Pack = NDArray[Any]


class FeatureStore:
    """The features of one network. compute: uint8 (BATCH_SIZE, height, width, channels) to float32 (BATCH_SIZE, d).

    folder: of all networks; None keeps nothing. key: a digest of all that the features depend on besides pixels."""

    def __init__(self, compute: Callable[[Pixels], Features], folder: Path | None, key: str) -> None:
        self._compute = compute
        self._folder = folder / key[:16] if folder else None
        self._packs: list[Pack] = []
        if folder and self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another training has just made room
                os.utime(self._folder)
            _delete_unused(folder)
            delete_abandoned(self._folder.glob("*.partial"))
            self._packs = [
                pack for path in sorted(self._folder.glob("*.npy")) if (pack := _open(path)) is not None
            ]
        self.num_computed = self.num_known = 0

    def features(self, read: Callable[[NDArray[np.int64]], Pixels], count: int) -> Features:
        """The features of `count` pictures, float32 (count, d), computed where they are not known.

        read: gives the pixels of these positions, int64 (n,)."""
        digests = np.concatenate(
            [np.empty(0, "S32"), *(_digests(read(rows)) for rows in _ranges(count, BATCH_SIZE))]
        )
        missing = self._first_of_each_missing(digests)
        self.num_computed += len(missing)
        self.num_known += count - len(missing)
        with tqdm(desc="features", total=len(missing), unit=" pictures", disable=None) as bar:
            for positions in _ranges(len(missing), PACK_SIZE):
                self._add(digests[missing[positions]], self._computed(read, missing[positions], bar))
        return self._known().read(self._rows(digests))

    def _first_of_each_missing(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Positions of the pictures to compute; equal pixels are computed once."""
        unknown = np.flatnonzero(self._rows(digests) < 0)
        _, first = np.unique(digests[unknown], return_index=True)
        return np.asarray(unknown[np.sort(first)], np.int64)

    def _computed(
        self, read: Callable[[NDArray[np.int64]], Pixels], rows: NDArray[np.int64], bar: "tqdm[Any]"
    ) -> Features:
        batches = []
        for positions in _ranges(len(rows), BATCH_SIZE):
            pixels = read(rows[positions])
            batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), np.uint8)
            batch[: len(pixels)] = pixels
            batches.append(self._compute(batch)[: len(pixels)])
            bar.update(len(pixels))
        return np.concatenate(batches)

    def _add(self, digests: NDArray[np.bytes_], features: Features) -> None:
        pack = _new_pack(*features.shape)
        pack["digest"], pack["features"] = digests, features
        self._packs.append(pack)
        if self._folder:
            # A random name, not the process id: containers that share the folder may have equal ids.
            partial = self._folder / f"{uuid4().hex}.partial"
            try:
                self._folder.mkdir(parents=True, exist_ok=True)  # another training may have made room
                content = _bytes_of(pack)
                partial.write_bytes(content)
                partial.replace(self._folder / f"{hashlib.sha256(content).hexdigest()}.npy")
            except OSError as error:  # such as a full disk
                say(f"warning: {self._folder}: features are not kept: {error.strerror or error}")
                self._folder = None
            finally:
                partial.unlink(missing_ok=True)

    def _known(self) -> Concatenation:
        return Concatenation([pack["features"] for pack in self._packs])

    def _rows(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """The row of each picture in `_known`, -1 for one that is missing: int64 (n,)."""
        known = np.concatenate([np.empty(0, "S32"), *(pack["digest"] for pack in self._packs)])
        if not len(known):
            return np.full(len(digests), -1)
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known[order], digests), len(known) - 1)
        return np.where(known[order][place] == digests, order[place], -1)


def _new_pack(count: int, width: int) -> Pack:
    return np.zeros((), np.dtype([("digest", "S32", (count,)), ("features", "<f4", (count, width))]))


def _bytes_of(pack: Pack) -> bytes:
    """The content of the pack's file. NumPy itself would report a full disk without a reason: "512 requested and 0
    written"."""
    content = io.BytesIO()
    np.save(content, pack, allow_pickle=False)
    return content.getvalue()


def _digests(pixels: Pixels) -> NDArray[np.bytes_]:
    """Half of the SHA-256 of each picture's pixels, in hex: 128 bits."""
    return np.array([hashlib.sha256(picture.tobytes()).hexdigest()[:32] for picture in pixels], "S32")


def _ranges(count: int, length: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, length):
        yield np.arange(start, min(start + length, count))


def _open(path: Path) -> Pack | None:
    try:
        if file_digest(path) == path.stem:
            pack: Pack = np.load(path, mmap_mode="r", allow_pickle=False)
            return pack
        say(f"warning: {path}: damaged: its features are computed again")
        path.unlink()
    except FileNotFoundError:
        pass  # another process made room
    return None


def _delete_unused(folder: Path) -> None:
    folders = sorted((path for path in folder.iterdir() if path.is_dir()), key=modified)
    for old in folders[:-KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
