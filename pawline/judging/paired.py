"""Compare two models on the same pictures: a sign test for accuracy, a bootstrap for every other figure, its power.

Pictures of one group (copies, near-duplicates, one patient) are no independent pictures, so groups are counted and
drawn as wholes. Where each picture is a group of its own, the tests are the textbook's.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, binomtest

from pawline.cross_entropy import log_likelihood
from pawline.judging.ranking import Ranking

SIGNIFICANCE, POWER = 0.05, 0.8
NUM_REPLICATES, CHUNK_VALUES = 2000, 2_000_000  # of the bootstrap; values of one chunk of weights

Labels = NDArray[np.int64]
Probabilities = NDArray[np.floating]
Values = NDArray[np.float64]
Metric = Callable[
    [Values], Values
]  # weights (num_replicates, n) to the figure of each replicate (num_replicates,)


@dataclass(frozen=True)
class SignTest:
    """The exact test of McNemar (1947). num_fixed, num_broken: groups that are better, or worse, under the second
    model; where each picture is its own group, the pictures that only the second, or only the first model names right.
    """

    num_fixed: int
    num_broken: int
    p_value: float


@dataclass(frozen=True)
class Difference:
    """A figure of two models and the second minus the first, with its 95 % interval."""

    first: float
    second: float
    difference: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_], groups: Labels) -> SignTest:
    """Test whether two models name equally many pictures right.

    first_right, second_right: (n,) whether each picture's class was found; groups: (n,) numbers from 0. A group counts
    once, for the model that names more of its pictures right. Two-sided, exact (the binomial distribution).
    """
    gains = np.bincount(groups, second_right.astype(float) - first_right.astype(float))
    num_fixed, num_broken = int((gains > 0).sum()), int((gains < 0).sum())
    different = num_fixed + num_broken
    p_value = float(binomtest(num_fixed, different, 0.5).pvalue) if different else 1.0
    return SignTest(num_fixed, num_broken, p_value)


def paired_bootstrap(
    labels: Labels,
    first: Probabilities,
    second: Probabilities,
    groups: Labels,
    metrics: Mapping[str, "MetricOf"],
    seed: int = 1,
    num_replicates: int = NUM_REPLICATES,
) -> dict[str, Difference]:
    """Compute each metric of both models on the same pictures, with the percentile interval of the difference (Efron,
    1979).

    labels, groups: (n,), numbers from 0; first, second: (n, num_classes). Each replicate draws as many groups as there
    are, with replacement, and the same ones for both models. A replicate in which a figure does not exist (no picture
    of a class was drawn) does not count for that figure. A figure that does not exist on all pictures either (the area
    under the curve of one class alone) is left out.
    """
    pairs = {name: (of(labels, first), of(labels, second)) for name, of in metrics.items()}
    whole = np.ones((1, len(labels)))
    differences: dict[str, list[Values]] = {name: [] for name in pairs}
    for weights in group_weights(groups, seed, num_replicates):
        for name, (one, other) in pairs.items():
            differences[name].append(other(weights) - one(weights))
    found = {}
    for name, (one, other) in pairs.items():
        before, after = float(one(whole)[0]), float(other(whole)[0])
        if np.isnan(before):
            continue
        low, high = np.nanpercentile(np.concatenate(differences[name]), [2.5, 97.5])
        found[name] = Difference(before, after, after - before, float(low), float(high))
    return found


def group_weights(groups: Labels, seed: int, num_replicates: int) -> Iterator[Values]:
    """Yield how often each picture is drawn in each replicate, chunks of (num_replicates of the chunk, n)."""
    rng = np.random.default_rng(seed)
    num_groups = int(groups.max()) + 1
    at_once = max(1, CHUNK_VALUES // len(groups))
    for start in range(0, num_replicates, at_once):
        rows = min(at_once, num_replicates - start)
        drawn = rng.integers(num_groups, size=(rows, num_groups)) + num_groups * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * num_groups).reshape(rows, num_groups)
        yield counts[:, groups].astype(np.float64)


def detectable_difference(
    num_pictures: int, num_disagreements: int, power: float = POWER, significance: float = SIGNIFICANCE
) -> float:
    """The smallest true difference of accuracy that the test of McNemar finds with this power, as a fraction.

    num_disagreements: pictures that one model alone names right, of `num_pictures`. A better model has the larger part
    of them; the power is that of the exact test, given their number. Too few are never significant (fewer than six at a
    significance of 0.05); they count as the fewest that can be.
    """
    count = max(num_disagreements, _fewest_significant(significance))
    # The most disagreements on the smaller side at which the test still says "different".
    smaller_side = max(k for k in range(count // 2 + 1) if 2 * binom.cdf(k, count, 0.5) <= significance)

    def lacking(share: float) -> float:
        return float(binom.cdf(smaller_side, count, 1 - share) + binom.cdf(smaller_side, count, share)) - power

    share = float(brentq(lacking, 0.5, 1.0))
    return count / num_pictures * (2 * share - 1)


def _fewest_significant(significance: float) -> int:
    """The fewest disagreements, all in one direction, that are significant: 6 at 0.05, since 2 * 0.5**6 < 0.05."""
    return next(count for count in range(1, 2000) if 2 * 0.5**count <= significance)


MetricOf = Callable[[Labels, Probabilities], Metric]


def accuracy(labels: Labels, probabilities: Probabilities) -> Metric:
    return _mean((probabilities.argmax(axis=1) == labels).astype(np.float64))


def balanced_accuracy(labels: Labels, probabilities: Probabilities) -> Metric:
    """The mean of the recall of all classes that occur."""
    right = probabilities.argmax(axis=1) == labels
    return _mean_of_classes([_mean_where(right.astype(float), labels == label) for label in np.unique(labels)])


def log_loss(labels: Labels, probabilities: Probabilities) -> Metric:
    """Mean of -log(probability of the true class), see cross_entropy.py."""
    return _mean(-log_likelihood(labels, probabilities))


def brier(labels: Labels, probabilities: Probabilities) -> Metric:
    """Mean over the pictures of the squared distance between probabilities and truth, summed over the classes (Brier,
    1950): from 0 to 2."""
    return _mean(squared_distances(np.eye(probabilities.shape[1])[labels], probabilities))


def squared_distances(truth: Values, probabilities: Probabilities) -> Values:
    """The Brier score of each picture, (n,). truth: 1 in the column of the true class, else 0, (n, num_classes)."""
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))


def area_under_curve(labels: Labels, probabilities: Probabilities) -> Metric:
    """The mean over all classes that occur of the area under the ROC curve of the class against the rest."""
    rankings = [Ranking(labels == label, probabilities[:, label]) for label in np.unique(labels)]

    def value(weights: Values) -> Values:
        counts = weights.astype(np.uint16)  # whole numbers
        return np.asarray(np.mean([ranking.area(counts) for ranking in rankings], axis=0))

    return value


# name, whether more is better
METRICS: dict[str, tuple[MetricOf, bool]] = {
    "accuracy": (accuracy, True),
    "balanced_accuracy": (balanced_accuracy, True),
    "auc": (area_under_curve, True),
    "loss": (log_loss, False),
    "brier": (brier, False),
}


def _mean(values: Values) -> Metric:
    return lambda weights: (weights @ values) / weights.sum(axis=1)


def _mean_where(values: Values, where: NDArray[np.bool_]) -> Metric:
    def value(weights: Values) -> Values:
        with np.errstate(invalid="ignore"):  # a class that was not drawn has no recall
            return np.asarray(weights[:, where] @ values[where] / weights[:, where].sum(axis=1))

    return value


def _mean_of_classes(per_class: list[Metric]) -> Metric:
    def value(weights: Values) -> Values:
        return np.asarray(np.mean([of_class(weights) for of_class in per_class], axis=0))

    return value
