"""Paired tests know their answers: from the textbook, by hand, or by scikit-learn."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from pawline.judging.paired import (
    METRICS,
    SignTest,
    detectable_difference,
    group_weights,
    mcnemar,
    paired_bootstrap,
)

RNG = np.random.default_rng(5)
LABELS = RNG.integers(3, size=60)
ALONE = np.arange(60)  # each picture is its own group
FIRST = RNG.dirichlet([1, 1, 1], size=60).round(1)  # rounded: many ties
FIRST = (FIRST + 1e-3) / (FIRST + 1e-3).sum(axis=1, keepdims=True)
ALL = {name: of for name, (of, _) in METRICS.items()}


def right(pattern: str) -> np.ndarray:
    return np.array([letter == "r" for letter in pattern])


def test_five_fixed_and_none_broken_is_two_halves_to_the_fifth() -> None:
    test = mcnemar(right("wwwwwrw"), right("rrrrrrw"), np.arange(7))
    assert test == SignTest(num_fixed=5, num_broken=0, p_value=pytest.approx(2 * 0.5**5))


def test_ten_against_two_is_the_textbooks_tail() -> None:
    """2 * (1 + 12 + 66) / 2**12: both tails of twelve throws of a coin."""
    test = mcnemar(right("w" * 10 + "rr"), right("r" * 10 + "ww"), np.arange(12))
    assert test.p_value == pytest.approx(2 * (1 + 12 + 66) / 4096)


def test_models_that_never_disagree_are_not_told_apart() -> None:
    assert mcnemar(right("rrw"), right("rrw"), np.arange(3)) == SignTest(0, 0, 1.0)


def test_copies_of_one_picture_count_once() -> None:
    """Six copies fixed are one fixed group; a group with as many fixed as broken says nothing."""
    groups = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    assert mcnemar(right("wwwwwwwrr"), right("rrrrrrrww"), groups) == SignTest(1, 1, 1.0)


@pytest.mark.parametrize("name", METRICS)
def test_weighted_metrics_equal_scikit_learns(name: str) -> None:
    weights = RNG.integers(0, 4, size=60).astype(float)
    wanted = {
        "accuracy": lambda: np.average(FIRST.argmax(axis=1) == LABELS, weights=weights),
        "balanced_accuracy": lambda: balanced_accuracy_score(LABELS, FIRST.argmax(axis=1), sample_weight=weights),
        "auc": lambda: np.mean(
            [roc_auc_score(label == LABELS, FIRST[:, label], sample_weight=weights) for label in range(3)]
        ),
        "loss": lambda: log_loss(LABELS, FIRST, sample_weight=weights),
        "brier": lambda: brier_score_loss(LABELS, FIRST, sample_weight=weights, scale_by_half=False),
    }
    assert ALL[name](LABELS, FIRST)(weights[None])[0] == pytest.approx(wanted[name]())


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    for found in paired_bootstrap(LABELS, FIRST, FIRST, ALONE, ALL, num_replicates=50).values():
        assert (found.difference, found.low, found.high, found.is_significant) == (0, 0, 0, False)


def test_the_interval_of_an_accuracy_is_the_binomials() -> None:
    """The first model is always wrong, the second right on 80 of 100: the difference is a binomial share."""
    labels = np.zeros(100, np.int64)
    wrong = np.tile([0.0, 1.0], (100, 1))
    mostly = np.where(np.arange(100)[:, None] < 80, [[1.0, 0.0]], [[0.0, 1.0]])
    found = paired_bootstrap(labels, wrong, mostly, np.arange(100), {"accuracy": ALL["accuracy"]})["accuracy"]
    assert found.difference == pytest.approx(0.8)
    assert [found.low, found.high] == pytest.approx(binom.ppf([0.025, 0.975], 100, 0.8) / 100, abs=0.011)
    assert found.is_significant


def test_copies_widen_the_interval_as_if_they_were_one_picture() -> None:
    """Each picture ten times over in one group: the interval of the pictures alone, not one of sqrt(10) less."""
    second = RNG.dirichlet([1, 1, 1], size=60)
    many = [np.repeat(array, 10, axis=0) for array in (LABELS, FIRST, second, ALONE)]
    alone = paired_bootstrap(LABELS, FIRST, second, ALONE, ALL)
    for name, found in paired_bootstrap(*many, ALL).items():
        assert (found.low, found.high) == pytest.approx((alone[name].low, alone[name].high))


def test_a_replicate_draws_as_many_groups_as_there_are() -> None:
    groups = np.array([0, 0, 1, 2])
    weights = np.concatenate(list(group_weights(groups, seed=1, num_replicates=4000)))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 1:].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx([1, 1, 1, 1], abs=0.05)


def test_six_disagreements_tell_only_what_all_six_agree_on() -> None:
    """The test needs 6 of 6 (or 0 of 6), so p**6 + (1 - p)**6 = 0.8."""
    share = 0.8 ** (1 / 6)
    assert detectable_difference(100, 6) == pytest.approx(0.06 * (2 * share - 1), abs=1e-6)
    assert detectable_difference(100, 2) == detectable_difference(100, 6)


def test_the_power_is_what_a_simulation_finds() -> None:
    num_pictures, disagreements = 1000, 80
    difference = detectable_difference(num_pictures, disagreements)
    share = (1 + difference * num_pictures / disagreements) / 2
    fixed = np.random.default_rng(1).binomial(disagreements, share, size=4000)
    p_values = 2 * binom.cdf(np.minimum(fixed, disagreements - fixed), disagreements, 0.5)
    assert (p_values <= 0.05).mean() == pytest.approx(0.8, abs=0.025)
    # The usual approximation: (1.96 + 0.84) * sqrt(share of disagreements / n).
    assert difference == pytest.approx(2.8 * (0.08 / num_pictures) ** 0.5, rel=0.1)


def test_more_pictures_tell_smaller_differences() -> None:
    assert detectable_difference(10_000, 400) < detectable_difference(1000, 40) < detectable_difference(100, 4)
