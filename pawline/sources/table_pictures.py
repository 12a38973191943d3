"""Find the file that a row of a table means: by its path, by the end of a path of another machine, or by its name in a
folder below, with or without ending; a number also without the zeros that Excel takes away."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from pawline.errors import DatasetError
from pawline.sources.class_folders import READY_MADE_PARTS
from pawline.sources.file_kinds import PICTURE_SUFFIXES, is_picture_name
from pawline.sources.hints import hint
from pawline.sources.listing import leads_out, plain_path


class PictureFinder:
    """Finds files below the folder of a table. num_found_by_name: how many rows did not hold the whole path;
    num_found_by_number: how many only named the number of a picture, 1 for 001.jpg; num_missing: how many mean no file.

    is_file: whether a path is a file. list_paths: lists all paths, called only where a row does not hold a whole path.
    """

    def __init__(self, is_file: Callable[[str], bool], list_paths: Callable[[], Sequence[str]]) -> None:
        self._is_file, self._list_paths = is_file, list_paths
        self.num_found_by_name = self.num_found_by_number = self.num_missing = 0

    def find(self, folder: str, name: str, part: str, where: str) -> str:
        """The path of the file that a row calls `name`; the name below `folder` itself where there is no such file.

        folder: the table's own, empty or with a "/" at its end. Raises DatasetError where two files have the name, and
        where a path leads out of the folder and no file below has its end.
        """
        if leads_out(name):
            return self._find_end(folder, name, part, where)
        whole = folder + plain_path(name)
        if self._is_file(whole):
            return whole
        found = self._one_of(self._candidates(plain_path(name)), folder, name, part, where)
        if found:
            self.num_found_by_name += 1
            return found
        found = self._one_of(self._numbered(name), folder, name, part, where)
        self.num_found_by_number += bool(found)
        self.num_missing += not found
        return found or whole

    def advice(self) -> str:
        """What to do where no row of a table means a file."""
        paths = self._list_paths()
        return (
            hint(paths)
            if paths and not any(map(is_picture_name, paths))
            else "write their paths relative to the table's folder"
        )

    def _find_end(self, folder: str, name: str, part: str, where: str) -> str:
        """The file that has the end of an absolute path, as a table from another machine holds them:
        C:\\data\\cat\\1.jpg and /kaggle/input/pets/cat/1.jpg mean cat/1.jpg. Only files of the source are looked at."""
        parts = plain_path(name).split("/")
        for start in range(1, len(parts)):
            if found := self._one_of(self._candidates("/".join(parts[start:])), folder, name, part, where):
                self.num_found_by_name += 1
                return found
        raise DatasetError(
            f"{where}: path {name!r} leads out of the table's folder, and no file below has its name; write a path "
            "relative to that folder"
        )

    def _one_of(self, paths: list[str], folder: str, name: str, part: str, where: str) -> str:
        """The only path that can be meant, or an empty text. Raises DatasetError where two can."""
        found = _nearest([path for path in paths if path.startswith(folder)], folder, part)
        if len(found) > 1:
            raise DatasetError(
                f"{where}: {name!r} may be '{found[0]}' or '{found[1]}'; write the folder into the table's column too"
            )
        return found[0] if found else ""

    def _numbered(self, name: str) -> list[str]:
        """The pictures whose name is this number, with other zeros: Excel makes 1 of 001 and some programs 1.0 of 1."""
        number = re.fullmatch(r"0*(\d+)(\.0|\.[A-Za-z]\w*)?", plain_path(name))
        return sorted(self._by_number.get(number[1], [])) if number else []

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

    @cached_property
    def _by_number(self) -> defaultdict[str, list[str]]:
        """The pictures whose names are numbers, by the number without zeros at its start."""
        paths: defaultdict[str, list[str]] = defaultdict(list)
        for stem, same in self._by_stem.items():
            if stem.isdecimal() and stem.isascii():
                paths[stem.lstrip("0") or "0"] += same
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
