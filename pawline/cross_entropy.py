"""The loss of predictions, on val during training and on test afterwards."""

import numpy as np
from numpy.typing import NDArray


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Mean of -log(probability given to the true class), see `log_likelihood`."""
    return float(-log_likelihood(labels, probabilities).mean())


def log_likelihood(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Natural logarithm of the probability given to the true class: float64 (n,).

    labels: (n,) int64; probabilities: (n, num_classes). A probability of 0 counts as 1e-12."""
    true_class = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(np.log(np.maximum(true_class, 1e-12)))
