"""Find weak segments: kinds of test pictures (dark, blurred, small, …) that are recognized less often than the rest."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, fisher_exact

from pawline.judging.many_tests import ALPHA, holm
from pawline.judging.traits import FORMAT, numeric_traits

NUM_SLICES = 5  # of a numeric trait, equally many pictures in each
MIN_IMAGES = 10  # in a segment; fewer say nothing
COLUMNS = [
    *("trait", "low", "high", "name", "num_images"),
    *("accuracy", "accuracy_low", "accuracy_high", "accuracy_of_rest", "p"),
]


def weak_segments(traits: pd.DataFrame, is_correct: NDArray[np.bool_]) -> pd.DataFrame:
    """Compare each segment of the test part with all other test pictures.

    traits: one row per test picture, from measure_traits; is_correct: (n,).
    Columns: trait; low and high (NaN for a format); name (of a format, else ""); num_images; accuracy with its 95 %
    interval of Wilson, accuracy_low and accuracy_high; accuracy_of_rest; p (Fisher's exact test, one-sided: weaker
    than the rest); p_corrected (Holm, over all segments); alarm."""
    rows = [_compare(segment, is_correct) for segment in _segments(traits)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    corrected = holm(table["p"].to_numpy(float))
    return table.assign(p_corrected=corrected, alarm=corrected < ALPHA)


Segment = tuple[str, float, float, str, NDArray[np.bool_]]


def _segments(traits: pd.DataFrame) -> list[Segment]:
    """(trait, low, high, name, which pictures) of each segment that holds enough pictures and leaves enough."""
    segments: list[Segment] = []
    for trait in numeric_traits(traits):
        values = traits[trait].to_numpy(float)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_SLICES + 1))) if len(values) else values
        for number, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            inside = (values <= high) & ((values > low) | (number == 0))
            segments.append((trait, float(low), float(high), "", inside))
    for name in sorted(traits[FORMAT].unique()):
        segments.append((FORMAT, np.nan, np.nan, name, (traits[FORMAT] == name).to_numpy(bool)))
    return [segment for segment in segments if MIN_IMAGES <= segment[-1].sum() <= len(traits) - MIN_IMAGES]


def _compare(segment: Segment, is_correct: NDArray[np.bool_]) -> tuple[object, ...]:
    *described, inside = segment
    count, rest = int(inside.sum()), int((~inside).sum())
    right, rest_right = int(is_correct[inside].sum()), int(is_correct[~inside].sum())
    interval = binomtest(right, count).proportion_ci(0.95, method="wilson")
    weaker = fisher_exact([[right, count - right], [rest_right, rest - rest_right]], alternative="less")
    figures = (right / count, float(interval.low), float(interval.high), rest_right / rest, float(weaker.pvalue))
    return (*described, count, *figures)
