"""Decide which folders of a source are classes, which are train, val and test, and which only wrap others."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pawline.errors import DatasetError
from pawline.sources.file_kinds import is_other_name, is_picture_name
from pawline.sources.hints import FOLDER_PER_CLASS
from pawline.sources.listing import display_path, first_repeated, folded

READY_MADE_PARTS = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
    **{"test": "test", "testing": "test"},
}

# Words beside a part's name that say nothing else: training_set, test-images, seg_train.
FILLERS = {"set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos", "split", "seg"}
PIECES = {"part", "vol", "volume", "batch", "chunk", "shard", "piece", "images", "imgs"}
# Pictures that a competition or a course leaves to be predicted.
UNLABELLED = {"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "unsup"}


class Place(NamedTuple):
    """The place of a file in the data set. `path` is relative to the class root; `given_part` and `given_group` are
    empty where none was given."""

    path: str
    class_name: str
    given_part: str
    given_group: str = ""


@dataclass(frozen=True)
class ClassFolders:
    """The folders of a source by their role.

    root: the folder whose sub-folders are the classes (or parts); ends in "/", or is empty.
    ready_made: whether the sub-folders of root are train, val and test.
    unlabelled: folders of pictures beside train that have no class folders; their files have no place.
    doubled: folders of parts that hold just a folder of the same part: training_set/training_set/cat/1.jpg.
    """

    root: str = ""
    ready_made: bool = False
    unlabelled: frozenset[str] = frozenset()
    doubled: frozenset[str] = frozenset()

    def place(self, path: str) -> Place | None:
        """The place of a file; None where it belongs to no class, as a readme beside the class folders does."""
        if not path.startswith(self.root):
            return None
        relative_path = path[len(self.root) :]
        if self.doubled and (top := relative_path.split("/", 1)[0]) in self.doubled:
            below = relative_path[len(top) + 1 :]
            relative_path = f"{top}/{below[below.find('/') + 1 :]}" if "/" in below else relative_path
        parts = relative_path.split("/", 2 if self.ready_made else 1)
        if len(parts) <= (2 if self.ready_made else 1):
            return None
        if self.ready_made:
            part = part_of_folder(parts[0])
            return Place(relative_path, parts[1], part) if part else None
        return Place(relative_path, parts[0], "")

    def has_classes(self, paths: Sequence[str]) -> bool:
        """Whether the files belong to at least two classes."""
        first = next((place.class_name for path in paths if (place := self.place(path))), None)
        return any((place := self.place(path)) and place.class_name != first for path in paths)

    def is_unlabelled(self, path: str) -> bool:
        """Whether a file lies in a folder of pictures without classes."""
        return any(path.startswith(folder) for folder in self.unlabelled)


def find_class_folders(paths: Sequence[str], source: str) -> ClassFolders:
    """Find the class folders, which archives often wrap in one or two folders. Raises DatasetError for ambiguous ones.

    PetImages/Cat/1.jpg, PetImages/Dog/1.jpg, PetImages/readme.txt -> PetImages/
    """
    root, unlabelled = "", set()
    paths = [path for path in paths if not is_other_name(path)]  # a folder of annotations is no class
    while True:
        folders = _folders_below(root, paths)
        for name in [*_unlabelled(folders), *_of_one_folder(root, folders, paths)]:
            unlabelled.add(f"{root}{name}/")
            folders.pop(name, None)
        for name in _copies(root, folders, paths):
            del folders[name]
        wrapper = next(iter(folders)) if len(folders) == 1 else ""
        if not wrapper or folders[wrapper].is_class:
            ready_made = _is_ready_made(folders, source)
            doubled = [*_doubled(root, [*folders], paths)] if ready_made else []
            return ClassFolders(root, ready_made, frozenset(unlabelled), frozenset(doubled))
        root += f"{wrapper}/"


@dataclass
class _Folder:
    """What a folder holds directly."""

    has_folders: bool = False
    has_pictures: bool = False

    @property
    def is_class(self) -> bool:
        return not self.has_folders or self.has_pictures


def _folders_below(root: str, paths: Sequence[str]) -> dict[str, _Folder]:
    folders: dict[str, _Folder] = {}
    for path in paths:
        if not path.startswith(root):
            continue
        name, *parts_below = path[len(root) :].split("/", 2)
        if parts_below:
            folder = folders.setdefault(name, _Folder())
            if len(parts_below) == 1:
                folder.has_pictures |= is_picture_name(parts_below[0])
            else:
                folder.has_folders = True
    return folders


def _unlabelled(folders: dict[str, _Folder]) -> list[str]:
    """Test folders without classes. Competitions ship train/<class>/ beside a test/ whose labels they keep secret."""
    train_folders = [folder for name, folder in folders.items() if part_of_folder(name) == "train"]
    test_names = [name for name in folders if part_of_folder(name) == "test"]
    if not any(folder.has_folders and not folder.has_pictures for folder in train_folders):
        return []
    left_over = [name for name in folders if (words := {*_words(name)}) and words <= UNLABELLED]
    return [name for name in test_names if not folders[name].has_folders] + left_over


def _of_one_folder(root: str, folders: dict[str, _Folder], paths: Sequence[str]) -> Iterator[str]:
    """Parts other than train whose pictures all lie in one folder of a general name: Tiny ImageNet's test/images/."""
    if not any(part_of_folder(name) == "train" for name in folders):
        return
    for name in folders:
        if part_of_folder(name) in ("val", "test"):
            below = _folders_below(f"{root}{name}/", paths)
            if len(below) == 1 and {*below} <= FILLERS | UNLABELLED | {"unknown"}:
                yield name


