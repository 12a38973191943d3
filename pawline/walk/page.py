"""Write the walk's page: one HTML file with its style, script and data inside; nothing is loaded from anywhere."""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

# They run as one script, in this order: what the sections share, the sections as the page shows them, the start.
SHARED = ("formulas.js", "drawing.js", "controls.js", "layers.js")
SECTIONS = (
    "header.js",
    "picture.js",
    "pixels.js",
    "window_numbers.js",
    "window.js",
    "maps.js",
    "pooling.js",
    "output.js",
    "what_if.js",
    "learnt.js",
    "where.js",
    "check.js",
)
SCRIPTS = (*SHARED, *SECTIONS, "start.js")


def render_walk(content: dict[str, Any], arrays: str) -> str:
    """The page. content, arrays: from content.walk_content.

    Only this script and this style may run: the page's policy names their digests."""
    room = files("pawline.walk")
    style = (room / "walk.css").read_text(encoding="utf-8")
    script = "".join((room / name).read_text(encoding="utf-8") for name in SCRIPTS)
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        (room / "walk.html").read_text(encoding="utf-8")
    )
    return template.render(
        content=content,
        style=Markup(style),  # noqa: S704 - files of this package
        script=Markup(script),  # noqa: S704
        style_digest=_digest(style),
        script_digest=_digest(script),
        data=Markup(_json_for_script(content)),  # noqa: S704 - escaped there
        arrays=arrays,
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json_for_script(value: Any) -> str:
    """JSON that cannot end its script element, whatever a class name holds."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
