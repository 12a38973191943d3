"""Tables as a source: a table lists the pictures with their classes, and perhaps their parts and groups.

docs/sources.md has the forms. A table may be the source itself, or lie beside its pictures in a folder, an archive or a
bucket, or in each of the folders train, val and test.
"""

import os
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from pawline.errors import DatasetError, ParamsError
from pawline.files import is_litter_name
from pawline.params.ingest import TableParams
from pawline.sources.class_folders import READY_MADE_PARTS, ClassFolders, are_pieces, find_class_folders
from pawline.sources.embedded_pictures import name_in_table, read_embedded
from pawline.sources.file_kinds import PICTURE_SUFFIXES
from pawline.sources.folders import list_folder, read_below
from pawline.sources.listing import (
    CONTROL_CHARACTER,
    MAX_NAME_BYTES,
    Listing,
    Read,
    first_repeated,
)
from pawline.sources.table_columns import Columns, find_columns
from pawline.sources.table_files import SUFFIXES, Table
from pawline.sources.table_pictures import PictureFinder

# Tables with these names are looked for in a source: ours, Hugging Face's and Roboflow's.
OURS = ("labels.csv", "labels.parquet")
STEMS = ("labels", "metadata", "_classes", "annotations")

FOLDERS_INSTEAD = ", or set ingest.table.path to 'none' to use the folders"


@dataclass(frozen=True)
class Found:
    """A table in a source. folder: the table's own, empty or with a "/" at its end; part: what that folder says."""

    path: str
    part: str = ""

    @property
    def folder(self) -> str:
        return self.path[: self.path.rfind("/") + 1]


@dataclass
class _Rows:
    """What the tables say of each picture; `paths` are `<label>/<path of the file>`."""

    paths: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    embedded: list[tuple[Table, NDArray[np.int64]]] = field(default_factory=list)

    def path_of(self, position: int) -> str:
        return self.paths[position].split("/", 1)[1]

    def listing(
        self, reads: Callable[[NDArray[np.bool_]], Iterator[tuple[int, Read]]], num_threads: int
    ) -> Listing:
        return Listing(
            self.paths,
            partial(read_embedded, self.embedded) if self.embedded else reads,
            has_classes=True,
            num_threads=num_threads,
            given_parts=self.parts if any(self.parts) else [],
            given_groups=self.groups if any(self.groups) else [],
            notes=tuple(self.notes),
        )


def list_table(file: Path, params: TableParams, follow_links: bool = False) -> Listing:
    """The files that a table lists, as `<label>/<path>`. Raises DatasetError."""
    folder = file.parent
    finder = PictureFinder(partial(_is_file, folder), partial(_paths_below, folder, follow_links))
    rows = _Rows()
    table = Table(str(file), file)
    _add_rows(rows, table, find_columns(table, params), Found(file.name), finder)
    _check(rows, table.name)
    return rows.listing(partial(read_below, folder, rows.path_of, follow_links=follow_links), num_threads=1)


def _is_file(folder: Path, path: str) -> bool:
    return os.path.isfile(folder / path)  # noqa: PTH113 - a Path would raise an error where permission is missing


def _paths_below(folder: Path, follow_links: bool) -> list[str]:
    try:
        return list_folder(folder, follow_links).paths
    except (
        DatasetError
    ):  # a folder that cannot be listed: a row that means a file in it becomes a row with a problem
        return []


def through_table(
    listing: Listing, source: str, params: TableParams, folder: Path | None = None, follow_links: bool = False
) -> Listing:
    """The listing as the tables in it say, or the listing itself where the folders are to give the classes.

    source: its name in messages. folder: the source itself where it is a folder of this machine.
    Raises DatasetError where a table and the folders say different things.
    """
    if params.uses_no_table:
        return listing
    has_tables = any(path.lower().endswith(SUFFIXES) for path in listing.paths)
    classes = _classes_of_folders(listing.paths, source) if has_tables else None
    found = find_tables(listing.paths, any_name=not classes) if has_tables else []
    if not found:
        _refuse_chosen_columns(params, source)
        return _with_unread_tables(listing, source) if has_tables else listing
    rows = _Rows()
    finder = PictureFinder(frozenset(listing.paths).__contains__, lambda: listing.paths)
    if folder:
        finder = PictureFinder(partial(_is_file, folder), lambda: listing.paths)
    tables = [(place, Table(*_content(listing, source, place, folder))) for place in found]
    for place, table in _with_classes(tables, params, rows):
        is_ours = folder is not None and place.path in OURS
        if why_not := _add_table(rows, table, place, finder, params, classes, is_ours):
            return _with_note(listing, why_not)
    if 0 < len(rows.embedded) < len(tables):
        raise DatasetError(
            f"{source}: only some of its tables hold the pictures' bytes; set ingest.source to one kind"
        )
    _check(rows, source)
    rows.notes += _unlisted(rows, listing, source)
    if folder:
        reads = partial(read_below, folder, rows.path_of, follow_links=follow_links)
        return rows.listing(reads, num_threads=1)
    return rows.listing(partial(_reads_of_rows, rows, listing), num_threads=listing.num_threads)


