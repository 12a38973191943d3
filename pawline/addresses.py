"""Addresses without secrets, for all that is shown or stored."""

import os
import re
from urllib.parse import urlsplit

# Up to what ends an address in a sentence. A password may hold most other signs.
IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://(?:\S*@)?[^\s'\"<>`]+")
# What libraries quote beside an address.
NAMED = re.compile(
    r"((?:\b(?:Bearer|Basic) +|(?:password|passwd|secret)['\"]?[=:] *"
    r"|(?:pwd|token|signature|api_?key|access_?key|\bsig)(?:=|['\"]: *))['\"]?)[^\s'\"&,;]+",
    re.IGNORECASE,
)
SECRET_VARIABLE = re.compile(r"(PASSWORD|PASSWD|TOKEN|SECRET|_KEY)$")
SHORTEST = 6  # of a variable's value that is looked for: a shorter one is part of ordinary words
NESTED = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.\-]*://)")  # zip://a.jpg::https://…


def is_address(text: str) -> bool:
    """Whether the text is a URL, not a path."""
    return "://" in text


def is_in_mlflow(model: str) -> bool:
    """Whether the name of a model is its address in MLflow, not a file."""
    return re.match("(models|runs):/", model) is not None


def public_address(address: str) -> str:
    """The address without parts that may hold a password or a signature. Raises ValueError for an invalid address."""
    return "::".join(map(_public, NESTED.split(address)))


def _public(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    user, _, place = rest.rpartition("@")
    # An @ in the path is no end of a user's name, unless a password with a slash stands before it.
    if separator and user and (":" in user or not set("/?#") & set(user)):
        address = f"{scheme}://{place}"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secrets(text: str) -> str:
    """The text, each address in it made public; without passwords that the environment holds or that are named so."""
    text = NAMED.sub(r"\1…", IN_TEXT.sub(_shown, text))
    for name, value in os.environ.items():
        if SECRET_VARIABLE.search(name) and len(value) >= SHORTEST:
            text = text.replace(value, "…")
    return text


def _shown(found: re.Match[str]) -> str:
    address = found[0].rstrip(".,;:)]}")
    try:
        return public_address(address) + found[0][len(address) :]
    except ValueError:
        return address.partition("://")[0] + "://…"
