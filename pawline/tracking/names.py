"""Names for MLflow: any text within the letters that MLflow takes for metrics, params, tags and columns."""

import hashlib
import re

MAX_LENGTH = 250  # of MLflow's keys
CUT_DIGITS = 16  # of the digest at the end of a name that was too long; longer than any letter's number

# What MLflow takes everywhere: a colon not on Windows, and a slash makes folders on its page and in its stores.
FOREIGN = r"[^\w.\- ]|^\."
# An underscore that would look like the beginning of an encoded letter.
AMBIGUOUS = rf"_(?=x[0-9A-F]*(?:_|{FOREIGN}))"
ENCODED = re.compile(r"_x([0-9A-F]*)_")


def mlflow_name(name: str) -> str:
    """The name with each letter that MLflow refuses as `_xHEX_`: "a,b" gives "a_x2C_b". Different names stay different.

    A name that gets too long ends in a digest of the whole."""
    encoded = re.sub(f"{FOREIGN}|{AMBIGUOUS}", lambda found: f"_x{ord(found[0]):X}_", name) or "_x_"
    if len(encoded) <= MAX_LENGTH:
        return encoded
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:CUT_DIGITS].upper()
    return f"{encoded[: MAX_LENGTH - CUT_DIGITS - 3]}_x{digest}_"


def original_name(encoded: str) -> str:
    """What `mlflow_name` was given. Raises ValueError for a name that was too long, which cannot be turned back."""
    if (cut := ENCODED.search(encoded[-CUT_DIGITS - 3 :])) and len(cut[1]) == CUT_DIGITS:
        raise ValueError(f"{encoded}: a name that was too long for MLflow; evaluate/predictions.csv has it whole")
    return ENCODED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", encoded)
