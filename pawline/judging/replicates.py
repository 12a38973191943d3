"""Every figure of a model on resampled pictures: what the intervals of those figures without a formula are made of.

paired.py draws the replicates: as many groups as there are, with replacement, with a fixed seed. All pictures with
weight 1 give the figures themselves.
"""

import numpy as np
from numpy.typing import NDArray

from pawline.cross_entropy import log_likelihood
from pawline.judging.clustered import wilson
from pawline.judging.paired import Labels, Probabilities, Values, group_weights, squared_distances
from pawline.judging.ranking import Ranking
from pawline.judging.reliability import NUM_BINS, bins_of

SEED = 1
MIN_REPLICATES, MAX_REPLICATES = 200, 1000
MAX_WORK = 400_000_000  # pictures × classes × replicates: a few seconds

Interval = tuple[float, float] | None
Found = dict[str, Values]  # (num_replicates,), or (num_replicates, num_classes) for names that start with "class_"


class Figures:
    """The figures as functions of the pictures' weights.

    labels: (n,); probabilities, uncalibrated: (n, num_classes), after and before the temperature."""

    def __init__(self, labels: Labels, probabilities: Probabilities, uncalibrated: Probabilities) -> None:
        one_hot = np.eye(probabilities.shape[1])
        predicted = probabilities.argmax(axis=1)
        right = predicted == labels
        self._actual, self._predicted = one_hot[labels], one_hot[predicted]
        self._hits = self._actual * right[:, None]
        self._losses = -log_likelihood(labels, probabilities)
        self._distances = squared_distances(self._actual, probabilities)
        self._gaps = {
            "calibration_error": _gaps(right, probabilities),
            "calibration_error_before": _gaps(right, uncalibrated),
        }
        self._rankings = [
            Ranking(labels == label, probabilities[:, label]) for label in range(probabilities.shape[1])
        ]

    def of(self, weights: Values) -> Found:
        """weights: (num_replicates, n), whole numbers. Classes that a replicate lacks have NaN, and its means leave
        them out."""
        total = weights.sum(axis=1)
        hits, actual, predicted = (
            weights @ table for table in (self._hits, self._actual, self._predicted)
        )  # (num_replicates, num_classes)
        counts = weights.astype(np.uint16)
        ranked = np.array([ranking.both(counts) for ranking in self._rankings])  # (num_classes, 2, num_replicates)
        with np.errstate(invalid="ignore"):
            recall = hits / actual
            f1 = np.where(actual > 0, 2 * hits / (actual + predicted), np.nan)
        auc, average_precision = ranked[:, 0].T, ranked[:, 1].T
        errors = {name: np.abs(weights @ gaps).sum(axis=1) / total for name, gaps in self._gaps.items()}
        return {
            "balanced_accuracy": _mean(recall),
            "macro_f1": _mean(f1),
            "auc": _mean(auc),
            "average_precision": _mean(average_precision),
            "loss": weights @ self._losses / total,
            "brier": weights @ self._distances / total,
            **errors,
            "class_f1": f1,
            "class_auc": auc,
            "class_average_precision": average_precision,
        }


def replicate(figures: Figures, groups: Labels, num_classes: int) -> Found:
    """The figures of each replicate. groups: (n,) numbers from 0."""
    wanted = MAX_WORK // (len(groups) * num_classes)
    count = int(np.clip(wanted, MIN_REPLICATES, MAX_REPLICATES))
    chunks = [figures.of(weights) for weights in group_weights(groups, SEED, count)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def percentiles(values: Values, figure: float, fewest: int) -> Interval:
    """The middle 95 % of the values of a figure in the replicates, (num_replicates,); None where it has none.

    Where every replicate gives the best value 1 or the worst 0, resampling shows no doubt at all. The interval is then
    Wilson's for `fewest` pictures: the number of groups in the smallest class that the figure is about."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    if np.ptp(known) == 0 and figure in (0, 1):
        return wilson(figure, max(1, fewest))
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def mirrored(values: Values, figure: float) -> Interval:
    """The basic bootstrap interval (Davison & Hinkley, 1997): percentiles mirrored at the figure, from 0 on.

    It is for a calibration error, which chance makes larger: resampling adds as much to it as the sample itself did.
    It always holds the figure."""
    low, high = np.quantile(values, [0.025, 0.975])
    return max(0.0, min(figure, float(2 * figure - high))), max(figure, float(2 * figure - low))


def _gaps(right: NDArray[np.bool_], probabilities: Probabilities) -> Values:
    """1 or 0 minus the probability of the answer, in the column of its bin: (n, NUM_BINS)."""
    gap = right - probabilities.max(axis=1).astype(np.float64)
    return np.asarray(np.eye(NUM_BINS)[bins_of(probabilities)] * gap[:, None])


def _mean(per_class: Values) -> Values:
    known = ~np.isnan(per_class)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, per_class, 0).sum(axis=1) / known.sum(axis=1))
