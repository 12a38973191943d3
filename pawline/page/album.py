"""The pictures of the report as thumbnails: pixels only, encoded again, so that no metadata reaches the page."""

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.page.inputs import records
from pawline.pictures.decode import to_jpeg
from pawline.prepared import PreparedImages

THUMBNAIL_SIDE = 96  # pixels
GLOW = np.array([255, 140, 0])  # red, green, blue
STRENGTH = 0.65  # of the glow where a map is largest


@dataclass(frozen=True)
class Album:
    """The prepared images; `is_open` is false for a page without pictures."""

    images: PreparedImages
    is_open: bool = True

    def rows(self, table: pd.DataFrame) -> list[dict[str, Any]]:
        """The rows of a table with the column `path`, each with its image as a data: URI under `picture`, which is
        empty in a closed album."""
        rows = records(table)
        if not self.is_open or table.empty:
            return [{**row, "picture": ""} for row in rows]
        pixels = self.images.pixels(self.images.rows_of(table["path"]))
        return [{**row, "picture": _thumbnail_uri(image)} for row, image in zip(rows, pixels, strict=True)]

    def glowing(self, path: str, heat: NDArray[np.uint8]) -> str:
        """The image in grey, glowing where the map is large, as a data: URI. heat: uint8 (height, width), any size."""
        if not self.is_open:
            return ""
        (pixels,) = self.images.pixels(self.images.rows_of(pd.Series([path])))
        small = _small(pixels)
        gray = small.mean(axis=2, keepdims=True).repeat(3, axis=2)
        side = (len(small), len(small))
        share = np.asarray(cv2.resize(heat, side, interpolation=cv2.INTER_CUBIC), float)[:, :, None] / 255
        return jpeg_uri(to_jpeg((gray + STRENGTH * share * (GLOW - gray)).clip(0, 255).astype(np.uint8)))

    def tile(self, jpeg: bytes) -> str:
        """A picture of the contact sheet as a data: URI; empty in a closed album or where there is none."""
        return jpeg_uri(jpeg) if jpeg and self.is_open else ""


def _thumbnail_uri(pixels: NDArray[np.uint8]) -> str:
    """A thumbnail as a data: URI. pixels: uint8 (height, width, channels)."""
    return jpeg_uri(to_jpeg(_small(pixels)))


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = min(THUMBNAIL_SIDE, len(pixels))
    small = np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return small.reshape(side, side, -1)  # OpenCV drops the axis of a single channel


def jpeg_uri(jpeg: bytes) -> str:
    """The bytes of a JPEG as a data: URI, for an <img>."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
