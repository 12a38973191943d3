"""Augmentation: drawn with numpy, so that it depends on seed and step alone; applied to a batch by TensorFlow."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pawline.backend import tf
from pawline.params import TrainParams


class Draw(NamedTuple):
    """What is done to each of n pictures."""

    boxes: NDArray[np.float32]  # (n, 4), see random_boxes
    contrast: NDArray[np.float32]  # (n, 1, 1, 1), factors
    brightness: NDArray[np.float32]  # (n, 1, 1, 1), grey levels
    hole: NDArray[np.float32]  # (n, 4): top, left, bottom, right of what is greyed out, in shares


def draw(mirrored: NDArray[np.bool_], params: TrainParams, rng: np.random.Generator) -> Draw:
    """`mirrored`: (n,), of which pictures the mirror image is wanted."""
    count = len(mirrored)
    boxes = random_boxes(count, params.crop_fraction, rng)
    boxes[mirrored] = boxes[mirrored][:, [0, 3, 2, 1]]
    contrast = rng.uniform(1 - params.contrast, 1 + params.contrast, (count, 1, 1, 1))
    brightness = 255 * rng.uniform(-params.brightness, params.brightness, (count, 1, 1, 1))
    corner = rng.uniform(-params.cutout / 2, 1 - params.cutout / 2, (count, 2))
    hole = np.concatenate([corner, corner + params.cutout], axis=1)
    return Draw(boxes, *(array.astype(np.float32) for array in (contrast, brightness, hole)))


def random_boxes(count: int, least_fraction: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32 (count, 4): top, left, bottom, right of random crops, in shares of the picture.

    Each covers between `least_fraction` of the area and all of it, at an aspect between 3:4 and 4:3 (Szegedy et
    al., "Going deeper with convolutions", 2014); less where that aspect does not fit.
    """
    area = rng.uniform(least_fraction, 1, count)
    aspect = np.exp(rng.uniform(-1, 1, count) * math.log(4 / 3))
    height = np.minimum(1, np.sqrt(area / aspect))
    width = np.minimum(1, np.sqrt(area * aspect))
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    return np.stack([top, left, top + height, left + width], axis=1).astype(np.float32)


def augment(pixels: tf.Tensor, drawn: Draw, size: int, params: TrainParams) -> tf.Tensor:
    """uint8 (n, height, width, channels) to float32 (n, size, size, channels). Cropping, resizing and mirroring
    are one operation: a box whose left and right are swapped reads the picture mirrored."""
    images = tf.image.crop_and_resize(pixels, drawn.boxes, tf.range(tf.shape(pixels)[0]), (size, size))
    if params.contrast or params.brightness:
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        images = (images - mean) * drawn.contrast + mean + drawn.brightness
    if params.cutout:
        images = tf.where(_inside(drawn.hole, size), 127.5, images)
    return images


def _inside(hole: tf.Tensor, size: int) -> tf.Tensor:
    """bool (n, size, size, 1): the pixels whose middle lies in the hole (DeVries & Taylor, "Cutout", 2017)."""
    middles = (tf.range(size, dtype=tf.float32) + 0.5) / size
    top, left, bottom, right = tf.unstack(hole[:, None, :], axis=2)
    rows, columns = (middles > top) & (middles < bottom), (middles > left) & (middles < right)
    return (rows[:, :, None] & columns[:, None, :])[..., None]
