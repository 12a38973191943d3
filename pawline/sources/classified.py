"""A source as a data set: open the source, find its classes, and give each file its place in a class."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.params.ingest import IngestParams
from pawline.sources.class_folders import ClassFolders, Place, find_class_folders
from pawline.sources.listing import Listing, Read
from pawline.sources.opening import open_source


class ClassifiedSource:
    """The files of a source, each with its place in the data set.

    has_place: bool (num_files,), in the order of the listing: which files belong to a class.
    """

    def __init__(self, listing: Listing, source: str) -> None:
        self.listing = listing
        self._folders = ClassFolders() if listing.has_classes else find_class_folders(listing.paths, source)
        self.has_place: NDArray[np.bool_] = np.fromiter(
            (self._folders.place(path) is not None for path in listing.paths), bool
        )
        self.num_unlabelled = sum(map(self._folders.is_unlabelled, listing.paths))

    def place(self, position: int) -> Place:
        """The place of a file for which `has_place` is true. Computed on demand, since a source may hold millions."""
        place = self._folders.place(self.listing.paths[position])
        assert place is not None
        if self.listing.given_parts:
            place = place._replace(given_part=self.listing.given_parts[position])
        if self.listing.given_groups:
            place = place._replace(given_group=self.listing.given_groups[position])
        return place

    def positions(self) -> list[int]:
        """Positions in the listing of the files that have a place."""
        positions: list[int] = np.flatnonzero(self.has_place).tolist()
        return positions

    def reads(self, wanted: NDArray[np.bool_] | None = None) -> Iterator[tuple[int, Read]]:
        """Yield (position, read) for each file with a place, or for each file of a mask over the listing.

        wanted: bool (num_files,), in the order of the listing.
        """
        return self.listing.reads(self.has_place if wanted is None else wanted)


@contextmanager
def open_classified(params: IngestParams, downloads: Path) -> Iterator[ClassifiedSource]:
    """Open a source and find its classes. Raises DatasetError for a missing or damaged source or ambiguous folders.

    downloads: the folder that keeps a download until the block succeeds.
    """
    with open_source(params, downloads) as listing:
        yield ClassifiedSource(listing, params.source)