def _refuse_chosen_columns(params: TableParams, source: str) -> None:
    """Raise ParamsError where params name columns of a table that is not there."""
    if params.chosen:
        key, column = next(iter(params.chosen.items()))
        raise ParamsError(
            f"ingest.table.{key} is {column!r}, but {source} has no table; call it labels.csv and put it beside "
            "the pictures, or leave the section ingest.table empty"
        )


def _add_table(
    rows: _Rows,
    table: Table,
    place: Found,
    finder: PictureFinder,
    params: TableParams,
    classes: ClassFolders | None,
    is_ours: bool,
) -> str:
    """Add what a table says of the pictures. Returns why the folders count instead, which ends the search for tables;
    empty where the table counts.

    classes: those of the folders. is_ours: whether the table has a name of the documented form.
    """
    try:
        columns = find_columns(table, params)
    except DatasetError as error:
        if classes and not params.chosen:  # some other table, such as a list of captions
            return f"{error}; the folders give the classes"
        raise
    folders_count = classes and not params.label and not (is_ours and columns.are_the_documented_ones)
    if folders_count and not columns.sure:
        return f"{table.name}: no column is sure to hold classes; the folders give them"
    start = len(rows.paths)
    try:
        _add_rows(rows, table, columns, place, finder)
    except DatasetError as error:
        raise DatasetError(f"{error}{FOLDERS_INSTEAD}" if classes else str(error)) from None
    if classes and folders_count:
        _refuse_other_classes(rows, start, classes, table.name, columns)
        if not (params.chosen or any(rows.parts) or any(rows.groups)):
            return f"{table.name}: gives no other classes than the folders, and is not used"
    return ""


def _with_unread_tables(listing: Listing, source: str) -> Listing:
    """The listing with a note where a table lies beside class folders, since it may hold the true classes."""
    try:
        names = [place.path for place in find_tables(listing.paths, any_name=True)]
    except DatasetError:
        names = []
    if len(names) != 1:
        return listing
    note = f"{source}: the folders give the classes; '{names[0]}' is not read (to use it, call it labels.csv)"
    return _with_note(listing, note)


def find_tables(paths: Sequence[str], any_name: bool) -> list[Found]:
    """The tables of a source: one beside the pictures, or one in each folder of a part.

    any_name: whether a lone table of any name counts too.
    """
    root = ""
    while True:
        files = sorted(path for path in paths if path.startswith(root) and "/" not in path[len(root) :])
        folders = sorted(
            {path[len(root) :].split("/", 1)[0] for path in paths if path.startswith(root)} - _names(files)
        )
        tables = [path for path in files if PurePosixPath(path).suffix.lower() in SUFFIXES]
        if known := [path for stem in STEMS for path in tables if PurePosixPath(path).stem.lower() == stem]:
            return [Found(known[0])]
        if in_parts := _tables_in_parts(root, folders, paths):
            return in_parts
        if any_name and (shards := _shards(root, folders, tables, paths)):
            return shards
        if any_name and (lone := [path for path in tables if "submission" not in path.lower()]):
            if len(lone) == 1:
                return [Found(lone[0])]
            if len(by_part := {_part_of_name(path): path for path in lone}) == len(lone) and "train" in by_part:
                return [Found(path, part) for part, path in by_part.items()]
            _refuse_several(lone)
        if len(folders) != 1:
            return []
        root += f"{folders[0]}/"


def _part_of_name(path: str) -> str:
    """train_labels.csv -> train; empty for a name that begins with no part."""
    match = re.match("|".join(READY_MADE_PARTS), path.rsplit("/", 1)[-1].lower())
    return READY_MADE_PARTS[match[0]] if match else ""


def _names(paths: list[str]) -> set[str]:
    return {path.rsplit("/", 1)[-1] for path in paths}


def _tables_in_parts(root: str, folders: list[str], paths: Sequence[str]) -> list[Found]:
    existing = frozenset(paths)
    parts = {
        f"{root}{name}/": READY_MADE_PARTS[name.lower()] for name in folders if name.lower() in READY_MADE_PARTS
    }
    if "train" not in parts.values() or len(parts) < 2:
        return []
    for stem in STEMS:
        for suffix in SUFFIXES:
            found = [Found(f"{folder}{stem}{suffix}", part) for folder, part in parts.items()]
            found = [table for table in found if table.path in existing]
            if found:
                return found
    return []


