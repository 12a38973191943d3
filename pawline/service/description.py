"""What the service answers: its OpenAPI document, and the page about it, which loads nothing from elsewhere."""

from html import escape
from typing import Any

Fragment = dict[str, Any]  # a part of an OpenAPI document

PREDICTION = {
    "type": "object",
    "required": ["label", "probabilities"],
    "properties": {
        "label": {
            "type": ["string", "null"],
            "description": "The likeliest class; null for a picture with an error",
        },
        "probabilities": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "unsure": {"type": "boolean", "description": "Whether the probability is below the threshold of the card"},
        "error": {"type": "string", "description": "Why this picture cannot be read"},
        "seen": {
            "type": "string",
            "description": "With maps: the picture as the network sees it, a PNG as data URL",
        },
        "map": {
            "type": "object",
            "description": "With maps: where the network finds the class; the grid covers the picture as seen",
            "properties": {
                "kind": {"enum": ["class activation", "occlusion"]},
                "values": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            },
        },
    },
}
MODEL = {"type": "string", "description": "SHA-256 of the model that answers"}
ANSWER = {
    "type": "object",
    "required": ["model", "predictions"],
    "properties": {
        "model": MODEL,
        "predictions": {"type": "array", "items": PREDICTION},
    },
}
ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
BINARY = {"schema": {"type": "string", "format": "binary"}}
STATUSES = {
    400: "A damaged form, or a foreign Host header",
    403: "A page of another site asks",
    408: "The request arrived too slowly",
    413: "Too many bytes or pictures",
    415: "Another content type",
    422: "No picture, a single picture that cannot be read, or a wrong value of a parameter",
    429: "Too many requests at once: try again",
    500: "The service failed; its log says why",
    503: "Other requests fill the memory: try again",
    504: "No answer in time",
}
BODY = {
    "required": True,
    "content": {
        "image/*": BINARY,
        "application/octet-stream": BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["picture"],
                "properties": {"picture": {"type": "array", "items": BINARY["schema"]}},
            }
        },
    },
}
MAPS = {
    "name": "maps",
    "in": "query",
    "description": "Also the picture as seen, and where the class is found",
    "schema": {"type": "boolean", "default": False},
}
READY = {
    "type": "object",
    "required": ["model", "class_names", "no_walk"],
    "properties": {
        "model": MODEL,
        "class_names": {"type": "array", "items": {"type": "string"}},
        "no_walk": {"type": ["string", "null"], "description": "Why POST /explain has no walk for this model"},
    },
}
ALIVE = {"type": "object", "properties": {"status": {"const": "ok"}}}


def _answer(description: str, schema: Fragment, media_type: str = "application/json") -> Fragment:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _post(name: str, summary: str, answers: dict[int, Fragment], parameters: list[Fragment]) -> Fragment:
    errors = {status: _answer(text, ERROR) for status, text in STATUSES.items()}
    responses = {str(status): answer for status, answer in sorted((errors | answers).items())}
    about = {"operationId": name, "summary": summary, "parameters": parameters}
    return {"post": about | {"requestBody": BODY, "responses": responses}}


def _get(name: str, summary: str, answer: Fragment) -> Fragment:
    return {"get": {"operationId": name, "summary": summary, "responses": {"200": answer}}}


PREDICTIONS = _answer("A prediction per picture", ANSWER)
WALK = _answer(
    "A page that shows each step from the pixels to the answer, with everything inside",
    {"type": "string"},
    "text/html",
)
NO_WALK = _answer("No walk is at hand for this model; GET /readyz says why", ERROR)
COUNTERS = _answer("The counters", {"type": "string"}, "text/plain")
DOCUMENT: Fragment = {
    "openapi": "3.1.0",
    "info": {"title": "Pawline", "version": "1"},
    "paths": {
        "/predict": _post("predict", "Name the class of pictures", {200: PREDICTIONS}, [MAPS]),
        "/explain": _post("explain", "Walk through the network with a picture", {200: WALK, 404: NO_WALK}, []),
        "/readyz": _get("readyz", "Whether a model answers, and which", _answer("The model", READY)),
        "/healthz": _get("healthz", "Whether the process lives", _answer("It does", ALIVE)),
        "/metrics": _get("metrics", "Counters for Prometheus", COUNTERS),
    },
}


def api_page() -> str:
    """HTML that lists each operation with its answers."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Pawline: the service</title>
<link rel="stylesheet" href="page.css"></head>
<body><main><h1>The service</h1>
<p>Send a picture: <code>curl -F picture=@cat.jpg http://127.0.0.1:8000/predict</code>, several with several
<code>-F</code>, or the bytes alone: <code>curl -H 'Content-Type: image/jpeg' --data-binary @cat.jpg …/predict</code>.
The machine-readable description is <a href="openapi.json">openapi.json</a>. <a href="./">Try it with a picture.</a></p>
{"".join(_operation(*each) for each in operations)}
</main></body></html>
"""


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(status))}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    asked = "".join(
        f"<p><code>?{each['name']}=true</code>: {each['description'].lower()}.</p>"
        for each in operation.get("parameters", [])
    )
    return (
        f"<section><h2><code>{method} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>{asked}"
        f"<table><thead><tr><th>Status</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table></section>\n"
    )
