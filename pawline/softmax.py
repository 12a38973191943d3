"""The last step of every answer, for Keras and for the light engine alike: NumPy alone, which both have.

The walk has its own in walk/formulas.py, in float64, in which its page computes.
"""

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Turn logits into probabilities: float32 (n, num_classes) to the same; rows sum to 1.

    temperature: divides the logits first, see temperature.py."""
    scaled = logits / np.float32(temperature)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
