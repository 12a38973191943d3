"""Draw the page on which a person confirms or corrects labels by keyboard, and downloads the decisions."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

import pandas as pd

from pawline.files import read_regular_file
from pawline.page.album import jpeg_uri
from pawline.page.template import render
from pawline.pictures.decode import Pixels, safe_thumbnail, to_jpeg
from pawline.relabel import COLUMNS, NO_CLASS

SIDE = 256  # pixels of the longer side of a picture on the page


def render_suspects(found: pd.DataFrame, class_names: list[str], source: str, raw: Path) -> str:
    """One HTML page that needs no other file and no network.

    found: from find_suspects; raw: the folder of the files, whose pictures are decoded and encoded again, so that no
    metadata reaches the page."""
    script = files("pawline.page").joinpath("suspects.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = [row | {"picture": _picture(raw / row["path"])} for row in found.to_dict("records")]
    data = {
        "rows": found[["digest", "path", "label", "suggested"]].to_dict("records"),
        "columns": COLUMNS,
        "none": NO_CLASS,
        "classes": class_names,
    }
    return render(
        "suspects.html",
        rows=rows,
        data=data,
        source=source,
        class_names=class_names,
        script=script,
        script_digest=digest,
        none=NO_CLASS,
    )


def _picture(file: Path) -> str:
    """The picture as a data: URI; empty where it can no longer be read."""
    try:
        pixels: Pixels | None = safe_thumbnail(read_regular_file(file), SIDE)
    except OSError:
        pixels = None
    return "" if pixels is None else jpeg_uri(to_jpeg(pixels))
