"""Classes that stand in the names of the files: cat.0.jpg is a cat, as in Kaggle's dogs-vs-cats."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import PurePosixPath

from pawline.sources.class_folders import Place, part_of_folder
from pawline.sources.file_kinds import is_picture_name

CLASS_AND_NUMBER = re.compile(r"(?P<class_name>[^./]*[^./\d][^./]*)\.\d+\.[^./]+$")
# A few other files, such as a cover picture, do not change what the names of a folder mean.
MIN_FRACTION_NAMED = 0.9


@dataclass(frozen=True)
class NamedClasses:
    """The folders whose pictures have their class in their name; each ends in "/", or is empty.

    labelled: each folder with its part: train, val, test, or empty where no parts are given.
    unlabelled: test folders whose pictures have no class; their files have no place.
    """

    labelled: dict[str, str]
    unlabelled: frozenset[str]
    root: str
    example: str

    def place(self, path: str) -> Place | None:
        """The place of a file; None where neither its folder nor its name gives a class."""
        folder = _folder(path)
        named = CLASS_AND_NUMBER.match(path[len(folder) :])
        if named is None or folder not in self.labelled:
            return None
        class_name, part = named["class_name"], self.labelled[folder]
        below_root, name = folder[len(self.root) :], path[len(folder) :]
        if part:
            return Place(f"{below_root}{class_name}/{name}", class_name, part)
        return Place(f"{class_name}/{below_root if len(self.labelled) > 1 else ''}{name}", class_name, "")

    def is_unlabelled(self, path: str) -> bool:
        """Whether a file lies in a test folder whose pictures have no class."""
        return _folder(path) in self.unlabelled


def find_named_classes(paths: Sequence[str]) -> NamedClasses | None:
    """Find the classes in the names. None where most names give no class, or all the same.

    train/cat.0.jpg, train/dog.0.jpg, test1/1.jpg -> train/ is labelled, test1/ is not
    """
    num_pictures: Counter[str] = Counter()
    num_named: Counter[str] = Counter()
    per_class: Counter[str] = Counter()
    example = ""
    for path in paths:
        folder = _folder(path)
        name = path[len(folder) :]
        if is_picture_name(name):
            num_pictures[folder] += 1
            if named := CLASS_AND_NUMBER.match(name):
                num_named[folder] += 1
                per_class[named["class_name"]] += 1
                example = min(example or name, name)
    labelled = [
        folder for folder in num_pictures if num_named[folder] >= MIN_FRACTION_NAMED * num_pictures[folder]
    ]
    unlabelled = num_pictures.keys() - labelled
    # Names such as scan.17.jpg and photo.1.jpg, each once, are no classes: a class has several pictures.
    is_usable = len(per_class) >= 2 and sum(per_class.values()) >= 2 * len(per_class)
    if not is_usable or not labelled or any(_part(folder) != "test" for folder in unlabelled):
        return None
    return NamedClasses(_parts(labelled), frozenset(unlabelled), _common_root(labelled), example)


def _parts(folders: list[str]) -> dict[str, str]:
    """The part of each labelled folder: kept where there are train and another one, as with folders of classes."""
    parts = {folder: _part(folder) or "" for folder in folders}
    given = {*parts.values()}
    return parts if "train" in given and len(given) > 1 and "" not in given else dict.fromkeys(folders, "")


def _part(folder: str) -> str | None:
    return part_of_folder(PurePosixPath(folder).name)


def _folder(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _common_root(folders: list[str]) -> str:
    """The folders above all of these, for example what wraps train/ and test/."""
    if len(folders) == 1:
        return _folder(folders[0].rstrip("/"))
    common = commonpath([folder or "." for folder in folders]) if all(folders) else ""
    return f"{common}/" if common else ""
