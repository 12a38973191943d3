"""The threshold below which an answer is unsure is the cheapest one, and theory decides where val cannot."""

import numpy as np
import pytest

from pawline.judging.thresholds import THRESHOLDS, choose_threshold, mark_chosen, threshold_table
from pawline.params.judging import JudgingParams


def answers(largest: list[float], right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """(labels, probabilities of two classes): each answer is class 0, with this probability."""
    probabilities = np.array([[one, 1 - one] for one in largest], np.float32)
    return np.array([0 if one else 1 for one in right]), probabilities


def costs(error: float, unsure: float) -> JudgingParams:
    return JudgingParams(cost_of_error=error, cost_of_unsure=unsure)


# 30 answers: the ten surest are right, of the ten at 0.75 eight, of the ten at 0.55 five.
LABELS, PROBABILITIES = answers(
    [0.95] * 10 + [0.75] * 10 + [0.55] * 10,
    [True] * 10 + [True] * 8 + [False] * 2 + [True] * 5 + [False] * 5,
)


@pytest.mark.parametrize(
    ("unsure", "least", "most"),
    [
        (0.6, 0.0, 0.55),  # unsure answers cost more than the half of wrong ones at 0.55
        (0.3, 0.55, 0.75),  # ten unsure ones cost 3, their mistakes 5; those at 0.75 cost 3, their mistakes 2
        (0.1, 0.75, 0.95),
    ],
)
def test_the_cheapest_threshold_is_chosen(unsure: float, least: float, most: float) -> None:
    assert least <= choose_threshold(LABELS, PROBABILITIES, costs(1.0, unsure)) <= most


def test_without_mistakes_the_threshold_is_that_of_theory_as_far_as_it_costs_nothing() -> None:
    right = answers([0.99] * 30, [True] * 30)
    assert choose_threshold(*right, costs(1.0, 0.2)) == 0.8
    assert choose_threshold(*answers([0.7] * 30, [True] * 30), costs(1.0, 0.2)) == 0.7


def test_few_pictures_leave_the_choice_to_theory() -> None:
    assert choose_threshold(*answers([0.9] * 19, [False] * 19), costs(4.0, 1.0)) == 0.75
    assert choose_threshold(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), costs(1.0, 0.2)) == 0.8


def test_a_cost_of_unsure_as_large_as_of_an_error_makes_no_answer_unsure() -> None:
    assert choose_threshold(LABELS, PROBABILITIES, costs(1.0, 1.0)) == 0.0
    assert choose_threshold(LABELS, PROBABILITIES, costs(1.0, 3.0)) == 0.0


def test_a_row_is_counted_by_hand() -> None:
    table = threshold_table("val", LABELS, PROBABILITIES, np.arange(30), costs(1.0, 0.3)).set_index("threshold")
    row = table.loc[0.6]
    assert (row["coverage"], row["accuracy"]) == (pytest.approx(2 / 3), 0.9)
    assert row["cost"] == pytest.approx((2 * 1.0 + 10 * 0.3) / 30, abs=1e-6)
    assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(
        (0.699, 0.972), abs=1e-3
    )  # Wilson, 18 of 20
    nobody = table.loc[0.96]
    assert nobody["coverage"] == 0 and np.isnan(nobody["accuracy"]) and nobody["cost"] == pytest.approx(0.3)


def test_one_row_of_each_part_is_marked() -> None:
    table = mark_chosen(threshold_table("val", LABELS, PROBABILITIES, np.arange(30), costs(1.0, 0.3)), 0.6)
    assert table.loc[table["chosen"] == 1, "threshold"].tolist() == [0.6]
    assert sorted(set(THRESHOLDS)) == THRESHOLDS
