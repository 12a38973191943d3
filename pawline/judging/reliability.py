"""Compare how sure a model says it is with how often it is right."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.clustered import accuracy_interval

NUM_BINS = 15  # as in Guo et al. (2017)


def bins_of(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """The bin of each picture's largest probability: (n,), 0 to NUM_BINS - 1; a bin holds its upper end.

    probabilities: (n, num_classes)."""
    return np.asarray((np.ceil(probabilities.max(axis=1) * NUM_BINS) - 1).clip(0, NUM_BINS - 1), np.int64)


def calibration_table(
    when: str, labels: NDArray[np.int64], probabilities: NDArray[np.float32], groups: NDArray[np.int64]
) -> pd.DataFrame:
    """One row per bin that holds a picture: when, bin_low, bin_high, mean_probability, accuracy with its interval by
    group, num_images.

    when: `before` or `after` the temperature. labels, groups: (n,)."""
    bins, largest = bins_of(probabilities), probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    return pd.DataFrame(
        [
            {"when": when, "bin_low": number / NUM_BINS, "bin_high": (number + 1) / NUM_BINS}
            | _bin(largest[bins == number], right[bins == number], groups[bins == number])
            for number in np.unique(bins).tolist()
        ]
    ).round(6)


def _bin(largest: NDArray[np.float64], right: NDArray[np.bool_], groups: NDArray[np.int64]) -> dict[str, Any]:
    low, high = accuracy_interval(right, groups)
    return {
        "mean_probability": largest.mean(),
        "accuracy": right.mean(),
        "accuracy_low": low,
        "accuracy_high": high,
        "num_images": len(right),
    }
