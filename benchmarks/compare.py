"""`pawline compare`, by simulation: how often it errs, and what it costs:  python -m benchmarks.compare

False alarms: pairs of equally good models, 861 test pictures (as the photographs' test part). Power: pairs that differ
by exactly what the last line of a comparison calls detectable. Cost: the bootstrap of 18,000 pictures beside the same
number of replicates by scikit-learn, extrapolated from a few.
"""

import time

import numpy as np
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from benchmarks.photographs import machine
from pawline.judging.paired import (
    METRICS,
    NUM_REPLICATES,
    SIGNIFICANCE,
    detectable_difference,
    mcnemar,
    paired_bootstrap,
)

NUM_PICTURES, NUM_PAIRS = 861, 1000
NUM_LARGE, NUM_MEASURED = 18_000, 20
OF_BOTH = 0.05  # pictures on which the two models disagree


def main() -> None:
    print(machine())
    rng = np.random.default_rng(1)
    found = called_different(rng, 0.0)
    print(f"equal models called different: {found:.1%} of {NUM_PAIRS} pairs (at most {SIGNIFICANCE:.0%})")
    difference = detectable_difference(NUM_PICTURES, round(OF_BOTH * NUM_PICTURES))
    found = called_different(rng, difference)
    print(f"models {100 * difference:.2f} points apart called different: {found:.1%} (80 % were promised)")
    ours, others = seconds(rng)
    print(
        f"{NUM_REPLICATES} replicates of {NUM_LARGE} pictures: {ours:.1f} s; by scikit-learn {others:.0f} s "
        f"({others / ours:.0f} x)"
    )


def called_different(rng: np.random.Generator, difference: float) -> float:
    """The share of pairs that the exact test calls different; the second model is better by `difference`."""
    only_second, only_first = (OF_BOTH + difference) / 2, (OF_BOTH - difference) / 2
    number = 0
    for _ in range(NUM_PAIRS):
        draw = rng.random(NUM_PICTURES)
        second = draw >= only_first
        first = ~((draw >= only_first) & (draw < only_first + only_second))
        number += mcnemar(first, second, np.arange(NUM_PICTURES)).p_value < SIGNIFICANCE
    return number / NUM_PAIRS


def seconds(rng: np.random.Generator) -> tuple[float, float]:
    labels = rng.integers(2, size=NUM_LARGE)
    first, second = (probabilities(rng, labels) for _ in range(2))
    start = time.perf_counter()
    paired_bootstrap(labels, first, second, np.arange(NUM_LARGE), {name: of for name, (of, _) in METRICS.items()})
    ours = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(NUM_MEASURED):
        rows = rng.integers(NUM_LARGE, size=NUM_LARGE)
        for model in (first, second):
            for label in (0, 1):
                roc_auc_score(labels[rows] == label, model[rows, label])
            balanced_accuracy_score(labels[rows], model[rows].argmax(axis=1))
            log_loss(labels[rows], model[rows])
    return ours, (time.perf_counter() - start) * NUM_REPLICATES / NUM_MEASURED


def probabilities(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """float64 (n, 2), right on 92 of 100."""
    one = 1 / (1 + np.exp(-rng.normal(1.4 * (2 * labels - 1), 1)))
    return np.stack([1 - one, one], axis=1)


if __name__ == "__main__":
    main()
