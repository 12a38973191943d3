"""Measure what a network should not need: light, sharpness, colour, and how the picture was stored."""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.prepared import PreparedImages

# For readers, with the unit. `colour` is missing in grayscale.
NUMERIC = {
    "brightness": "mean grey level, 0 is black and 255 white",
    "sharpness": "variance of the Laplacian, low is blurred",
    "colour": "mean of the largest minus the smallest of red, green and blue; 0 is grey",
    "size": "side in pixels of a square with as many pixels as the file",
    "aspect": "width divided by height, as stored",
    "compression": "bytes of the file per pixel",
}
FORMAT = "format"
BATCH_SIZE = 256  # images in memory at the same time


def measure_traits(images: PreparedImages, index: pd.DataFrame, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Measure rows of the prepared images, int64 (n,): path, class_name, the traits of NUMERIC that apply, and format.

    Light, sharpness and colour are measured on the prepared pixels, the other traits on the file's header.
    index: the table of all files, see index.py."""
    files = index.drop_duplicates("path").set_index("path")
    table = images.table.iloc[rows][["path", "class_name"]].reset_index(drop=True)
    stored = files.reindex(table["path"])
    num_pixels = np.maximum(stored["width"].to_numpy(float) * stored["height"].to_numpy(float), 1)
    return table.assign(
        **_measured_pixels(images, rows),
        size=np.sqrt(num_pixels),
        aspect=stored["width"].to_numpy(float) / np.maximum(stored["height"].to_numpy(float), 1),
        compression=stored["bytes"].to_numpy(float) / num_pixels,
        format=stored["format"].replace("", "unknown").to_numpy(),
    )


def numeric_traits(table: pd.DataFrame) -> list[str]:
    """The numeric traits that a table of traits has."""
    return [name for name in NUMERIC if name in table]


def _measured_pixels(images: PreparedImages, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    is_gray = images.form.num_channels == 1
    measured = []
    for start in range(0, len(rows), BATCH_SIZE):
        for pixels in images.pixels(rows[start : start + BATCH_SIZE]):
            level = pixels[:, :, 0] if is_gray else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
            saturation = 0.0 if is_gray else float((pixels.max(axis=2) - pixels.min(axis=2)).mean())
            measured.append((level.mean(), cv2.Laplacian(level, cv2.CV_16S).var(), saturation))
    brightness, sharpness, colour = np.array(measured, float).reshape(-1, 3).T
    found = {"brightness": brightness, "sharpness": sharpness, "colour": colour}
    return {name: values for name, values in found.items() if not (is_gray and name == "colour")}
