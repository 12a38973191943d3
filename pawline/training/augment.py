"""Augmentation: NumPy draws the random changes, so they depend on seed and step alone; TensorFlow applies them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pawline.model.backend import tf
from pawline.params.train import Recipe


class Changes(NamedTuple):
    """The random changes to each of n pictures: the first axis of every field has length n, since a batch is cut into
    pieces. A new field draws its numbers last, or every training with the old seeds would change."""

    boxes: NDArray[np.float32]  # (n, 4): the crops, see random_boxes
    contrast: NDArray[np.float32]  # (n, 1, 1, 1), factors
    brightness: NDArray[np.float32]  # (n, 1, 1, 1), grey levels to add
    # (n, 4): top, left, bottom, right of the square to grey out, as fractions of the side
    hole: NDArray[np.float32]


def random_changes(mirrored: NDArray[np.bool_], recipe: Recipe, rng: np.random.Generator) -> Changes:
    """Draw the changes to n pictures. mirrored: (n,), which pictures to show as their mirror image."""
    count = len(mirrored)
    boxes = random_boxes(count, recipe.crop_fraction, rng)
    boxes[mirrored] = boxes[mirrored][:, [0, 3, 2, 1]]
    contrast = rng.uniform(1 - recipe.contrast, 1 + recipe.contrast, (count, 1, 1, 1))
    brightness = 255 * rng.uniform(-recipe.brightness, recipe.brightness, (count, 1, 1, 1))
    corner = rng.uniform(-recipe.cutout / 2, 1 - recipe.cutout / 2, (count, 2))
    hole = np.concatenate([corner, corner + recipe.cutout], axis=1)
    return Changes(boxes, *(array.astype(np.float32) for array in (contrast, brightness, hole)))


def random_boxes(count: int, least_fraction: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw crops. Returns float32 (count, 4): top, left, bottom, right, as fractions of the picture's sides.

    Each crop covers between `least_fraction` of the area and all of it, at an aspect between 3:4 and 4:3 (Szegedy et
    al., "Going deeper with convolutions", 2014). A crop that does not fit at its aspect is cut to the picture and
    covers less.
    """
    area = rng.uniform(least_fraction, 1, count)
    aspect = np.exp(rng.uniform(-1, 1, count) * math.log(4 / 3))
    height = np.minimum(1, np.sqrt(area / aspect))
    width = np.minimum(1, np.sqrt(area * aspect))
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    return np.stack([top, left, top + height, left + width], axis=1).astype(np.float32)


def augment(pixels: tf.Tensor, changes: Changes, size: int, recipe: Recipe) -> tf.Tensor:
    """Apply the changes: uint8 (n, height, width, channels) to float32 (n, size, size, channels).

    Cropping, resizing and mirroring are one operation: a box with left and right swapped gives the mirror image."""
    images = tf.image.crop_and_resize(pixels, changes.boxes, tf.range(tf.shape(pixels)[0]), (size, size))
    if recipe.contrast or recipe.brightness:
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        images = (images - mean) * changes.contrast + mean + changes.brightness
    if recipe.cutout:
        images = tf.where(_inside(changes.hole, size), 127.5, images)
    return images


def _inside(hole: tf.Tensor, size: int) -> tf.Tensor:
    """Find the pixels whose centre lies in the hole: bool (n, size, size, 1) (DeVries & Taylor, "Cutout", 2017)."""
    centres = (tf.range(size, dtype=tf.float32) + 0.5) / size
    top, left, bottom, right = tf.unstack(hole[:, None, :], axis=2)
    rows, columns = (centres > top) & (centres < bottom), (centres > left) & (centres < right)
    return (rows[:, :, None] & columns[:, None, :])[..., None]