def _copies(root: str, folders: dict[str, _Folder], paths: Sequence[str]) -> list[str]:
    """Folders beside train and test that hold the same files once more, as chest_xray/chest_xray/ does at Kaggle's."""
    if not any(part_of_folder(name) == "train" for name in folders):
        return []
    existing = frozenset(paths)
    copies = []
    for name in folders:
        prefix = f"{root}{name}/"
        inner = [path for path in paths if path.startswith(prefix)] if not part_of_folder(name) else []
        if inner and all(f"{root}{path[len(prefix) :]}" in existing for path in inner):
            copies.append(name)
    return copies


def _doubled(root: str, parts: list[str], paths: Sequence[str]) -> Iterator[str]:
    """The folders of parts that hold just a folder of the same part, as some archives are packed."""
    for part in parts:
        folders = _folders_below(f"{root}{part}/", paths)
        if [part_of_folder(name) for name in folders] == [part_of_folder(part)]:
            yield part


def _is_ready_made(folders: dict[str, _Folder], source: str) -> bool:
    """Whether the folders are train, val and test rather than classes. Raises DatasetError for a mixture."""
    given_parts = {part_of_folder(name) for name in folders if part_of_folder(name)}
    if len(given_parts) < 2:  # a single such name may be a class: a train among vehicles
        return False
    other_names = sorted(name for name in folders if not part_of_folder(name))
    flat_names = sorted(name for name in folders if not folders[name].has_folders)
    if problem := (
        (f"the folder '{other_names[0]}' beside them is not one of these parts" if other_names else "")
        or ("" if "train" in given_parts else "'train' is missing")
        or (f"'{flat_names[0]}' has no class folders in it" if flat_names else "")
    ):
        part_names = ", ".join(sorted(folders.keys() - set(other_names)))
        raise DatasetError(
            f"{source}: looks ready-split ({part_names}), but {problem}; expected <class>/*.jpg, or train, val and "
            "test with one folder per class in each; where names hold the classes, make a table of path,label"
        )
    return True


def are_pieces(names: Collection[str]) -> bool:
    """Whether folders are numbered pieces of one set, such as HAM10000_images_part_1 and _2, and no classes."""
    bases = {re.sub(r"[-_ ]?\d+$", "", name).lower() for name in names}
    words = {word for base in bases for word in re.split(r"[-_ ]+", base)}
    return len(names) > 1 and len(bases) == 1 and bool(words & PIECES)


def part_of_folder(folder_name: str) -> str | None:
    """train, val or test where a folder is named so; None for any other name."""
    words = _words(folder_name)
    return READY_MADE_PARTS.get(words[0]) if len(words) == 1 else None


def _words(name: str) -> list[str]:
    """Test, test1, TRAIN_2, training_set, seg_train -> [test], [test], [train], [training], [train]"""
    base_name = re.sub(r"[-_ ]?\d+$", "", name).lower()
    return [word for word in re.split(r"[-_ ]+", base_name) if word and word not in FILLERS]


def check_classes(
    names: Sequence[str], source: str, empty: Sequence[str] = (), advice: str = FOLDER_PER_CLASS
) -> None:
    """Raise DatasetError for fewer than two classes, and for two that are one to people and to some file systems.

    empty: class folders without a file. advice: what to do where there are fewer than two classes.
    """
    if equal_names := first_repeated(names, folded):
        first, second = (repr(display_path(name)) for name in sorted(equal_names))
        raise DatasetError(
            f"{source}: the classes {first} and {second} differ by case or Unicode form only; "
            "put their pictures under one name, or rename one"
        )
    if equal_names := first_repeated(names, str.strip):
        first, second = (repr(display_path(name)) for name in sorted(equal_names))
        raise DatasetError(
            f"{source}: the classes {first} and {second} differ by spaces at an end only; "
            "put their pictures under one name, or rename one"
        )
    if len(names) < 2:
        description = f"1 class folder ('{names[0]}')" if names else "no class folder with files in it"
        is_empty = f" ({display_path(empty[0])!r} is empty)" if empty else ""
        raise DatasetError(f"{source}: found {description}, need at least 2{is_empty}; {advice}")
