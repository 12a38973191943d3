"""Which folders of a source are classes, which are train, val and test, and which are only wrapping."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from pawline.errors import DatasetError

READY_MADE_PARTS = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "testing": "test"},
}

# Only to tell a folder of pictures from a wrapper with a readme in it; what a picture is, its bytes say.
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm"}


class Place(NamedTuple):
    """Where a file belongs. `path` is the one below the class root; `given_part` empty where none was given."""

    path: str
    class_name: str
    given_part: str


@dataclass(frozen=True)
class ClassFolders:
    """root: the folder whose sub-folders are the classes (or parts), ending in "/", or nothing.
    unlabelled: folders of pictures beside train that have no class folders; their files have no place."""

    root: str = ""
    ready_made: bool = False
    unlabelled: frozenset[str] = frozenset()

    def place(self, path: str) -> Place | None:
        """Nothing for a file that belongs to no class: a readme beside the class folders, say."""
        if not path.startswith(self.root):
            return None
        below = path[len(self.root) :]
        parts = below.split("/", 2 if self.ready_made else 1)
        if len(parts) <= (2 if self.ready_made else 1):
            return None
        if self.ready_made:
            return Place(below, parts[1], READY_MADE_PARTS[_plain(parts[0])])
        return Place(below, parts[0], "")

    def is_unlabelled(self, path: str) -> bool:
        return any(path.startswith(folder) for folder in self.unlabelled)


def find_class_folders(paths: Sequence[str], source: str) -> ClassFolders:
    """Archives often wrap the class folders in one or two more. Raises DatasetError where folders are ambiguous.

    PetImages/Cat/1.jpg, PetImages/Dog/1.jpg, PetImages/readme.txt -> PetImages/
    """
    root, unlabelled = "", set()
    while True:
        folders = _folders_below(root, paths)
        for name in _unlabelled(folders):
            unlabelled.add(f"{root}{name}/")
            del folders[name]
        wrapper = next(iter(folders)) if len(folders) == 1 else ""
        if not wrapper or folders[wrapper].is_class:
            return ClassFolders(root, _is_ready_made(folders, source), frozenset(unlabelled))
        root += f"{wrapper}/"


@dataclass
class _Folder:
    """What stands directly in a folder."""

    has_folders: bool = False
    has_files: bool = False
    has_pictures: bool = False

    @property
    def is_class(self) -> bool:
        return not self.has_folders or self.has_pictures


def _folders_below(root: str, paths: Sequence[str]) -> dict[str, _Folder]:
    folders: dict[str, _Folder] = {}
    for path in paths:
        if not path.startswith(root):
            continue
        name, *below = path[len(root) :].split("/", 2)
        if below:
            folder = folders.setdefault(name, _Folder())
            if len(below) == 1:
                folder.has_files = True
                folder.has_pictures |= PurePosixPath(below[0]).suffix.lower() in PICTURE_SUFFIXES
            else:
                folder.has_folders = True
    return folders


def _unlabelled(folders: dict[str, _Folder]) -> list[str]:
    """Competitions ship train/<class>/ beside a test/ or test1/ whose answers they keep: it teaches nothing."""
    train = [folder for name, folder in folders.items() if READY_MADE_PARTS.get(_plain(name)) == "train"]
    others = [name for name in folders if READY_MADE_PARTS.get(_plain(name)) == "test"]
    if not any(folder.has_folders and not folder.has_pictures for folder in train):
        return []
    return [name for name in others if not folders[name].has_folders]


def _is_ready_made(folders: dict[str, _Folder], source: str) -> bool:
    """Whether the folders are train, val and test rather than classes. Raises DatasetError for a mixture."""
    given = {READY_MADE_PARTS[_plain(name)] for name in folders if _plain(name) in READY_MADE_PARTS}
    if len(given) < 2:  # a single one may well be a class: a train among vehicles
        return False
    others = sorted(name for name in folders if _plain(name) not in READY_MADE_PARTS)
    flat = sorted(name for name in folders if not folders[name].has_folders)
    if problem := (
        (f"the folder '{others[0]}' beside them is none" if others else "")
        or ("" if "train" in given else "'train' is missing")
        or (f"'{flat[0]}' has no class folders in it" if flat else "")
    ):
        looks = ", ".join(sorted(folders.keys() - set(others)))
        raise DatasetError(
            f"{source}: looks ready-split ({looks}), but {problem}; expected <class>/*.jpg, or train, val and "
            "test with one folder per class in each; where names hold the classes, make a table of path,label"
        )
    return True


def _plain(name: str) -> str:
    """Test, test1, TRAIN_2 -> test, test, train"""
    return re.sub(r"[-_ ]?\d+$", "", name).lower()


def check_classes(names: Sequence[str], source: str) -> None:
    if len(names) < 2:
        found = f"1 class folder ('{names[0]}')" if names else "no class folder with files in it"
        raise DatasetError(
            f"{source}: found {found}, need at least 2; put each class in a folder of its own: <class>/*.jpg"
        )
