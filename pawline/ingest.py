"""Take a source in: its bytes unchanged under `data/raw`, one row of the index per file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from pawline.files import whole_folder
from pawline.index import (
    build_index,
    check_classes,
    class_names,
    find_class_root,
    index_row,
    is_ready_made,
    place,
)
from pawline.params import IngestParams
from pawline.sources import Entry, open_source


def ingest(params: IngestParams, raw: Path) -> pd.DataFrame:
    """Copy every visible file of the source to `raw` and return the index. Raises DatasetError.

    `raw` appears whole or not at all. A file that cannot be read is a row with a problem, not an error.
    """
    source = Path(params.source)
    with open_source(source, params.sha256) as entries:
        root = find_class_root(entry.path for entry in entries)
        inside = [
            Entry(entry.path.relative_to(root), entry.read) for entry in entries if entry.path.is_relative_to(root)
        ]
        ready_made = is_ready_made((entry.path for entry in inside), source)
        # A file beside the class folders, a readme say, belongs to no class.
        images = [entry for entry in inside if len(entry.path.parts) > (2 if ready_made else 1)]
        check_classes(sorted({place(entry.path, ready_made)[0] for entry in images}), source)
        with whole_folder(raw) as folder:
            return build_index(_take_in(images, folder, ready_made))


def _take_in(entries: list[Entry], folder: Path, ready_made: bool) -> Iterator[tuple[object, ...]]:
    for entry in tqdm(entries, desc="ingest", unit="file", disable=None):
        try:
            data = entry.read()
        except OSError as error:
            yield index_row(entry.path, ready_made, b"", problem=error.strerror or str(error))
            continue
        _write(folder / entry.path, data)
        yield index_row(entry.path, ready_made, data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def summarize(index: pd.DataFrame) -> dict[str, Any]:
    """What `metrics/ingest.json` holds."""
    return {
        "num_files": len(index),
        "num_bytes": int(index["bytes"].sum()),
        "num_classes": len(class_names(index)),
        "num_files_per_class": {str(name): int(n) for name, n in index["class_name"].value_counts().items()},
        "num_unreadable": int((index["problem"] != "").sum()),
    }
