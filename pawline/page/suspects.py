"""Draw the page on which a person confirms or corrects labels by keyboard, and downloads the decisions."""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from pawline.files import read_regular_file
from pawline.label_queue import Queued
from pawline.page.album import jpeg_uri
from pawline.page.inputs import records
from pawline.page.template import render
from pawline.pictures.decode import Pixels, safe_thumbnail, to_jpeg
from pawline.relabel import COLUMNS, NO_CLASS

SIDE = 256  # pixels of the longer side of a picture on the page
# What the page says about pictures with a doubtful label, and about pictures without one.
SUSPECTS = {
    "one": "likely wrong label",
    "many": "likely wrong labels",
    "nothing": "No label looks wrong.",
    "order": "The likeliest mistakes come first; a model can be wrong too, so look at each picture.",
    "then": "pawline relabel decisions.csv",
}
QUEUE = {
    "one": "picture worth a label",
    "many": "pictures worth a label",
    "nothing": "No picture is worth a label: all are decided.",
    "order": "The model can be wrong, most of all about what is unlike its training data, so look at each picture.",
    "then": "pawline relabel decisions.csv --add-to FOLDER",
}


def render_suspects(found: pd.DataFrame, class_names: list[str], source: str, raw: Path) -> str:
    """One HTML page that needs no other file and no network.

    found: from find_suspects; raw: the folder of the files, whose pictures are decoded and encoded again, so that no
    metadata reaches the page."""
    rows = [row | {"picture": _picture(raw / row["path"])} for row in records(found)]
    return _render(rows, class_names, source, SUSPECTS)


def render_queue(queue: Sequence[Queued], class_names: list[str], source: str) -> str:
    """The same page for pictures without a label. A picture whose bytes have changed since is not shown.

    queue: from label_queue.read_queue; source: how they were chosen, in words."""
    rows = [
        {
            "digest": one.digest,
            "path": one.path,
            "label": "",
            "suggested": one.suggested,
            "probability_of_suggested": one.probability,
            "why": one.why,
            "picture": _picture(Path(one.path), one.digest),
        }
        for one in queue
    ]
    return _render(rows, class_names, source, QUEUE)


def _render(rows: list[dict[str, Any]], class_names: list[str], source: str, words: dict[str, str]) -> str:
    script = files("pawline.page").joinpath("suspects.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = {
        "rows": [{name: row[name] for name in ("digest", "path", "label", "suggested")} for row in rows],
        "columns": COLUMNS,
        "none": NO_CLASS,
        "classes": class_names,
    }
    return render(
        "suspects.html",
        rows=rows,
        data=data,
        source=source,
        words=words,
        heading=f"{f'{len(rows):,}' if rows else 'No'} {words['one'] if len(rows) == 1 else words['many']}",
        class_names=class_names,
        script=script,
        script_digest=digest,
        none=NO_CLASS,
    )


def _picture(file: Path, digest: str | None = None) -> str:
    """The picture as a data: URI; empty where it can no longer be read, or where its bytes have another digest."""
    pixels: Pixels | None = None
    with suppress(OSError):
        content = read_regular_file(file)
        if digest in (None, hashlib.sha256(content).hexdigest()):
            pixels = safe_thumbnail(content, SIDE)
    return "" if pixels is None else jpeg_uri(to_jpeg(pixels))
