"""A cache of decoded images by content: an image is decoded only once, not again in every run of a stage.

DVC caches whole stages: after one new picture, it runs `prepare` on all pictures. This cache works below that level,
outside of DVC's outputs. It cannot change a result: an entry equals the result of decoding the same bytes.

    <folder>/<form and decoder>/<SHA-256 of the pack>.npy      one record, see `new_pack`

A pack is written whole, under its own digest, and never changed, so many processes may read and add packs at once.
A pack that does not match its name is deleted, and its images are decoded again. Deleting the folder only costs time.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from pawline.files import delete_abandoned, file_digest
from pawline.params.prepare import ImageForm
from pawline.pictures import decode
from pawline.pictures.decode import DECODER
from pawline.pictures.duplicates import HASH, NUM_HASHES
from pawline.prepared import Concatenation, drop_pages

PARTIAL = ".partial"

Pack = NDArray[Any]  # a record of shape (), see `new_pack`


def new_pack(form: ImageForm, num_images: int) -> Pack:
    """An empty record with the fields `digest` S32 (num_images,), `hashes` uint64 (num_images, NUM_HASHES) and
    `pixels` uint8 (num_images, image_size, image_size, channels)."""
    pixels = (num_images, form.image_size, form.image_size, form.num_channels)
    fields = [
        ("digest", "S32", (num_images,)),
        ("hashes", "<u8", (num_images, NUM_HASHES)),
        ("pixels", "u1", pixels),
    ]
    return np.zeros((), np.dtype(fields))


class DecodedCache:
    """The cached packs of one image form and decoder. `len` is the number of images."""

    def __init__(self, folder: Path, form: ImageForm) -> None:
        # The decoder's own code too: an edit there may change pixels, or refuse what was accepted.
        code = file_digest(Path(decode.__file__))
        key = hashlib.sha256(f"{form.model_dump_json()} {HASH} {DECODER} {code}".encode()).hexdigest()
        self._folder = folder / key[:16]
        self._packs = _open_packs(self._folder)
        digests = np.concatenate([np.empty(0, "S32"), *(pack["digest"] for pack in self._packs)])
        self._order = np.argsort(digests, kind="stable")
        self._digests = digests[self._order]

    def __len__(self) -> int:
        return len(self._digests)

    def find(self, digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """int64 (n,): the row of each image in the cache, -1 for a missing image. digests: S32 (n,)."""
        if not len(self._digests):
            return np.full(len(digests), -1)
        place = np.minimum(np.searchsorted(self._digests, digests), len(self._digests) - 1)
        return np.where(self._digests[place] == digests, self._order[place], -1)

    def field(self, name: str, last_pack: Pack) -> Concatenation:
        """The `hashes` or `pixels` of all cached packs, followed by the rows of `last_pack`."""
        return Concatenation([pack[name] for pack in (*self._packs, last_pack)])

    def drop_pages(self) -> None:
        """Drop the pages read so far; see `prepared.drop_pages`."""
        drop_pages(self._packs)

    def add(self, pack: Pack) -> None:
        """Save a pack for later runs; this object does not read it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # A random name, not the process id: containers that share the folder may have equal ids.
        partial = self._folder / f"{uuid4().hex}{PARTIAL}"
        try:
            with partial.open("wb") as file:
                np.save(file, pack, allow_pickle=False)
            partial.replace(self._folder / f"{file_digest(partial)}.npy")
        finally:
            partial.unlink(missing_ok=True)

    @staticmethod
    def evict(folder: Path, limit_bytes: float) -> None:
        """Delete the least recently opened packs of all forms until the rest fits into `limit_bytes`; also delete the
        partial files of killed processes."""
        files = [(stat, path) for path in folder.glob("*/*") if (stat := _stat(path))]
        delete_abandoned(path for _, path in files if path.suffix == PARTIAL)
        packs = [(stat, path) for stat, path in files if path.suffix == ".npy"]
        total = sum(stat.st_size for stat, _ in packs)
        for stat, path in sorted(packs, key=lambda pack: pack[0].st_mtime):
            if total <= limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _stat(path: Path) -> os.stat_result | None:
    """The status of a file; None where another process has deleted the file."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _open_packs(folder: Path) -> list[Pack]:
    """The undamaged packs, each marked as used now. A pack that does not match its name is deleted."""
    with ThreadPoolExecutor(2) as pool:
        packs = pool.map(_open_pack, sorted(folder.glob("*.npy")))
        return [pack for pack in packs if pack is not None]


def _open_pack(path: Path) -> Pack | None:
    try:
        if file_digest(path) == path.stem:
            os.utime(path)
            pack: Pack = np.load(path, mmap_mode="r")
            return pack
        path.unlink()
    except FileNotFoundError:
        pass  # another process evicted the pack
    return None
