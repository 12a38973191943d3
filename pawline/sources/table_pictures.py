"""Find the file that a row of a table means: by its path, or by its name, with or without ending, in a folder below."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from pawline.errors import DatasetError
from pawline.sources.class_folders import READY_MADE_PARTS
from pawline.sources.file_kinds import PICTURE_SUFFIXES
from pawline.sources.listing import plain_path


class PictureFinder:
    """Finds files below the folder of a table. num_found_by_name: how many rows did not hold the whole path.

    is_file: whether a path is a file. list_paths: lists all paths, called only where a row does not hold a whole path.
    """

    def __init__(self, is_file: Callable[[str], bool], list_paths: Callable[[], Sequence[str]]) -> None:
        self._is_file, self._list_paths = is_file, list_paths
        self.num_found_by_name = 0

    def find(self, folder: str, name: str, part: str, where: str) -> str:
        """The path of the file that a row calls `name`; the name below `folder` itself where there is no such file.

        folder: the table's own, empty or with a "/" at its end. Raises DatasetError where two files have the name.
        """
        whole = folder + plain_path(name)
        if self._is_file(whole):
            return whole
        found = [path for path in self._candidates(plain_path(name)) if path.startswith(folder)]
        found = _nearest(found, folder, part)
        if len(found) > 1:
            raise DatasetError(
                f"{where}: {name!r} may be '{found[0]}' or '{found[1]}'; write the folder into the table's column too"
            )
        self.num_found_by_name += len(found)
        return found[0] if found else whole

    def _candidates(self, name: str) -> list[str]:
        last = name.rsplit("/", 1)[-1]
        stems = {last.casefold(), PurePosixPath(last).stem.casefold()}
        paths = sorted({path for stem in stems for path in self._by_stem[stem]})
        exact = [path for path in paths if _ends_with(path, name)]
        return exact or [path for path in paths if _ends_with(path.casefold(), name.casefold())]  # of Windows

    @cached_property
    def _by_stem(self) -> defaultdict[str, list[str]]:
        """The pictures by their name without ending and capitals."""
        paths: defaultdict[str, list[str]] = defaultdict(list)
        for path in self._list_paths():
            if PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES:
                paths[PurePosixPath(path).stem.casefold()].append(path)
        return paths


def _ends_with(path: str, name: str) -> bool:
    """Whether the last parts of a path are `name`, with or without the ending."""
    without_ending = str(PurePosixPath(path).with_suffix(""))
    return any(f"/{text}".endswith(f"/{name}") for text in (path, without_ending))


def _nearest(paths: list[str], folder: str, part: str) -> list[str]:
    """Prefer the paths directly in the table's folder, or in the folder of the row's part: test/1.png stands
    beside train/1.png in many competitions, and the table without parts means train."""
    beside = [path for path in paths if "/" not in path[len(folder) :]]
    if len(paths) < 2 or beside:
        return beside or paths
    return [path for path in paths if _part_of(path[len(folder) :]) == (part or "train")] or paths


def _part_of(path: str) -> str:
    return next((READY_MADE_PARTS[name] for name in path.lower().split("/") if name in READY_MADE_PARTS), "")
