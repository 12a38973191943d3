"""Render the small pages, such as a comparison, from a template that extends base.html."""

import base64
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from pawline.page.words import number, percent, plural, short
from pawline.pictures.decode import to_jpeg


def render(template: str, **values: Any) -> str:
    """Return one HTML page that needs no other file, no script and no network; equal values make equal text."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(
            lambda name: files("pawline.page").joinpath(name).read_text(encoding="utf-8")
        ),
    )
    environment.filters |= {
        "count": "{:,}".format,
        "plural": plural,
        "percent": percent,
        "number": number,
        "short": short,
    }
    return environment.get_template(template).render(**values)


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """A prepared picture for an <img>: pixels alone, so no EXIF and no name. uint8 (height, width, channels)."""
    return f"data:image/jpeg;base64,{base64.b64encode(to_jpeg(pixels)).decode('ascii')}"
