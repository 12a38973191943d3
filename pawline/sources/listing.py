"""A listing, the form in which every source is opened: the paths of the files, and a way to read their bytes.

Its memory grows with the number of files, so a listing holds one string per file and no other objects.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# A whole file is held in memory. The largest photographs have a few hundred megabytes; larger files are videos.
MAX_FILE_BYTES = 512 * 2**20
TOO_LARGE = f"larger than {MAX_FILE_BYTES // 2**20} MB"

# The limits of Linux and macOS for one name, and of macOS for a whole path.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024

# Why a link in a folder is not read.
LINK_OUT = "a link out of the source"
LINKED_FOLDER = "a linked folder, which is not entered"

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Returns the bytes of one file. Raises OSError where the file cannot be read, DatasetError for a damaged source.
Read = Callable[[], bytes]


@dataclass(frozen=True)
class Listing:
    """The visible files of a source, in the source's own order.

    paths: relative to the source, parts joined by "/"; bytes that are not UTF-8 become Python's surrogates.
    reads: takes a mask over `paths`, bool (num_files,), and yields (position, read) for each file in the mask, in
        the order that is fastest to read.
    has_classes: whether the first part of every path is its class; if not, the folders decide.
    linked_folders: the paths that are links to folders, which are not entered.
    num_threads: how many reads to run at once; 1 for local disks, where a second read gains nothing.
    folders: the folders below the source, empty ones too; each ends in "/".
    unclear_names: positions of paths whose code page the archive does not say.
    num_bytes: of an archive, the size of its files when unpacked.
    copy_to: of an archive, writes single files to given paths, of any size; leaves out links and devices.
    passed_over: how often each system or hidden name was met; that of a folder, which was not entered, ends in "/".
    opened: the names of the archives inside an archive whose files are in `paths`.
    given_parts, given_groups: what a table says of each path; empty where it says nothing.
    notes: what was guessed or passed over, a line each.
    """

    paths: list[str]
    reads: Callable[[NDArray[np.bool_]], Iterator[tuple[int, Read]]]
    has_classes: bool = False
    linked_folders: frozenset[str] = frozenset()
    num_threads: int = 1
    folders: Sequence[str] = ()
    unclear_names: Sequence[int] = ()
    num_bytes: int = 0
    copy_to: Callable[[Mapping[int, Path]], None] | None = None
    passed_over: Counter[str] = field(default_factory=Counter)
    opened: str = ""
    given_parts: Sequence[str] = ()
    given_groups: Sequence[str] = ()
    notes: tuple[str, ...] = ()


def plain_path(name: str) -> str:
    """Return a path of any system, Windows included, with its parts joined by "/"."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def leads_out(name: str) -> bool:
    """Whether a path can lead out of its folder: absolute, with a drive letter or with `..`."""
    parts = plain_path(name).split("/")
    return name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]


def folded(path: str) -> str:
    """The path without the differences of case and Unicode form that some file systems ignore."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def name_problem(path: str) -> str:
    """Why folders cannot hold a path of UTF-8; empty where they can."""
    longest = max(len(part.encode()) for part in path.split("/"))
    if longest > MAX_NAME_BYTES:
        return f"its name is longer than {MAX_NAME_BYTES} bytes"
    return f"its path is longer than {MAX_PATH_BYTES} bytes" if len(path.encode()) > MAX_PATH_BYTES else ""


def display_path(path: str) -> str:
    """The path as tables show it: bytes that are not UTF-8 are written like \\xe9."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return path  # the same object, not a copy, since a path is kept for every file


def first_repeated(paths: Iterable[str], key: Callable[[str], str] = str) -> tuple[str, str] | None:
    """Two paths with the same key, or None. `paths` is iterated twice.

    Takes eight bytes per path: only paths with equal hashes are compared as text.
    """
    hashes = np.sort(np.fromiter((hash(key(path)) for path in paths), np.int64))
    suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    seen: dict[str, str] = {}
    for path in paths if suspects else []:
        if hash(key(path)) in suspects and seen.setdefault(key(path), path) is not path:
            return seen[key(path)], path
    return None
