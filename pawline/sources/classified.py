"""A source as a data set: open the source, find its classes, and give each file its place in a class."""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.params.ingest import IngestParams
from pawline.sources.archive_rules import is_visible
from pawline.sources.class_folders import ClassFolders, Place, find_class_folders
from pawline.sources.class_names import NamedClasses, find_named_classes
from pawline.sources.hints import FOLDER_PER_CLASS, hint
from pawline.sources.listing import Listing, Read
from pawline.sources.opening import open_source


class ClassifiedSource:
    """The files of a source, each with its place in the data set.

    has_place: bool (num_files,), in the order of the listing: which files belong to a class.
    """

    def __init__(self, listing: Listing, params: IngestParams) -> None:
        self.listing = listing
        self.classes = ClassFolders() if listing.has_classes else _find_classes(listing.paths, params)
        self.has_place: NDArray[np.bool_] = np.fromiter(
            (self.classes.place(path) is not None for path in listing.paths), bool
        )
        self.num_unlabelled = sum(map(self.classes.is_unlabelled, listing.paths))

    def place(self, position: int) -> Place:
        """The place of a file for which `has_place` is true. Computed on demand, since a source may hold millions."""
        place = self.classes.place(self.listing.paths[position])
        assert place is not None
        if self.listing.given_parts:
            place = place._replace(given_part=self.listing.given_parts[position])
        if self.listing.given_groups:
            place = place._replace(given_group=self.listing.given_groups[position])
        return place

    def empty_classes(self, found: Set[tuple[str, str]]) -> list[str]:
        """The class folders without a picture. found: the given part and the class of every picture."""
        if self.listing.has_classes or not isinstance(self.classes, ClassFolders):
            return []
        places = (self.classes.place(f"{folder}picture") for folder in self.listing.folders if is_visible(folder))
        with_files = (self.place(position) for position in self.positions())
        named = {(place.given_part, place.class_name) for place in (*filter(None, places), *with_files)}
        return [f"{part}/{name}" if part else name for part, name in sorted(named - found)]

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
        yield ClassifiedSource(listing, params)


def _find_classes(paths: list[str], params: IngestParams) -> ClassFolders | NamedClasses:
    """The class folders; where these are no classes, the classes in the names of the files. Raises DatasetError."""
    problem, folders = None, None
    try:
        folders = find_class_folders(paths, params.source)
        if folders.has_classes(paths):
            return folders
    except DatasetError as error:
        problem = error
    named = find_named_classes(paths)
    if named and params.classes_from_names:
        return named
    if named:
        raise DatasetError(
            f"{params.source}: its folders name no classes, but the names of its files do, such as {named.example}; "
            "set ingest.classes_from_names to true, or put each class in a folder of its own: <class>/*.jpg"
        )
    if problem:
        advice = hint(paths)
        raise problem if advice == FOLDER_PER_CLASS else DatasetError(f"{problem}; {advice}")
    assert folders is not None
    return folders
