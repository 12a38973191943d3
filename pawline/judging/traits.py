"""Measure what a network should not need, of the pictures of a data set: see pictures/appearance.py."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.pictures.appearance import APPEARANCE, FILE_SHAPE, appearance, file_shape
from pawline.prepared import PreparedImages

# For readers, with the unit. `colour` is missing in grayscale.
NUMERIC = APPEARANCE | FILE_SHAPE
FORMAT = "format"
BATCH_SIZE = 256  # images in memory at the same time


def measure_traits(images: PreparedImages, index: pd.DataFrame, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Measure rows of the prepared images, int64 (n,): path, class_name, the traits of NUMERIC that apply, and format.

    Light, contrast, sharpness and colour are measured on the prepared pixels, the other traits on the file's header.
    index: the table of all files, see index.py."""
    files = index.drop_duplicates("path").set_index("path")
    table = images.table.iloc[rows][["path", "class_name"]].reset_index(drop=True)
    stored = files.reindex(table["path"])
    return table.assign(
        **_measured_pixels(images, rows),
        **file_shape(*(stored[name].to_numpy(float) for name in ("width", "height", "bytes"))),
        format=stored["format"].replace("", "unknown").to_numpy(),
    )


def numeric_traits(table: pd.DataFrame) -> list[str]:
    """The numeric traits that a table of traits has."""
    return [name for name in NUMERIC if name in table]


def _measured_pixels(images: PreparedImages, rows: NDArray[np.int64]) -> pd.DataFrame:
    starts = range(0, len(rows), BATCH_SIZE)
    found = [appearance(pixels) for start in starts for pixels in images.pixels(rows[start : start + BATCH_SIZE])]
    names = [name for name in APPEARANCE if name != "colour" or images.form.num_channels == 3]
    return pd.DataFrame(found, columns=names, dtype=float)
