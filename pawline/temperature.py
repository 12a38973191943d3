"""Temperature scaling: one number, fitted on val, makes probabilities mean what they say (Guo et al., "On Calibration
of Modern Neural Networks", 2017). This needs no TensorFlow."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LOWEST, HIGHEST = 0.05, 20.0
NUM_DECIMALS = 3  # the optimizer finds them on every machine; val tells the temperature far less exactly
MIN_IMAGES = 20  # fewer say nothing about how sure a model may be


def fit_temperature(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """The number by which logits are divided for the lowest loss on these images, rounded to NUM_DECIMALS.

    labels: int64 (n,); logits: float32 (n, num_classes). The targets are (n + 1) / (n + 2) instead of 1, after Platt
    (1999): where every answer is right, the best temperature would otherwise be 0 and every answer certain. The result
    is 1 where there are fewer than MIN_IMAGES images or these are of one class.
    """
    num_images, num_classes = logits.shape
    if num_images < MIN_IMAGES or len(np.unique(labels)) < 2:
        return 1.0
    doubt, rows, wide = 1 / (num_images + 2), np.arange(num_images), logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        logs = log_softmax(wide / np.exp(log_temperature), axis=1)
        right = logs[rows, labels]
        wrong = (logs.sum(axis=1) - right) / (num_classes - 1)
        return -float(((1 - doubt) * right + doubt * wrong).mean())

    # The loss is convex in 1 / temperature, so it has one minimum.
    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), NUM_DECIMALS)
