"""The page that describes the service, from its OpenAPI document; it loads nothing from elsewhere."""

from html import escape
from typing import Any

from fastapi.responses import HTMLResponse

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
ANSWER = {
    "type": "object",
    "required": ["model", "predictions"],
    "properties": {
        "model": {"type": "string", "description": "SHA-256 of the model that answered"},
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
    422: "No picture, or a single picture that cannot be read",
    429: "Too many requests at once: try again",
    500: "The service failed; its log says why",
    503: "Other requests fill the memory: try again",
    504: "No answer in time",
}
BODY = {
    "requestBody": {
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
}
ERRORS: dict[int, Any] = {
    status: {"description": text, "content": {"application/json": {"schema": ERROR}}}
    for status, text in STATUSES.items()
}
# What FastAPI cannot read from the handlers, since they read the body themselves.
PREDICT_FORMS: dict[str, Any] = {
    "responses": {
        200: {"description": "A prediction per picture", "content": {"application/json": {"schema": ANSWER}}},
        **ERRORS,
    },
    "openapi_extra": BODY,
}
EXPLAIN_FORMS: dict[str, Any] = {
    "responses": {
        200: {
            "description": "A page that shows each step from the pixels to the answer, with everything inside",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        404: {**ERRORS[400], "description": "No walk is at hand for this model; GET /readyz says why"},
        **ERRORS,
    },
    "response_class": HTMLResponse,
    "openapi_extra": BODY,
}


def api_page(document: dict[str, Any]) -> str:
    """HTML that lists each operation with its answers."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
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
        f"<p><code>?{escape(each['name'])}=true</code> adds the picture as seen, and where the class is found.</p>"
        for each in operation.get("parameters", [])
    )
    return (
        f"<section><h2><code>{method} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>{asked}"
        f"<table><thead><tr><th>Status</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table></section>\n"
    )
