"""The index: one row per file found under the class folders."""

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath

import pandas as pd

from pawline.errors import DatasetError
from pawline.images import BadImage, read_header

# `given_part` is train, val or test where the source came ready-split, else empty;
# `problem` says why the bytes could not be had, and is empty for every file that could be read.
COLUMNS = {
    "path": "str",
    "class_name": "str",
    "digest": "str",
    "bytes": "int64",
    "format": "str",
    "width": "int32",
    "height": "int32",
    "given_part": "str",
    "problem": "str",
}

# Written by file managers, not by people: neither images nor errors.
LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}

READY_MADE_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

# Only to tell a folder of pictures from a wrapper with a readme in it; what a picture is, its bytes say.
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm"}


def is_litter(path: PurePath) -> bool:
    """Whether a path inside a source is left alone: hidden files and folders, and file managers' litter."""
    return any(part.startswith(".") or part.lower() in LITTER for part in path.parts)


def find_class_root(paths: Iterable[PurePosixPath]) -> PurePosixPath:
    """The folder whose sub-folders are the classes: archives often wrap them in one or two more.

    PetImages/Cat/1.jpg, PetImages/Dog/1.jpg, PetImages/readme.txt -> PetImages
    """
    root, inside = PurePosixPath(), [path.parts for path in paths]
    while True:
        folders = {parts[0] for parts in inside if len(parts) > 1}
        below = [parts[1:] for parts in inside if len(parts) > 1]
        files = [PurePosixPath(parts[0]) for parts in below if len(parts) == 1]
        is_class = len(files) == len(below) or any(file.suffix.lower() in PICTURE_SUFFIXES for file in files)
        if len(folders) != 1 or is_class:
            return root
        root, inside = root / folders.pop(), below


def place(path: PurePosixPath, ready_made: bool) -> tuple[str, str]:
    """(class name, given part) of a path below the class root."""
    if ready_made:
        return path.parts[1], READY_MADE_PARTS[path.parts[0].lower()]
    return path.parts[0], ""


def is_ready_made(paths: Iterable[PurePosixPath], source: Path) -> bool:
    """Whether the folders are train, val and test rather than classes. Raises DatasetError for a mixture."""
    folders = {path.parts[0] for path in paths if len(path.parts) > 1}
    parts = {READY_MADE_PARTS[name.lower()] for name in folders if name.lower() in READY_MADE_PARTS}
    if len(parts) < 2:  # a single one may well be a class: a train among vehicles
        return False
    others = sorted(name for name in folders if name.lower() not in READY_MADE_PARTS)
    if others or "train" not in parts:
        problem = f"the folder '{others[0]}' beside them is none" if others else "'train' is missing"
        raise DatasetError(
            f"{source}: looks ready-split ({', '.join(sorted(folders - set(others)))}), but {problem}; "
            "expected <class>/*.jpg, or train, val and test with one folder per class in each"
        )
    return True


def index_row(path: PurePosixPath, ready_made: bool, data: bytes, problem: str = "") -> tuple[object, ...]:
    """One row. `format` is empty and the size 0 x 0 where the header says nothing usable."""
    try:
        header = read_header(data)
        shape: tuple[str, int, int] = (header.format, header.width, header.height)
    except BadImage:
        shape = ("", 0, 0)
    class_name, part = place(path, ready_made)
    digest = "" if problem else hashlib.sha256(data).hexdigest()
    return (str(path), class_name, digest, len(data), *shape, part, problem)


def build_index(rows: Iterable[tuple[object, ...]]) -> pd.DataFrame:
    """Rows into a table sorted by path, so that the order of listing never shows."""
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return table.sort_values("path", ignore_index=True)


def class_names(index: pd.DataFrame) -> list[str]:
    """Sorted; a label is a position in this list."""
    return sorted(index["class_name"].unique())


def check_classes(names: list[str], source: Path) -> None:
    if len(names) < 2:
        found = f"1 class folder ('{names[0]}')" if names else "no class folder with files in it"
        raise DatasetError(
            f"{source}: found {found}, need at least 2; put each class in a folder of its own: <class>/*.jpg"
        )
