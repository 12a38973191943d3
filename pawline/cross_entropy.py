"""The loss of predictions, on val during training and on test afterwards."""

import numpy as np
from numpy.typing import NDArray


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Mean of -log(probability given to the true class), natural logarithm.

    labels: (n,) int64; probabilities: (n, num_classes) float32. A probability of 0 counts as 1e-12."""
    true_class = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true_class, 1e-12)).mean())
