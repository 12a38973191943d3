"""Fill the template of a page: every page has the same environment and the same filters."""

import re
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from pawline.words import file_size, number, percent, plural, short


def with_code(text: str) -> Markup:
    """The text with what stands between backticks, as messages for a terminal have it, as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))


FILTERS = {
    "count": "{:,}".format,
    "plural": plural,
    "percent": percent,
    "number": number,
    "size": file_size,
    "short": short,
    "with_code": with_code,
}


def render(template: str, /, **values: Any) -> str:
    """Return one HTML page that needs no other file and no network; equal values make equal text.

    template: the name of a file in pawline/page; it may extend base.html."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(
            lambda name: files("pawline.page").joinpath(name).read_text(encoding="utf-8")
        ),
    )
    environment.filters |= FILTERS
    return environment.get_template(template).render(**values)
