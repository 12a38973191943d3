"""A folder on this machine as a source: read in place, never changed."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.files import is_litter_name, read_regular_file
from pawline.sources.archive_rules import hidden_name
from pawline.sources.listing import LINK_OUT, LINKED_FOLDER, MAX_FILE_BYTES, Listing, Read


def list_folder(folder: Path, follow_links: bool = False) -> Listing:
    """List every visible file below `folder`. Raises DatasetError where a folder cannot be listed.

    Linked folders are entered with `follow_links` only, and never a folder inside itself.
    """
    paths: list[str] = []
    linked_folders: set[str] = set()
    passed_over: Counter[str] = Counter()
    folders: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        for entry in _scan(folder, prefix):
            path = prefix + entry.name
            if is_litter_name(entry.name):
                is_folder = entry.is_dir(follow_symlinks=False)
                passed_over[f"{entry.name}/" if is_folder else hidden_name(entry.name)] += 1
                continue
            if entry.is_dir(follow_symlinks=False) or (follow_links and _leads_on(folder / path, folder)):
                waiting.append(f"{path}/")
                folders.append(f"{path}/")
                continue
            paths.append(path)
            if entry.is_symlink() and Path(entry.path).is_dir():
                linked_folders.add(path)
    return Listing(
        paths,
        partial(read_below, folder, paths.__getitem__, follow_links=follow_links),
        linked_folders=frozenset(linked_folders),
        passed_over=passed_over,
        folders=folders,
    )


def _leads_on(path: Path, root: Path) -> bool:
    """Whether a link leads to a folder that does not contain the link itself, as in a circle."""
    if not path.is_symlink() or not path.is_dir():
        return False
    target = path.resolve()
    above = path.parent
    while True:
        if above.resolve() == target:
            return False
        if above == root:
            return True
        above = above.parent


def _scan(folder: Path, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder / prefix) as entries:
            return list(entries)
    except OSError as error:  # skipping the folder silently would make the data set smaller unnoticed
        raise DatasetError(f"{error.filename}: the folder cannot be listed: {error.strerror}") from None


def read_below(
    folder: Path, path_of: Callable[[int], str], wanted: NDArray[np.bool_], follow_links: bool = False
) -> Iterator[tuple[int, Read]]:
    """The `reads` of a listing whose files are below `folder`. `path_of` gives the path for a position."""
    fence = _Fence(folder, follow_links)
    for position in map(int, np.flatnonzero(wanted)):
        yield position, partial(fence.read, path_of(position))


class _Fence:
    """Reads regular files below a folder; follows links that lead out of it with `follow_links` only."""

    def __init__(self, folder: Path, follow_links: bool) -> None:
        self._follow_links = follow_links
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
            raise OSError(LINKED_FOLDER if is_link else "a folder, not a file")
        return read_regular_file(real, MAX_FILE_BYTES)

    def _check_inside(self, real: str) -> str:
        if not self._follow_links and not f"{real}/".startswith(f"{self._root.rstrip('/')}/"):
            raise OSError(LINK_OUT)
        return real
