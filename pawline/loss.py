"""The loss of predictions, on val while training and on test after it."""

import numpy as np
from numpy.typing import NDArray


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Mean of -log(probability given to the true class), natural logarithm.

    labels: (n,) int64; probabilities: (n, num_classes) float32. One of 0 counts as 1e-12."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, 1e-12)).mean())
