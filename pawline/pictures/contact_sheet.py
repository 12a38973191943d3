"""The contact sheet: thumbnails of the quarantined files, so that people can check the reasons.

The stage `prepare` draws the sheet, since it reads the raw files anyway; the report, which shows the sheet, then does
not depend on them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from pawline.files import read_regular_file
from pawline.pictures.decode import REASONS, safe_thumbnail, to_jpeg

MAX_TILES = 60
THUMBNAIL_SIDE = 96

NEVER_SHOWN = {"empty", "unreadable"}  # no bytes, or not the bytes seen at ingest


def contact_sheet(index: pd.DataFrame, quarantine: pd.DataFrame, raw: Path) -> pd.DataFrame:
    """At most MAX_TILES rows of the quarantine with a `picture`: a JPEG, or no bytes where nothing can be shown.

    The rows are in the order of REASONS, evenly distributed over the reasons; exact copies follow each other.
    """
    tiles = _evenly_by_reason(_copies_adjacent(index, quarantine))
    with _silent_decoder():
        return tiles.assign(picture=[_picture(row, raw) for row in tiles.itertuples()])


def _copies_adjacent(index: pd.DataFrame, quarantine: pd.DataFrame) -> pd.DataFrame:
    """The quarantine sorted by reason; files with the same bytes but other names or labels follow each other."""
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


def _evenly_by_reason(table: pd.DataFrame) -> pd.DataFrame:
    """Choose the first row of each reason, then the second of each, and so on until the sheet is full."""
    position = table.groupby("reason").cumcount()
    chosen_index = position.sort_values(kind="stable").index[:MAX_TILES]
    return table[table.index.isin(chosen_index)].reset_index(drop=True)


def _picture(row: Any, raw: Path) -> bytes:
    if row.reason in NEVER_SHOWN:
        return b""
    try:
        pixels = safe_thumbnail(read_regular_file(raw / row.path), THUMBNAIL_SIDE)
    except OSError:  # the file vanished after decoding; the sheet works without its picture
        return b""
    return b"" if pixels is None else to_jpeg(pixels)


@contextmanager
def _silent_decoder() -> Iterator[None]:
    """Silence libjpeg, which writes warnings to file descriptor 2 and ignores Python's and OpenCV's log settings."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