def _shards(root: str, folders: list[str], tables: list[str], paths: Sequence[str]) -> list[Found]:
    """The Parquet files of the Hugging Face Hub: train-00000-of-00002.parquet and so on, or train/0000.parquet."""
    shards = {path: _part_of_name(path) for path in tables if path.lower().endswith(".parquet")}
    if not tables and folders and all(name.lower() in READY_MADE_PARTS for name in folders):
        inner = sorted(path for path in paths if path.startswith(root) and path.lower().endswith(".parquet"))
        shards = {path: READY_MADE_PARTS[path[len(root) :].split("/", 1)[0].lower()] for path in inner}
    has_parts = "train" in shards.values() and len({*shards.values()}) > 1 and all(shards.values())
    return [Found(path, part if has_parts else "") for path, part in shards.items()]


def _refuse_several(paths: list[str]) -> NoReturn:
    raise DatasetError(
        f"'{paths[0]}' and '{paths[1]}' may each be the table of the pictures; call the right one labels.csv, or set "
        "ingest.source to it"
    )


def _content(listing: Listing, source: str, place: Found, folder: Path | None) -> tuple[str, Path | bytes]:
    """The name and the content of a table."""
    if folder:
        return str(folder / place.path), folder / place.path
    wanted = np.array([path == place.path for path in listing.paths])
    ((_, read),) = listing.reads(wanted)
    try:
        return f"{source}: {place.path}", read()
    except OSError as error:
        raise DatasetError(f"{source}: {place.path}: cannot be read: {error.strerror or error}") from None


def _with_classes(
    tables: list[tuple[Found, Table]], params: TableParams, rows: _Rows
) -> list[tuple[Found, Table]]:
    """The tables whose rows have a class: competitions ship a test.csv whose classes they keep secret."""
    train = next((table for place, table in tables if place.part == "train"), None)
    if train is None or len({place.folder for place, _ in tables}) > 1:
        return tables
    columns = find_columns(train, params)
    needed = {columns.label} if columns.label else {*columns.classes}
    for _, table in tables:
        if not needed <= {*table.columns}:
            rows.notes.append(
                f"{table.name}: has no column {min(needed)!r}: pictures without a class are passed over"
            )
    kept = [(place, table) for place, table in tables if needed <= {*table.columns}]
    return kept if len(kept) > 1 else [(Found(place.path), table) for place, table in kept]


def _add_rows(rows: _Rows, table: Table, columns: Columns, place: Found, finder: PictureFinder) -> None:
    before, by_number, missing = finder.num_found_by_name, finder.num_found_by_number, finder.num_missing
    num_labels, start = len(columns.classes) or 1, len(rows.paths)
    is_embedded = table.bytes_column == columns.path
    positions, num_secret = array("q"), 0
    for number, (given, *values) in enumerate(table.rows(columns.read), start=1):
        where = f"{table.name}: row {number}"
        classes, others = values[:num_labels], values[num_labels:]
        name = name_in_table(place.path, number, given) if is_embedded else given
        _check_name(name, where)
        label = classes[0] if columns.label else columns.class_of(classes, f"{where}: {name!r}")
        part = columns.part_of(others.pop(0), where) if columns.part else place.part
        if part == "test" and not label:
            positions.append(-1)
            num_secret += 1
            continue
        _check_label(label, name, where)
        positions.append(len(rows.paths))
        rows.paths.append(f"{label}/{name if is_embedded else finder.find(place.folder, name, part, where)}")
        rows.parts.append(part)
        rows.groups.append(others.pop(0) if columns.group else "")
    if is_embedded:
        rows.embedded.append((table, np.array(positions, np.int64)))
    if num_secret:
        rows.notes.append(f"{table.name}: {num_secret} pictures of test have no label and are passed over")
    if {*table.columns} != {"path", "label"}:
        rows.notes.append(f"{table.name}: {columns}")
    if found := finder.num_found_by_name - before:
        rows.notes.append(f"{table.name}: {found} pictures found by their name without folder or ending")
    if found := finder.num_found_by_number - by_number:
        rows.notes.append(
            f"{table.name}: {found} pictures found by their number without its zeros (1 for 001.jpg)"
        )
    listed = len(rows.paths) - start
    if listed and finder.num_missing - missing == listed:
        raise DatasetError(
            f"{table.name}: none of its {listed:,} pictures is there, such as {rows.path_of(start)!r}; "
            f"{finder.advice()}"
        )


