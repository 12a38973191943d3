"""The champion gate: a promotion needs evidence, and the level is shared by all challenges of one test part."""

import re
from math import isclose, pi

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.gate import wrongly_promoted
from pawline.judging.gate import Evidence, Verdict, first_version, judge, p_limit, too_few
from pawline.params.promotion import PromotionParams

PARAMS = PromotionParams()


def evidence(fixed: int, broken: int, total: int, other_class: int = 0, **changes: object) -> Evidence:
    """`total` cats of which the challenger fixes and breaks so many; before that, dogs that it breaks."""
    cats = [("dog", "cat")] * fixed + [("cat", "dog")] * broken + [("cat", "cat")] * (total - fixed - broken)
    answers = [("dog", "cat")] * other_class + cats
    given = {
        "actual": ["dog"] * other_class + ["cat"] * total,
        "champion": [before for before, _ in answers],
        "challenger": [after for _, after in answers],
        "groups": np.arange(len(answers)),
        "megabytes": 8.0,
        "milliseconds": 3.0,
    }
    return Evidence(**{**given, **changes})  # type: ignore[arg-type]


def verdict(fixed: int, broken: int, total: int, number: int = 1, check: bool | None = True) -> Verdict:
    return judge(evidence(fixed, broken, total), check, number, PARAMS)


def test_the_shares_of_all_challenges_sum_to_the_level() -> None:
    """A promotion of an equal model has half of the two-sided p-value as its chance."""
    assert isclose(p_limit(1, 0.05), 0.1 * 6 / pi**2)
    assert sum(p_limit(number, 0.05) / 2 for number in range(1, 200_000)) == pytest.approx(0.05, abs=1e-6)


def test_an_equal_challenger_is_kept_and_the_words_say_what_so_many_pictures_can_tell() -> None:
    found = verdict(12, 15, 1790)
    assert found.decision == "keep"
    least = re.fullmatch(
        r"kept: 12 fixed, 15 broken, p = 0\.7; 1,790 pictures show a difference from about (\d\.\d) points on",
        found.words,
    )
    assert least
    # A second way: of 27 disagreements at least 19 must be fixed, and 80 % power asks for this share of them.
    assert 2 * binom.sf(18, 27, 0.5) <= p_limit(1, 0.05) < 2 * binom.sf(17, 27, 0.5)
    share = next(one for one in np.arange(0.5, 1, 0.001) if binom.sf(18, 27, one) >= 0.8)
    assert float(least[1]) == pytest.approx(100 * 27 / 1790 * (2 * share - 1), abs=0.06)


def test_a_better_challenger_is_promoted_until_the_level_is_spent() -> None:
    found = verdict(25, 5, 1000)
    assert found == Verdict(
        "promote",
        "promoted: 25 fixed, 5 broken, p = 0.00032, at most 0.061 (challenge 1 on these test pictures), 1,000 pictures",
    )
    assert verdict(25, 5, 1000, number=13).decision == "promote"
    late = verdict(25, 5, 1000, number=14)
    assert late.words.startswith(
        "kept: 25 fixed, 5 broken, p = 0.00032, and challenge 14 on these test pictures needs 0.00031 or less; "
    )


def test_a_challenger_that_is_surely_worse_is_kept() -> None:
    assert verdict(5, 25, 1000).words.startswith("kept: 5 fixed, 25 broken, p = 0.00032; ")


def test_a_class_that_falls_too_far_keeps_a_challenger_that_is_better_on_the_whole() -> None:
    """Three of 100 dogs lost are 3 points; two are 2 points, the margin itself."""
    lost = evidence(30, 0, 500, other_class=0)
    dogs = {"actual": ["dog"] * 100, "champion": ["dog"] * 100}

    def with_dogs(num_lost: int) -> Evidence:
        challenger = ["cat"] * num_lost + ["dog"] * (100 - num_lost)
        return Evidence(
            actual=[*lost.actual, *dogs["actual"]],
            champion=[*lost.champion, *dogs["champion"]],
            challenger=[*lost.challenger, *challenger],
            groups=np.arange(600),
            megabytes=8,
            milliseconds=3,
        )

    assert judge(with_dogs(2), True, 1, PARAMS).decision == "promote"
    assert judge(with_dogs(3), True, 1, PARAMS).words == (
        "kept: 30 fixed, 3 broken, p = 1.4e-06, in favour, but the recall of 'dog' falls by 3.0 points, more than "
        "promotion.class_margin, 2"
    )


def test_budgets_and_a_failed_check_keep_a_better_challenger() -> None:
    found = judge(evidence(25, 5, 1000, megabytes=120.0, milliseconds=250.4), False, 1, PARAMS)
    assert found.decision == "keep"
    assert found.words == (
        "kept: 25 fixed, 5 broken, p = 0.00032, in favour, but it takes 120.0 MB, more than promotion.max_megabytes, "
        "100; one picture takes 250.4 ms here, more than promotion.max_milliseconds, 200; "
        "its stage `check` failed (metrics/check.json)"
    )
    free = PromotionParams(max_megabytes=None, max_milliseconds=None)
    assert judge(evidence(25, 5, 1000, megabytes=120.0, milliseconds=250.4), None, 1, free).decision == "promote"


def test_a_picture_that_a_model_cannot_read_is_not_right() -> None:
    unread = evidence(0, 0, 60, challenger=[""] * 9 + ["cat"] * 51)
    assert judge(unread, True, 1, PARAMS).words.startswith("kept: 0 fixed, 9 broken, p = 0.0039; ")


def test_pictures_of_one_group_count_as_one() -> None:
    grouped = evidence(25, 5, 1000, groups=np.array([0] * 25 + list(range(1, 976))))
    assert judge(grouped, True, 1, PARAMS).words.startswith(
        "kept: 1 fixed, 5 broken, p = 0.22; 1,000 pictures in 976 groups show a difference from about "
    )


def test_too_few_pictures_tell_nothing() -> None:
    reasons = {"that the champion learned from, or from a near-duplicate": 60, "that the challenger …": 0}
    assert too_few(50, 50, reasons, PARAMS) is None
    assert too_few(40, 49, reasons, PARAMS) == Verdict(
        "can't tell",
        "can't tell: 49 test pictures in 40 groups are left, fewer than promotion.min_pictures, 50 "
        "(60 that the champion learned from, or from a near-duplicate)",
    )


def test_the_first_version_needs_no_more_than_its_check() -> None:
    decisions = [first_version(check).decision for check in (True, None, False)]
    assert decisions == ["promote", "promote", "keep"]


def test_of_series_of_fifty_equal_challengers_at_most_one_in_twenty_promotes_any() -> None:
    """`python -m benchmarks.gate` simulates more of them, and states the power."""
    assert wrongly_promoted(num_series=150, num_pictures=400, shared=True) <= 0.05
    assert wrongly_promoted(num_series=150, num_pictures=400, shared=False) > 0.1
