"""The simple baselines answer what they should on pictures that one of them can tell apart."""

import numpy as np
import pytest

from pawline.judging.baselines import histogram, measure_baselines, thumbnail
from pawline.parts import Part


class Pictures:
    """Prepared images that are an array."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.array = pixels

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        return self.array[rows]


def parts(labels: np.ndarray) -> tuple[Part, Part]:
    rows = np.arange(len(labels))
    train, test = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    return Part([], train, labels[train]), Part([], test, labels[test])


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_is_told_by_histogram_and_place_by_thumbnail(channels: int) -> None:
    rng = np.random.default_rng(1)
    labels = np.resize([0, 1, 1], 60)  # the majority has 2 of 3
    bright = rng.integers(0, 40, (60, 16, 16, channels)) + 120 * labels[:, None, None, None]
    found = measure_baselines(Pictures(bright.astype(np.uint8)), *parts(labels), np.arange(30))  # type: ignore[arg-type]
    assert {name: row["accuracy"] for name, row in found.items()} == {
        "majority": pytest.approx(2 / 3),
        "color_histogram": 1.0,
        "nearest_thumbnail": 1.0,
    }
    assert found["majority"]["accuracy_low"] == pytest.approx(0.488, abs=1e-3)  # Wilson, 20 of 30
    left = np.zeros((60, 16, 16, channels), np.uint8)
    left[labels == 0, :, :8], left[labels == 1, :, 8:] = 200, 200  # the histograms are equal
    found = measure_baselines(Pictures(left), *parts(labels), np.arange(30))  # type: ignore[arg-type]
    assert found["nearest_thumbnail"]["accuracy"] == 1.0
    assert found["color_histogram"]["accuracy"] == pytest.approx(2 / 3)


def test_a_train_part_of_one_class_gives_that_class() -> None:
    labels = np.array([1] * 10 + [0] * 5 + [1] * 5)
    found = measure_baselines(Pictures(np.zeros((20, 8, 8, 1), np.uint8)), *parts(labels), np.arange(10))  # type: ignore[arg-type]
    assert {row["accuracy"] for row in found.values()} == {0.5}


def test_features_are_counted_by_hand() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = 255
    assert histogram(picture)[0] == histogram(picture)[-1] == 0.5
    assert thumbnail(picture).reshape(8, 8, 3)[0, 0, 0] == 255
