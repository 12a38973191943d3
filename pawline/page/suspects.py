"""Draw the page on which a person confirms or corrects labels by keyboard, and downloads the decisions."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd

from pawline.files import read_regular_file
from pawline.page.words import percent, plural, short
from pawline.pictures.decode import Pixels, safe_thumbnail, to_jpeg
from pawline.relabel import COLUMNS, NO_CLASS

SIDE = 256  # pixels of the longer side of a picture on the page


def render_suspects(found: pd.DataFrame, class_names: list[str], source: str, raw: Path) -> str:
    """One HTML page that needs no other file and no network.

    found: from find_suspects; raw: the folder of the files, whose pictures are decoded and encoded again, so that no
    metadata reaches the page."""
    folder = files("pawline.page")
    script = folder.joinpath("suspects.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "plural": plural, "short": short}
    rows = [row | {"picture": _picture(raw / row["path"])} for row in found.to_dict("records")]
    data = {
        "rows": found[["digest", "path", "label", "suggested"]].to_dict("records"),
        "columns": COLUMNS,
        "none": NO_CLASS,
        "classes": class_names,
    }
    return environment.from_string(folder.joinpath("suspects.html").read_text(encoding="utf-8")).render(
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
    if pixels is None:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(to_jpeg(pixels)).decode('ascii')}"
