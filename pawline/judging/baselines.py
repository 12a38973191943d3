"""Simple classifiers on the same split: what a network has to beat before its accuracy means anything."""

import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pawline.judging.clustered import accuracy_interval
from pawline.judging.evenly import evenly
from pawline.parts import Part
from pawline.prepared import PreparedImages

MAX_LEARNED = 4000  # pictures of train, evenly chosen: their number bounds the time
MAX_ITERATIONS = 100  # of the logistic regression
BATCH_SIZE = 256  # pictures in memory at once
GRAY_BINS, COLOR_BINS = 32, 4  # of a histogram, the latter per channel
THUMBNAIL_SIDE = 8  # pixels

Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def measure_baselines(
    images: PreparedImages, train: Part, test: Part, groups: NDArray[np.int64]
) -> dict[str, dict[str, Any]]:
    """The accuracy on test, with its interval by group, of always the most frequent class of train (`majority`), of a
    logistic regression on histograms of grey levels or colours, and of the nearest picture by thumbnails.

    groups: (n,) numbers from 0, of the test pictures. Raises nothing for a train part of one class: each baseline then
    answers that class."""
    chosen = evenly(len(train.rows), MAX_LEARNED)
    rows, labels = train.rows[chosen], train.labels[chosen]
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITERATIONS))
    answers = {
        "majority": np.full(len(test.rows), np.bincount(train.labels).argmax()),
        "color_histogram": _answers(regression, images, rows, labels, test, histogram),
        "nearest_thumbnail": _answers(KNeighborsClassifier(1), images, rows, labels, test, thumbnail),
    }
    return {name: _accuracy(predicted == test.labels, groups) for name, predicted in answers.items()}


def histogram(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shares of the grey levels or colours of a picture, float32. picture: uint8 (height, width, channels)."""
    channels = picture.shape[2]
    bins = [GRAY_BINS] if channels == 1 else [COLOR_BINS] * 3
    counts = cv2.calcHist([picture], list(range(channels)), None, bins, [0, 256] * channels)
    return np.asarray(counts.ravel() / counts.sum(), np.float32)


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture of THUMBNAIL_SIDE squared pixels, as one row of float32. picture: uint8 (height, width, channels)."""
    small = cv2.resize(picture, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small.ravel(), np.float32)


def _answers(
    classifier: Any,
    images: PreparedImages,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    test: Part,
    features: Features,
) -> NDArray[np.int64]:
    if len(np.unique(labels)) < 2:  # no classifier would learn from one class
        return np.full(len(test.rows), labels[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its iterations are bounded on purpose
        classifier.fit(_features(images, rows, features), labels)
    return np.asarray(classifier.predict(_features(images, test.rows, features)), np.int64)


def _features(images: PreparedImages, rows: NDArray[np.int64], features: Features) -> NDArray[np.float32]:
    batches = (rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE))
    return np.array([features(picture) for batch in batches for picture in images.pixels(batch)])


def _accuracy(right: NDArray[np.bool_], groups: NDArray[np.int64]) -> dict[str, float]:
    low, high = accuracy_interval(right, groups)
    return {"accuracy": float(right.mean()), "accuracy_low": low, "accuracy_high": high}
