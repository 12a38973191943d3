"""Ingest a source: copy its files unchanged to `data/ingested` and write one row of the index for each file."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from pawline.errors import DatasetError
from pawline.files import whole_folder
from pawline.index import IndexRow, IndexRows
from pawline.params.ingest import IngestParams
from pawline.pictures.decode import BadImage, read_header
from pawline.relabel import Decision, Relabelling
from pawline.side_by_side import side_by_side
from pawline.sources.class_folders import Place, check_classes
from pawline.sources.classified import ClassifiedSource, open_classified
from pawline.sources.file_kinds import is_no_picture, is_other_name
from pawline.sources.hints import FOLDER_PER_CLASS, hint
from pawline.sources.listing import TOO_LARGE, Read, display_path, name_problem
from pawline.sources.understood import describe
from pawline.terminal import say


@dataclass(frozen=True)
class IngestResult:
    """rows: one for each file of a class. num_unlabelled: files of a test folder without class folders.
    num_beside_classes: other files without a class, such as a readme. not_pictures: files in class folders that are
    no pictures by name and content, such as a sidecar; by ending.
    understood: lines that say what was understood of the source. relabelling: what people's decisions changed."""

    rows: IndexRows
    num_unlabelled: int
    num_beside_classes: int
    not_pictures: Counter[str]
    understood: list[str]
    relabelling: Relabelling


def ingest(params: IngestParams, raw: Path, downloads: Path, decisions: Sequence[Decision] = ()) -> IngestResult:
    """Copy every visible file of the source to `raw`. Raises DatasetError.

    `raw` appears whole or not at all. A file that cannot be read becomes a row with a problem, not an error.
    downloads: the folder that keeps a download until it is ingested.
    decisions: what people decided about labels, see relabel.py; they change the index, never a file.
    """
    with open_classified(params, downloads) as source:
        for note in source.listing.notes:
            say(note)
        _refuse_linked_classes(source)
        places = {(place.given_part, place.class_name) for place in map(source.place, source.positions())}
        advice = FOLDER_PER_CLASS if source.listing.has_classes else hint(source.listing.paths)
        check_classes(sorted({name for _, name in places}), params.source, source.empty_classes(places), advice)
        not_pictures: Counter[str] = Counter()
        relabelling = Relabelling(decisions, {display_path(name) for _, name in places})
        with whole_folder(raw) as folder:
            rows = _copy_files(source, folder, not_pictures, relabelling)
            check_classes(sorted({*rows.texts("class_name")}), params.source, advice=advice)
        num_beside = int((~source.has_place).sum()) - source.num_unlabelled
        understood = [*describe(source, rows, num_beside, not_pictures), *relabelling.lines()]
        return IngestResult(rows, source.num_unlabelled, num_beside, not_pictures, understood, relabelling)


def _refuse_linked_classes(source: ClassifiedSource) -> None:
    for path, has_place in zip(source.listing.paths, source.has_place, strict=True):
        if not has_place and path in source.listing.linked_folders:
            raise DatasetError(
                f"{display_path(path)}: a linked folder, which is not entered, where a class is expected; "
                "set ingest.follow_links to true, put the folder itself there, or list the pictures in a "
                "table of path,label"
            )


def _copy_files(
    source: ClassifiedSource, folder: Path, not_pictures: Counter[str], relabelling: Relabelling
) -> IndexRows:
    """The rows of the index. not_pictures: receives the endings of files that are no pictures."""
    rows = IndexRows()
    every_file = source.listing.has_classes  # who lists a file in a table says that it is a picture
    calls = (partial(_copy, source.place(position), read, folder, every_file) for position, read in source.reads())
    results = side_by_side(_call_each, calls, 1, source.listing.num_threads)
    for row in tqdm(results, desc="ingest", unit="file", total=int(source.has_place.sum()), disable=None):
        if isinstance(row, str):
            not_pictures[row.lower()] += 1
        elif decided := relabelling.apply(row):
            rows.add(decided)
    return rows


def _call_each(calls: list[partial[IndexRow | str]]) -> list[IndexRow | str]:
    return [call() for call in calls]


def _copy(place: Place, read: Read, folder: Path, every_file: bool) -> IndexRow | str:
    """Copy a file and return its row, or the ending of its name where it is no picture and not `every_file` counts."""
    path = display_path(place.path)  # a name that is not UTF-8, as old archives hold them, with escapes
    problem = name_problem(path)
    data = b""
    if not problem:
        try:
            data = read()
        except OSError as error:
            problem = error.strerror or str(error)
    if not every_file and (_is_video(place, problem) if problem else is_no_picture(place.path, data)):
        return PurePosixPath(place.path).suffix
    if not problem:
        _write(folder / path, data)
    return _row(place, data, problem)


def _is_video(place: Place, problem: str) -> bool:
    """Whether a file too large to read is no picture by its name."""
    return problem == TOO_LARGE and is_other_name(place.path)


def _row(place: Place, data: bytes, problem: str) -> IndexRow:
    try:
        header = read_header(data)
        shape = (header.format, header.width, header.height, header.animated)
    except BadImage:
        shape = ("", 0, 0, False)
    digest = b"" if problem else hashlib.sha256(data).digest()
    path, class_name = display_path(place.path), display_path(place.class_name)
    given = (place.given_part, place.given_group, class_name)
    return IndexRow(path, class_name, digest, len(data), *shape, *given, problem)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:  # a full disk: the error of Python lacks the file name
        raise OSError(error.errno, error.strerror, str(path)) from None


def summarize(result: IngestResult) -> dict[str, Any]:
    """The content of `metrics/ingest.json`."""
    rows = result.rows
    per_class = Counter(rows.texts("class_name"))
    return {
        "num_files": len(rows),
        "num_bytes": rows.num_bytes,
        "num_classes": len(per_class),
        "num_files_per_class": dict(per_class),
        "num_unreadable": sum(1 for problem in rows.texts("problem") if problem),
        "num_unlabelled": result.num_unlabelled,
        "num_beside_classes": result.num_beside_classes,
        "num_not_pictures": result.not_pictures.total(),
        "num_relabelled": result.relabelling.num_relabelled,
        "num_removed": result.relabelling.num_removed,
        "num_decisions_unmatched": result.relabelling.num_unmatched,
    }
