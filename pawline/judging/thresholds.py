"""Choose the probability below which an unsure answer costs less than a wrong one."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.clustered import accuracy_interval
from pawline.params.judging import JudgingParams

# Steps of a hundredth, and of a thousandth above 0.99, where most answers of a good model lie.
THRESHOLDS = [*(step / 100 for step in range(100)), *(0.99 + step / 1000 for step in range(1, 10))]
MIN_IMAGES = 20  # of val, to choose by; fewer leave the choice to theory


def threshold_table(
    part: str,
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    groups: NDArray[np.int64],
    params: JudgingParams,
) -> pd.DataFrame:
    """One row per threshold: part, threshold, coverage (the share of pictures that are answered), accuracy of these
    answers with its interval by group (empty where there is none), cost (mean per picture).

    labels, groups: (n,); probabilities: (n, num_classes), as `predict` gives them."""
    largest, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    rows = []
    for threshold in THRESHOLDS:
        answered = largest >= np.float32(threshold)
        low, high = accuracy_interval(right[answered], groups[answered]) if answered.any() else (np.nan, np.nan)
        num_wrong, num_unsure = int((answered & ~right).sum()), int((~answered).sum())
        rows.append(
            {
                "part": part,
                "threshold": threshold,
                "coverage": answered.mean(),
                "accuracy": right[answered].mean() if answered.any() else np.nan,
                "accuracy_low": low,
                "accuracy_high": high,
                "cost": (params.cost_of_error * num_wrong + params.cost_of_unsure * num_unsure) / len(labels),
            }
        )
    return pd.DataFrame(rows).round(6)


def choose_threshold(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], params: JudgingParams
) -> float:
    """The threshold with the lowest cost on val.

    Several often cost the same, all of them where val has no mistake. The nearest to Chow's (1970) is taken then, which
    is best where probabilities mean what they say: 1 - cost_of_unsure / cost_of_error, at least 0. Fewer pictures than
    MIN_IMAGES give that one."""
    by_theory = max(0.0, 1 - params.cost_of_unsure / params.cost_of_error)
    if by_theory == 0:  # an unsure answer costs as much as a wrong one
        return 0.0
    if len(labels) < MIN_IMAGES:
        return round(by_theory, 3)
    table = threshold_table("val", labels, probabilities, np.arange(len(labels)), params)
    cheapest = table.loc[table["cost"] == table["cost"].min(), "threshold"].to_numpy(np.float64)
    return float(cheapest[np.abs(cheapest - by_theory).argmin()])


def mark_chosen(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Add the column `chosen`: 1 in the row of each part that is nearest to the threshold, 0 elsewhere."""
    nearest = THRESHOLDS[int(np.abs(np.array(THRESHOLDS) - threshold).argmin())]
    return table.assign(chosen=np.isclose(table["threshold"], nearest).astype(int))
