"""Augmentation changes pictures as the params say."""

import numpy as np

from pawline.model.backend import tf
from pawline.training.augment import augment, random_boxes, random_changes
from tests.recipes import some_recipe

PLAIN = some_recipe(flip=False, crop_fraction=1.0, brightness=0.0, contrast=0.0, cutout=0.0)


def test_crops_stay_inside_and_cover_the_least_fraction() -> None:
    boxes = random_boxes(2000, 0.5, np.random.default_rng(1))
    top, left, bottom, right = boxes.T
    assert boxes.min() >= 0
    assert boxes.max() <= 1 + 1e-6
    area = (bottom - top) * (right - left)
    # A crop of the full area at 3:4 does not fit; it is cut to the picture, so three quarters of its area remain.
    assert area.min() >= 0.5 * 0.75 - 1e-6
    assert np.ptp(area) > 0.4


def test_only_the_requested_pictures_are_mirrored() -> None:
    mirrored = np.arange(20) % 3 == 0
    boxes, upright = (
        random_changes(mask, PLAIN, np.random.default_rng(1)).boxes for mask in (mirrored, mirrored & False)
    )
    assert (upright[:, 1] < upright[:, 3]).all()
    np.testing.assert_array_equal(boxes[~mirrored], upright[~mirrored])
    np.testing.assert_array_equal(boxes[mirrored], upright[mirrored][:, [0, 3, 2, 1]])


def test_a_box_with_swapped_sides_gives_the_mirror_image() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    cropped = tf.image.crop_and_resize(picture, np.array([[0, 1, 1, 0]], np.float32), [0], (4, 4)).numpy()
    np.testing.assert_array_equal(cropped[0, :, :, 0], picture[0, :, ::-1, 0])


def augmented(picture: np.ndarray, **settings: float) -> np.ndarray:
    params = PLAIN.model_copy(update=settings)
    changes = random_changes(np.zeros(len(picture), bool), params, np.random.default_rng(1))
    whole = np.tile(np.array([0, 0, 1, 1], np.float32), (len(picture), 1))
    return augment(picture, changes._replace(boxes=whole), picture.shape[1], params).numpy()


PICTURES = np.random.default_rng(1).integers(60, 190, (200, 8, 8, 3)).astype(np.uint8)


def test_without_settings_nothing_changes() -> None:
    np.testing.assert_array_equal(augmented(PICTURES), PICTURES)


def test_contrast_stretches_around_the_mean_and_brightness_moves_it() -> None:
    means = PICTURES.mean((1, 2, 3))
    stretched = augmented(PICTURES, contrast=0.4)
    np.testing.assert_allclose(stretched.mean((1, 2, 3)), means, rtol=1e-3)
    factors = stretched.std((1, 2, 3)) / PICTURES.std((1, 2, 3))
    assert 0.6 - 1e-3 <= factors.min() < 0.65 < 1.35 < factors.max() <= 1.4 + 1e-3
    shifts = augmented(PICTURES, brightness=0.2).mean((1, 2, 3)) - means
    assert -51.1 <= shifts.min() < -40 < 40 < shifts.max() <= 51.1


def test_cutout_greys_out_one_square_of_at_most_the_given_side() -> None:
    grey = (augmented(PICTURES, cutout=0.5) == 127.5).all(axis=-1)
    assert grey.sum((1, 2)).max() == 16  # 4 x 4 of 8 x 8; less where it lies across the edge
    assert grey.any((1, 2)).mean() > 0.9
    rows, columns = np.nonzero(grey[np.argmax(grey.sum((1, 2)))])
    assert (np.ptp(rows), np.ptp(columns)) == (3, 3)


def test_the_same_step_draws_the_same_changes() -> None:
    first, again, other = (
        random_changes(np.zeros(4, bool), PLAIN, np.random.default_rng([1, 1, step])) for step in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.boxes, other.boxes)