def _check_name(name: str, where: str) -> None:
    """Raise DatasetError for a path that cannot be used."""
    if not PurePosixPath(name).name:
        raise DatasetError(f"{where}: the path is empty")
    if any("\ud800" <= letter <= "\udc7f" or "\udd00" <= letter <= "\udfff" for letter in name):
        raise DatasetError(f"{where}: path {name!r} has half of a character, as no picture's name does")
    if CONTROL_CHARACTER.search(name):
        raise DatasetError(f"{where}: path {name!r} has a control character, as no picture's name does")


def _check_label(label: str, name: str, where: str) -> None:
    """Raise DatasetError for a label that cannot be used."""
    if not label:
        raise DatasetError(f"{where}: {name!r} has no label; add a label, or leave the row out")
    if not _can_name_a_folder(label):
        raise DatasetError(
            f"{where}: label {label!r} cannot be a class name, since no folder can have that name; write it without "
            "slashes, line breaks and a leading dot"
        )


def _can_name_a_folder(label: str) -> bool:
    try:
        fits = len(label.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        return False
    return fits and not is_litter_name(label) and not CONTROL_CHARACTER.search(label) and not {*"/\\"} & {*label}


def _check(rows: _Rows, source: str) -> None:
    """Raise DatasetError for a row that stands twice, or parts without train."""
    if repeated := first_repeated(rows.paths):
        label, path = repeated[0].split("/", 1)
        raise DatasetError(f"{source}: lists '{path}' as '{label}' twice; leave one of the rows out")
    counts = Counter(rows.parts)
    if {*counts} - {""} and not counts["train"]:
        parts = ", ".join(sorted({*counts} - {""}))
        raise DatasetError(
            f"{source}: its parts are {parts}, but 'train' is missing; add pictures of train, or set ingest.table.part"
        )


# --- folders that give classes too ----------------------------------------------------------------


def _classes_of_folders(paths: Sequence[str], source: str) -> ClassFolders | None:
    """The class folders, where the folders alone would do as a data set."""
    try:
        folders = find_class_folders(paths, source)
    except DatasetError:
        return None
    names = {place.class_name for place in map(folders.place, paths) if place}
    are_parts = all(re.match(rf"({'|'.join(READY_MADE_PARTS)})[-_ ]", name.lower()) for name in names)
    # train_images/ beside test_images/ are no classes, nor are images_part_1/ beside images_part_2/.
    return None if len(names) < 2 or are_parts or are_pieces(names) else folders


def _differs(rows: _Rows, start: int, classes: ClassFolders) -> str:
    """The first row whose class is not its folder's, as text; empty where there is none."""
    for path in rows.paths[start:]:
        label, file = path.split("/", 1)
        place = classes.place(file)
        if place and place.class_name != label:
            return f"'{file}' is {label!r} in the table"
    return ""


def _refuse_other_classes(rows: _Rows, start: int, classes: ClassFolders, table: str, columns: Columns) -> None:
    if differs := _differs(rows, start, classes):
        chosen = (
            f"set ingest.table.label to {columns.label!r} to use the table"
            if columns.label
            else "empty the folders"
        )
        raise DatasetError(
            f"{table}: the table and the class folders disagree: {differs}; {chosen}{FOLDERS_INSTEAD}"
        )


def _with_note(listing: Listing, note: str) -> Listing:
    return replace(listing, notes=(*listing.notes, note))


def _unlisted(rows: _Rows, listing: Listing, source: str) -> list[str]:
    listed = {rows.path_of(position) for position in range(len(rows.paths))}
    pictures = (path for path in listing.paths if PurePosixPath(path).suffix.lower() in PICTURE_SUFFIXES)
    num_unlisted = sum(path not in listed for path in pictures)
    return (
        [f"{source}: {num_unlisted} pictures have no row in the table and are passed over"] if num_unlisted else []
    )


def _reads_of_rows(rows: _Rows, listing: Listing, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, Read]]:
    """The `reads` of a listing whose files lie in another listing: an archive's. A file may have several rows."""
    positions = {path: position for position, path in enumerate(listing.paths)}
    rows_of: dict[int, list[int]] = {}
    for row in map(int, np.flatnonzero(wanted)):
        position = positions.get(rows.path_of(row), -1)
        if position < 0:
            yield row, _read_missing
        else:
            rows_of.setdefault(position, []).append(row)
    mask = np.zeros(len(listing.paths), bool)
    mask[list(rows_of)] = True
    for position, read in listing.reads(mask):
        for row in rows_of[position]:
            yield row, read


def _read_missing() -> NoReturn:
    raise OSError("listed in the table, but not in the archive")
