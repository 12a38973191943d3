"""What is new in a source since it was taken in: by path, which is quick, or by content, which reads every file."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pawline.addresses import is_address
from pawline.errors import DatasetError, PawlineError
from pawline.params.ingest import IngestParams
from pawline.pictures.decode import BadImage, read_header
from pawline.relabel import NO_CLASS, kept_decisions
from pawline.sources.classified import ClassifiedSource, open_classified
from pawline.sources.file_kinds import is_no_picture, is_other_name, is_picture_name
from pawline.sources.listing import TOO_LARGE, Read, display_path
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import Layout, LocalState

# By path


@dataclass(frozen=True)
class ChangesByPath:
    """How many images of a folder are new, changed or gone."""

    new: int
    changed: int
    removed: int

    def __str__(self) -> str:
        counts = [f"{count} {name}" for name, count in vars(self).items() if count]
        return f"{', '.join(counts)} images" if counts else "no image changed, but other files"


def changes_by_path(
    folder: Path, index: Path, since: datetime | None, params: IngestParams | None = None
) -> ChangesByPath | None:
    """Compare a folder with the index. None where that cannot be done: no index, or no data set any more.

    Of the same path and size, only files touched since are read (all where the time is not known); DVC had to
    read those, too.
    """
    try:
        rows = pq.read_table(index, columns=["path", "bytes", "digest"]).to_pylist()
        known = {row["path"]: row for row in rows}
        ingest = params or IngestParams(source=str(folder), sha256=None)
        downloads = LocalState(main_checkout()).downloads
        with open_classified(
            ingest.model_copy(update={"source": str(folder), "sha256": None}), downloads
        ) as source:
            paths = {position: display_path(source.place(position).path) for position in source.positions()}
            kept = {position: known[path] for position, path in paths.items() if path in known}
            removed = {
                one.path for one in kept_decisions(index.with_name(Layout().relabel.name)) if one.label == NO_CLASS
            }
            new = {position for position, path in paths.items() if path not in known and path not in removed}
            num_new = len(new) - _num_not_pictures(source, new)
            num_changed = _num_changed(folder, source, kept, since.timestamp() if since else 0)
    except (OSError, pa.ArrowException, DatasetError):
        return None
    return ChangesByPath(num_new, num_changed, len(known) - len(kept))


def _num_not_pictures(source: ClassifiedSource, positions: set[int]) -> int:
    """How many of these files `ingest` would leave out of the index, as sidecars of pictures are."""
    if source.listing.has_classes:
        return 0
    to_read = np.zeros(len(source.has_place), bool)
    to_read[[number for number in positions if not is_picture_name(source.listing.paths[number])]] = True
    return sum(_is_no_picture(source.listing.paths[number], read) for number, read in source.reads(to_read))


def _is_no_picture(path: str, read: Read) -> bool:
    try:
        return is_no_picture(path, read())
    except OSError as error:
        return str(error) == TOO_LARGE and is_other_name(path)


def _num_changed(folder: Path, source: ClassifiedSource, kept: dict[int, dict[str, Any]], since: float) -> int:
    num_resized = 0
    to_read = np.zeros(len(source.has_place), bool)
    for position, row in kept.items():
        path = source.listing.paths[position]
        # In a table's listing the label stands before the path.
        file = folder / (path.split("/", 1)[1] if source.listing.has_classes else path)
        if row["digest"] and file.exists():  # without a digest, it could not be read then either
            stat = file.stat()
            num_resized += stat.st_size != row["bytes"]
            to_read[position] = stat.st_size == row["bytes"] and stat.st_ctime >= since
    reread = (_digest(read) != kept[position]["digest"] for position, read in source.reads(to_read))
    return num_resized + sum(map(int, reread))


def _digest(read: Read) -> str:
    try:
        return hashlib.sha256(read()).hexdigest()
    except OSError:
        return "cannot be read"


# By content

Content = tuple[str, str]  # class name and SHA-256 of a file


@dataclass(frozen=True)
class ChangesByContent:
    """num_new: images whose content the data set does not have yet, and whose header can be read.
    changed: whether anything differs, files that are gone or bad included. digest: of all there is now."""

    num_new: int
    changed: bool
    digest: str


def changes_by_content(params: IngestParams, workspace: Path) -> ChangesByContent:
    """Compare a source with the index of what was taken in. Reads every file once; nothing is written."""
    known, now = _known_contents(workspace / Layout().index), _contents_now(params, workspace)
    digests = {digest for _, digest in known}
    new = {digest for (_, digest), has_header in now.items() if has_header and digest not in digests}
    digest_of_all = hashlib.sha256(json.dumps(sorted(now)).encode()).hexdigest()
    return ChangesByContent(len(new), changed=now.keys() != known, digest=digest_of_all)


def _known_contents(index: Path) -> set[Content]:
    if not index.exists():
        return set()
    try:
        rows = pq.read_table(index, columns=["class_name", "digest"]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise PawlineError(f"{index}: cannot be read: {error}; get it again with `dvc checkout`") from None
    return {(row["class_name"], row["digest"]) for row in rows if row["digest"]}


def _contents_now(params: IngestParams, workspace: Path) -> dict[Content, bool]:
    """Each content of a class in the source, and whether its header can be read."""
    source_path = params.source if is_address(params.source) else str(workspace / params.source)
    absolute = params.model_copy(update={"source": source_path})
    decided = {one.digest: one.label for one in kept_decisions(workspace / Layout().relabel)}
    contents: dict[Content, bool] = {}
    with open_classified(absolute, LocalState(main_checkout(workspace)).downloads) as source:
        for position, read in source.reads():
            with suppress(OSError):  # cannot be read: ingest says so in its index
                data = read()
                if not source.listing.has_classes and is_no_picture(source.listing.paths[position], data):
                    continue
                digest = hashlib.sha256(data).hexdigest()
                class_name = decided.get(digest, source.place(position).class_name)
                if class_name != NO_CLASS:
                    contents[class_name, digest] = _has_header(data)
    return contents


def _has_header(data: bytes) -> bool:
    try:
        read_header(data)
    except BadImage:
        return False
    return True
