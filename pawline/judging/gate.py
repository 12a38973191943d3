"""The champion gate: whether a challenger replaces the champion, and why, in words.

The same test pictures judge every challenger, so the level is shared: challenge number k gets level * 6 / (pi * k)**2.
These shares sum to the level, so that whatever the number of challengers, all no better than the champion, the chance
that any of them is promoted stays below it (Bonferroni's inequality, whatever the dependence between challenges).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from pawline.judging.paired import SignTest, detectable_difference, mcnemar
from pawline.params.promotion import PromotionParams
from pawline.terminal import listed

PROMOTE, KEEP, CANNOT_TELL = "promote", "keep", "can't tell"
NUM_NAMED = 3  # classes in a line
CHECK_FAILED = "its stage `check` failed (metrics/check.json)"


@dataclass(frozen=True)
class Verdict:
    """decision: PROMOTE, KEEP or CANNOT_TELL; words: one line that begins with "promoted", "kept" or "can't tell";
    may_change: whether the same question may have another answer later."""

    decision: str
    words: str
    may_change: bool = False


@dataclass(frozen=True)
class Evidence:
    """The answers of both models to the same pictures, none of which either learned from.

    actual, champion, challenger: (n,) class names, "" where a model could not read the picture; groups: (n,) numbers
    from 0, of pictures that are not independent; megabytes, milliseconds: of the challenger, to keep and to ask for one
    picture."""

    actual: Sequence[str]
    champion: Sequence[str]
    challenger: Sequence[str]
    groups: NDArray[np.int64]
    megabytes: float
    milliseconds: float


def p_limit(number: int, level: float) -> float:
    """The largest two-sided p-value at which challenge `number` (from 1) promotes: twice the share of the level, since
    only half of the p-value is the chance of a difference in favour."""
    return 2 * level * 6 / (pi * number) ** 2


def is_in_favour(test: SignTest, number: int, level: float) -> bool:
    """Whether the paired test shows that the challenger is better."""
    return test.num_fixed > test.num_broken and test.p_value <= p_limit(number, level)


def first_version(check: bool | None) -> Verdict:
    """The verdict on a model where there is no champion.

    check: whether the stage `check` passed; None where there is no such stage."""
    if check is False:
        return Verdict(KEEP, f"kept: no champion yet, but {CHECK_FAILED}")
    passed = "it passed the check" if check else "no check to pass"
    return Verdict(PROMOTE, f"promoted: the first version, without a champion to beat; {passed}")


def too_few(
    num_groups: int, num_pictures: int, left_out: dict[str, int], params: PromotionParams
) -> Verdict | None:
    """CANNOT_TELL where fewer independent pictures are left than the params ask for; else None."""
    if num_groups >= params.min_pictures:
        return None
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    groups = f" in {num_groups:,} groups" if num_groups < num_pictures else ""
    return Verdict(
        CANNOT_TELL,
        f"can't tell: {num_pictures:,} test pictures{groups} are left, fewer than promotion.min_pictures, "
        f"{params.min_pictures:,}" + (f" ({reasons})" if reasons else ""),
    )


def judge(evidence: Evidence, check: bool | None, number: int, params: PromotionParams) -> Verdict:
    """The verdict on a challenger. number: which challenge this is since the test part changed, from 1."""
    actual = np.array(evidence.actual)
    champion_right = np.array(evidence.champion) == actual
    challenger_right = np.array(evidence.challenger) == actual
    test = mcnemar(champion_right, challenger_right, evidence.groups)
    objections = [
        *_worse_classes(actual, champion_right, challenger_right, params.class_margin),
        *_over_budget(evidence, params),
        *([CHECK_FAILED] if check is False else []),
    ]
    counts = f"{test.num_fixed:,} fixed, {test.num_broken:,} broken, p = {test.p_value:.2g}"
    limit = p_limit(number, params.level)
    if not is_in_favour(test, number, params.level):
        num_groups = int(evidence.groups.max()) + 1
        least = detectable_difference(num_groups, test.num_fixed + test.num_broken, significance=limit)
        words = f"kept: {counts}{_needed(test, number, limit)}; {_can_tell(len(actual), num_groups, least)}"
        return Verdict(KEEP, "; ".join([words, *objections]))
    if objections:
        return Verdict(KEEP, f"kept: {counts}, in favour, but {'; '.join(objections)}")
    return Verdict(
        PROMOTE,
        f"promoted: {counts}, at most {limit:.2g} (challenge {number} on these test pictures), "
        f"{len(actual):,} pictures",
    )


def _needed(test: SignTest, number: int, limit: float) -> str:
    """Say what p-value was needed, where the reader could think that it was small enough."""
    if test.num_fixed <= test.num_broken or test.p_value > 0.2:
        return ""
    return f", and challenge {number} on these test pictures needs {limit:.2g} or less"


def _can_tell(num_pictures: int, num_groups: int, least: float) -> str:
    independent = f" in {num_groups:,} groups" if num_groups < num_pictures else ""
    return f"{num_pictures:,} pictures{independent} show a difference from about {100 * least:.1f} points on"


def _worse_classes(
    actual: NDArray[np.str_], before: NDArray[np.bool_], after: NDArray[np.bool_], margin: float
) -> list[str]:
    """One phrase on the classes whose recall falls by more than the margin, the worst first."""
    falls = {
        str(name): float(before[actual == name].mean() - after[actual == name].mean()) for name in set(actual)
    }
    worse = sorted(
        (name for name, fall in falls.items() if fall > margin + 1e-12), key=lambda name: (-falls[name], name)
    )
    if not worse:
        return []
    phrases = [f"'{name}' falls by {100 * falls[name]:.1f} points" for name in worse]
    return [
        f"the recall of {listed(phrases, NUM_NAMED, 'classes')}, more than promotion.class_margin, {100 * margin:g}"
    ]


def _over_budget(evidence: Evidence, params: PromotionParams) -> list[str]:
    found = []
    if params.max_megabytes is not None and evidence.megabytes > params.max_megabytes:
        found.append(
            f"it takes {evidence.megabytes:.1f} MB, more than promotion.max_megabytes, {params.max_megabytes:g}"
        )
    if params.max_milliseconds is not None and evidence.milliseconds > params.max_milliseconds:
        found.append(
            f"one picture takes {evidence.milliseconds:.1f} ms here, more than promotion.max_milliseconds, "
            f"{params.max_milliseconds:g}"
        )
    return found
