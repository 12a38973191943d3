"""How many images of a folder are new, changed or gone since it was taken in."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pawline.class_folders import ClassFolders, find_class_folders
from pawline.errors import DatasetError
from pawline.listing import Listing, Read, readable
from pawline.params import IngestParams
from pawline.sources import open_source


@dataclass(frozen=True)
class SourceChanges:
    new: int
    changed: int
    removed: int

    def __str__(self) -> str:
        counts = [f"{count} {name}" for name, count in vars(self).items() if count]
        return f"{', '.join(counts)} images" if counts else "no image changed, but other files"


def count_changes(folder: Path, index: Path, since: datetime | None) -> SourceChanges | None:
    """None where it cannot be told: no index, or a folder that no longer looks like a data set.

    Of the same path and size, only files touched since are read (all where it is not known since when); DVC had to
    read those, too.
    """
    try:
        was = {row["path"]: row for row in pq.read_table(index, columns=["path", "bytes", "digest"]).to_pylist()}
        with open_source(IngestParams(source=str(folder), sha256=None), Path()) as listing:
            places = _places(listing, str(folder))
            kept = {position: was[path] for position, path in places.items() if path in was}
            changed = _num_changed(folder, listing, kept, since.timestamp() if since else 0)
    except (OSError, pa.ArrowException, DatasetError):
        return None
    return SourceChanges(len(places) - len(kept), changed, len(was) - len(kept))


def _places(listing: Listing, source: str) -> dict[int, str]:
    """By position in the listing, the path under which the index knows a file."""
    folders = ClassFolders() if listing.has_classes else find_class_folders(listing.paths, source)
    found = ((position, folders.place(path)) for position, path in enumerate(listing.paths))
    return {position: readable(place.path) for position, place in found if place}


def _num_changed(folder: Path, listing: Listing, kept: dict[int, dict[str, Any]], since: float) -> int:
    num_resized, to_read = 0, np.zeros(len(listing.paths), bool)
    for position, row in kept.items():
        path = listing.paths[position]
        # In a table's listing the label stands before the path.
        file = folder / (path.split("/", 1)[1] if listing.has_classes else path)
        if row["digest"] and file.exists():  # without a digest, it could not be read then either
            found = file.stat()
            num_resized += found.st_size != row["bytes"]
            to_read[position] = found.st_size == row["bytes"] and found.st_ctime >= since
    return num_resized + sum(
        _digest(read) != kept[position]["digest"] for position, read in listing.reads(to_read)
    )


def _digest(read: Read) -> str:
    try:
        return hashlib.sha256(read()).hexdigest()
    except OSError:
        return "cannot be read"
