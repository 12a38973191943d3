"""Statistics that several findings share: a correction for many tests at once, and one picture per group."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A finding is an alarm below this probability of seeing it by chance, after the correction. Each family of tests
# (segments, shortcuts, drift) then raises a false alarm in at most 1 of 100 clean reports.
ALPHA = 0.01


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values for their number: float64 (n,), in the same order.

    Holm, "A simple sequentially rejective multiple test procedure", 1979: valid for tests that depend on each other."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return corrected


def one_of_each_group(table: pd.DataFrame) -> pd.DataFrame:
    """The first row of each group: pictures of one group resemble each other, and a test must not count them as many.

    table: with the column `group`."""
    return table.drop_duplicates("group")
