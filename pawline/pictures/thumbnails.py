"""Small grayscale versions of pictures, for comparing them."""

import cv2
import numpy as np

from pawline.pictures.decode import Pixels

Pictures = Pixels | list[Pixels]  # n times (height, width, channels); sizes may differ


def thumbnails(pictures: Pictures, side: int) -> Pixels:
    """uint8 (n, side, side), grayscale."""
    small = [cv2.resize(picture, (side, side), interpolation=_filter(picture, side)) for picture in pictures]
    if not small:
        return np.empty((0, side, side), np.uint8)
    column = np.array(small, np.uint8).reshape(len(small) * side, side, -1)  # the pictures in a column
    if column.shape[2] == 3:
        column = np.asarray(cv2.cvtColor(column, cv2.COLOR_RGB2GRAY), np.uint8)
    return column.reshape(len(small), side, side)


def _filter(picture: Pixels, side: int) -> int:
    return (
        cv2.INTER_AREA if side <= min(picture.shape[:2]) else cv2.INTER_LINEAR
    )  # the area filter would make blocks
