"""The contact sheet: small pictures of what was left out, so that people can look before they believe a reason.

`prepare` draws it, which has the raw files at hand; the report, which shows it, need not depend on them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from pawline.files import read_regular_file
from pawline.images import REASONS, glimpse, to_jpeg

MAX_TILES = 60
THUMBNAIL_SIDE = 96

NEVER_SHOWN = {"empty", "unreadable"}  # no bytes, or not those that were taken in


def contact_sheet(index: pd.DataFrame, quarantine: pd.DataFrame, raw: Path) -> pd.DataFrame:
    """At most MAX_TILES rows of the quarantine with a `picture`: a JPEG, or no bytes where nothing can be shown.

    In the order of REASONS, a fair share for each; copies of the same bytes side by side.
    """
    chosen = _fair_shares(_side_by_side(index, quarantine))
    with _silent_decoder():
        return chosen.assign(picture=[_picture(row, raw) for row in chosen.itertuples()])


def _side_by_side(index: pd.DataFrame, quarantine: pd.DataFrame) -> pd.DataFrame:
    """The quarantine by reason; two files of the same bytes, under two names or labels, follow each other."""
    bad = index[index["path"].isin(quarantine["path"])]
    digest = quarantine["path"].map(dict(zip(bad["path"], bad["digest"], strict=True)))
    order = pd.DataFrame(
        {
            "reason": quarantine["reason"].map({reason: place for place, reason in enumerate(REASONS)}),
            "first_copy": quarantine.groupby(["reason", digest])["path"].transform("min"),
            "path": quarantine["path"],
        }
    )
    return quarantine.loc[order.sort_values(["reason", "first_copy", "path"]).index]


def _fair_shares(table: pd.DataFrame) -> pd.DataFrame:
    """The first of each reason, then the second of each, and so on until the sheet is full."""
    turn = table.groupby("reason").cumcount()
    chosen = turn.sort_values(kind="stable").index[:MAX_TILES]
    return table[table.index.isin(chosen)].reset_index(drop=True)


def _picture(row: Any, raw: Path) -> bytes:
    if row.reason in NEVER_SHOWN:
        return b""
    try:
        pixels = glimpse(read_regular_file(raw / row.path), THUMBNAIL_SIDE)
    except OSError:  # gone since it was decoded; the picture is a courtesy
        return b""
    return b"" if pixels is None else to_jpeg(pixels)


@contextmanager
def _silent_decoder() -> Iterator[None]:
    """libjpeg writes what it thinks of a cut file to file descriptor 2, past Python and OpenCV's log level."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
