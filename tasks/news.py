"""What a source holds by now that the data set in use does not."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pawline.class_folders import ClassFolders, find_class_folders
from pawline.errors import PawlineError
from pawline.images import BadImage, read_header
from pawline.ingest import DOWNLOADS
from pawline.params import IngestParams
from pawline.sources import open_source
from tasks.layout import Layout
from tasks.workspace import main_checkout

Content = tuple[str, str]  # class name and SHA-256 of a file


@dataclass(frozen=True)
class News:
    """num_new: images whose content the data set does not have yet, and whose header can be read.
    changed: whether anything differs, files that are gone or bad included. digest: of all there is now."""

    num_new: int
    changed: bool
    digest: str


def look(params: IngestParams, workspace: Path) -> News:
    """Compare a source with the index of what was taken in. Reads every file once; nothing is written."""
    known, found = _known(workspace / Layout().index), _found(params, workspace)
    contents = {content for _, content in known}
    new = {content for (_, content), good in found.items() if good and content not in contents}
    digest = hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
    return News(len(new), changed=found.keys() != known, digest=digest)


def _known(index: Path) -> set[Content]:
    if not index.exists():
        return set()
    try:
        rows = pq.read_table(index, columns=["class_name", "digest"]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise PawlineError(f"{index}: cannot be read: {error}; get it again with `dvc checkout`") from None
    return {(row["class_name"], row["digest"]) for row in rows if row["digest"]}


def _found(params: IngestParams, workspace: Path) -> dict[Content, bool]:
    """For each content of a class, whether its header can be read."""
    source = params.source if "://" in params.source else str(workspace / params.source)
    absolute = params.model_copy(update={"source": source})
    with open_source(absolute, main_checkout(workspace) / DOWNLOADS) as listing:
        folders = ClassFolders() if listing.has_classes else find_class_folders(listing.paths, source)
        places = [folders.place(path) for path in listing.paths]
        wanted = np.array([place is not None for place in places], bool)
        found: dict[Content, bool] = {}
        for position, read in listing.reads(wanted):
            with suppress(OSError):  # not to be had: ingest says so in its index
                data = read()
                found[places[position].class_name, hashlib.sha256(data).hexdigest()] = _has_header(data)
        return found


def _has_header(data: bytes) -> bool:
    try:
        read_header(data)
    except BadImage:
        return False
    return True
