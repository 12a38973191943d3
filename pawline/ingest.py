"""Take a source in: its bytes unchanged under `data/raw`, one row of the index per file."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from pawline.class_folders import ClassFolders, Place, check_classes, find_class_folders
from pawline.errors import DatasetError
from pawline.files import whole_folder
from pawline.images import BadImage, read_header
from pawline.index import IndexRows, Row
from pawline.listing import Listing, Read, name_problem, readable
from pawline.params import IngestParams
from pawline.sources import open_source

# What is being fetched from an address (pawline/download.py), so that the next attempt continues it.
DOWNLOADS = Path(".pawline/downloads")

Done = TypeVar("Done")


@dataclass(frozen=True)
class Ingested:
    """rows: one per file with a class. num_unlabelled: files of a test folder that names no classes.
    num_beside_classes: other files without a class, a readme say."""

    rows: IndexRows
    num_unlabelled: int
    num_beside_classes: int


def ingest(params: IngestParams, raw: Path, downloads: Path = DOWNLOADS) -> Ingested:
    """Copy every visible file of the source to `raw`. Raises DatasetError.

    `raw` appears whole or not at all. A file that cannot be read is a row with a problem, not an error.
    """
    with open_source(params, downloads) as listing:
        folders = ClassFolders() if listing.has_classes else find_class_folders(listing.paths, params.source)
        check_classes(_class_names(listing, folders), params.source)
        wanted = np.fromiter((folders.place(path) is not None for path in listing.paths), bool)
        with whole_folder(raw) as folder:
            rows = _take_in(listing, folders, wanted, folder)
        num_unlabelled = sum(map(folders.is_unlabelled, listing.paths))
        return Ingested(rows, num_unlabelled, int((~wanted).sum()) - num_unlabelled)


def _class_names(listing: Listing, folders: ClassFolders) -> list[str]:
    names = set()
    for path in listing.paths:
        if place := folders.place(path):
            names.add(place.class_name)
        elif path in listing.linked_folders:
            raise DatasetError(
                f"{readable(path)}: a linked folder, which is not entered, where a class is expected; "
                "put the folder itself there, or list the pictures in a table of path,label"
            )
    return sorted(names)


def _take_in(listing: Listing, folders: ClassFolders, wanted: Any, folder: Path) -> IndexRows:
    rows = IndexRows()
    work = (partial(_copy, folders, listing.paths[at], read, folder) for at, read in listing.reads(wanted))
    done = _in_order(work, listing.num_threads)
    for row in tqdm(done, desc="ingest", unit="file", total=int(wanted.sum()), disable=None):
        rows.add(row)
    return rows


def _in_order(work: Iterable[Callable[[], Done]], num_threads: int) -> Iterator[Done]:
    """What each piece of work returns, in order; twice as many as threads are under way, each with its bytes."""
    if num_threads == 1:
        yield from (piece() for piece in work)
        return
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        for piece in work:
            waiting.append(pool.submit(piece))
            if len(waiting) > 2 * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _copy(folders: ClassFolders, path: str, read: Read, folder: Path) -> Row:
    place = folders.place(path)
    assert place is not None  # only those wanted get here
    problem = name_problem(place.path)
    data = b""
    if not problem:
        try:
            data = read()
        except OSError as error:
            problem = error.strerror or str(error)
    if not problem:
        _write(folder / place.path, data)
    return _row(place, data, problem)


def _row(place: Place, data: bytes, problem: str) -> Row:
    try:
        header = read_header(data)
        shape = (header.format, header.width, header.height, header.animated)
    except BadImage:
        shape = ("", 0, 0, False)
    digest = b"" if problem else hashlib.sha256(data).digest()
    path, class_name = readable(place.path), readable(place.class_name)
    return Row(path, class_name, digest, len(data), *shape, place.given_part, problem)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:  # a full disk: Python does not say for which file
        raise OSError(error.errno, error.strerror, str(path)) from None


def summarize(ingested: Ingested) -> dict[str, Any]:
    """What `metrics/ingest.json` holds."""
    rows = ingested.rows
    per_class = Counter(rows.words("class_name"))
    return {
        "num_files": len(rows),
        "num_bytes": rows.num_bytes,
        "num_classes": len(per_class),
        "num_files_per_class": dict(per_class),
        "num_unreadable": sum(1 for problem in rows.words("problem") if problem),
        "num_unlabelled": ingested.num_unlabelled,
        "num_beside_classes": ingested.num_beside_classes,
    }
