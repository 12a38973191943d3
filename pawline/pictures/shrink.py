"""Shrink a prepared picture to the side at which a network sees it; the one way for training and prediction."""

import cv2
import numpy as np
from numpy.typing import NDArray


def shrink(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Average the pixels of each new pixel: uint8 (height, width, channels) to (side, side, channels)."""
    shrunk = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8).reshape(side, side, -1)
