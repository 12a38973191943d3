"""Choose a part of many things that stands for all of them: the time does not grow with their number."""

import numpy as np
from numpy.typing import NDArray


def evenly(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` evenly spaced numbers from 0 to count - 1, with both ends."""
    return np.linspace(0, max(count - 1, 0), min(count, limit)).astype(np.int64)
