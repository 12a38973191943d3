"""What every source is opened as: the paths of its files, and a way to their bytes.

A listing is the one thing that grows with the number of files, so it holds a string per file and no objects.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# A file is held in memory whole. The largest photographs are a few hundred megabytes; beyond is film.
MAX_FILE_BYTES = 512 * 2**20
TOO_LARGE = f"larger than {MAX_FILE_BYTES // 2**20} MB"

# What Linux and macOS take as one name, and what macOS takes as a whole path.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# The bytes of one file. Raises OSError where this file cannot be had, DatasetError where the source is damaged.
Read = Callable[[], bytes]


@dataclass(frozen=True)
class Listing:
    """The visible files of a source, in the source's own order.

    paths: below the source, parts joined by "/"; bytes that are not UTF-8 as Python's surrogates.
    reads: takes a mask over `paths` and yields (position, read) of those wanted, in the order that costs least.
    has_classes: whether the first part of every path is its class; otherwise the folders have to tell.
    linked_folders: those of the paths that are links to folders, which are not entered.
    num_threads: how many reads at a time pay; on this machine one, which keeps the disk as busy as two.
    """

    paths: list[str]
    reads: Callable[[NDArray[np.bool_]], Iterator[tuple[int, Read]]]
    has_classes: bool = False
    linked_folders: frozenset[str] = frozenset()
    num_threads: int = 1


def plain_path(name: str) -> str:
    """A path as written by anyone, Windows too, in parts joined by "/"."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def leads_out(name: str) -> bool:
    """Whether following a path can leave the folder it is read in: absolute, with a drive letter or with `..`."""
    parts = plain_path(name).split("/")
    return name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]


def name_problem(path: str) -> str:
    """Why tables or folders cannot hold a path, or nothing."""
    try:
        longest = max(len(part.encode()) for part in path.split("/"))
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if longest > MAX_NAME_BYTES:
        return f"its name is longer than {MAX_NAME_BYTES} bytes"
    return f"its path is longer than {MAX_PATH_BYTES} bytes" if len(path.encode()) > MAX_PATH_BYTES else ""


def readable(path: str) -> str:
    """The path as tables show it: what is not UTF-8 as \\xe9."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path).decode(errors="backslashreplace")
    return path  # itself, not a copy: it is kept for every file


def first_repeated(paths: Iterable[str], key: Callable[[str], str] = str) -> tuple[str, str] | None:
    """Two paths with the same key, if there are any. `paths` is gone through twice.

    Eight bytes per path: only those whose hashes meet are compared as text.
    """
    hashes = np.sort(np.fromiter((hash(key(path)) for path in paths), np.int64))
    suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    seen: dict[str, str] = {}
    for path in paths if suspects else []:
        if hash(key(path)) in suspects and seen.setdefault(key(path), path) is not path:
            return seen[key(path)], path
    return None
