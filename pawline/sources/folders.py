"""A folder on this machine as a source: read in place, never changed."""

import os
import stat
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.files import is_litter_name, read_regular_file
from pawline.sources.listing import MAX_FILE_BYTES, Listing, Read


def list_folder(folder: Path) -> Listing:
    """List every visible file below `folder`. Raises DatasetError where a folder cannot be listed.

    Linked folders are not entered, since links may form a circle.
    """
    paths: list[str] = []
    linked_folders: set[str] = set()
    passed_over: set[str] = set()
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in _scan(folder, prefix):
            path = prefix + entry.name
            if is_litter_name(entry.name):
                if entry.is_dir(follow_symlinks=False):
                    passed_over.add(entry.name)
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{path}/")
                continue
            paths.append(path)
            if entry.is_symlink() and Path(entry.path).is_dir():
                linked_folders.add(path)
    return Listing(
        paths,
        partial(read_below, folder, paths.__getitem__),
        linked_folders=frozenset(linked_folders),
        passed_over=frozenset(passed_over),
    )


def _scan(folder: Path, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder / prefix) as entries:
            return list(entries)
    except OSError as error:  # skipping the folder silently would make the data set smaller unnoticed
        raise DatasetError(f"{error.filename}: the folder cannot be listed: {error.strerror}") from None


def read_below(
    folder: Path, path_of: Callable[[int], str], wanted: NDArray[np.bool_]
) -> Iterator[tuple[int, Read]]:
    """The `reads` of a listing whose files are below `folder`. `path_of` gives the path for a position."""
    fence = _Fence(folder)
    for position in map(int, np.flatnonzero(wanted)):
        yield position, partial(fence.read, path_of(position))


class _Fence:
    """Reads regular files below a folder and follows no link that leads out of it."""

    def __init__(self, folder: Path) -> None:
        self._root = os.path.realpath(folder)
        self._real_folder = lru_cache(maxsize=1000)(os.path.realpath)  # resolve once per folder, not per file

    def read(self, path: str) -> bytes:
        folder, name = os.path.split(f"{self._root}/{path}")
        real = Path(self._check_inside(self._real_folder(folder)), name)
        kind = real.lstat().st_mode
        is_link = stat.S_ISLNK(kind)
        if is_link:
            real = Path(self._check_inside(os.path.realpath(real)))
            kind = real.stat().st_mode
        if stat.S_ISDIR(kind):
            raise OSError("a linked folder, which is not entered" if is_link else "a folder, not a file")
        return read_regular_file(real, MAX_FILE_BYTES)

    def _check_inside(self, real: str) -> str:
        if not f"{real}/".startswith(f"{self._root.rstrip('/')}/"):
            raise OSError("a link out of the source")
        return real
