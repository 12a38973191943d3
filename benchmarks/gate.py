"""Simulate the champion gate: how often equal challengers are promoted, and how often better ones.

    python -m benchmarks.gate [--series 2000] [--pictures 1790]

Each series has one test part, one champion and 50 challengers that are no better: every picture has a difficulty, and
each model is right about it by chance. A challenger that is promoted is the champion from then on. The power is the
share of challengers, better by so many points, that are promoted as the 1st, 5th and 20th challenge.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks.photographs import machine
from pawline.judging.gate import is_in_favour
from pawline.judging.paired import SignTest

LEVEL, NUM_CHALLENGERS, ACCURACY = 0.05, 50, 0.95
GAINS, NUMBERS = (0.01, 0.015, 0.02, 0.03), (1, 5, 20)
Right = NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=1790)
    arguments = parser.parse_args()
    print(f"{arguments.pictures:,} pictures, accuracy {ACCURACY}, level {LEVEL}; {machine()}")
    wrong = wrongly_promoted(arguments.series, arguments.pictures, shared=True)
    unshared = wrongly_promoted(arguments.series, arguments.pictures, shared=False)
    print(f"{arguments.series:,} series of {NUM_CHALLENGERS} equal challengers, share with any promotion:")
    print(f"  level shared (Pawline)           {wrong:.4f}")
    print(f"  the whole level each time        {unshared:.4f}")
    print("share of better challengers that are promoted:")
    print("  better by  " + "".join(f"challenge {number:<6}" for number in NUMBERS))
    for gain in GAINS:
        shares = [power(gain, number, arguments.pictures, arguments.series) for number in NUMBERS]
        print(f"  {100 * gain:3.1f} points " + "".join(f"{share:9.2f}       " for share in shares))


def wrongly_promoted(num_series: int, num_pictures: int, shared: bool, seed: int = 1) -> float:
    """The share of series in which any challenger is promoted, though all are as good as the champion."""
    rng = np.random.default_rng(seed)
    return float(np.mean([_any_promoted(rng, num_pictures, shared) for _ in range(num_series)]))


def _any_promoted(rng: np.random.Generator, num_pictures: int, shared: bool) -> bool:
    """Until the first promotion the champion stays, so that one promotion is what counts."""
    champion, *challengers = _models(rng, num_pictures, NUM_CHALLENGERS + 1, gain=0.0)
    return any(
        promoted(champion, challenger, number if shared else 1, LEVEL if shared else LEVEL * np.pi**2 / 6)
        for number, challenger in enumerate(challengers, start=1)
    )


def power(gain: float, number: int, num_pictures: int, num_series: int, seed: int = 2) -> float:
    rng = np.random.default_rng(seed)
    pairs = (
        (*_models(rng, num_pictures, 1, 0.0), *_models(rng, num_pictures, 1, gain)) for _ in range(num_series)
    )
    return float(np.mean([promoted(champion, better, number, LEVEL) for champion, better in pairs]))


def promoted(champion: Right, challenger: Right, number: int, level: float) -> bool:
    """What the gate says; the p-value by the distribution itself, which is faster than by `binomtest`."""
    fixed, broken = int((challenger & ~champion).sum()), int((champion & ~challenger).sum())
    if fixed <= broken:  # it could not be in favour
        return False
    p_value = min(1.0, 2 * float(binom.sf(fixed - 1, fixed + broken, 0.5)))
    return is_in_favour(SignTest(fixed, broken, p_value), number, level)


def _models(rng: np.random.Generator, num_pictures: int, count: int, gain: float) -> Iterator[Right]:
    """Models that are right with probability ACCURACY + gain on average: four fifths of the pictures are easy (0.995),
    the rest hard."""
    hard = (ACCURACY + gain - 0.8 * 0.995) / 0.2
    chance = np.where(np.arange(num_pictures) < 0.8 * num_pictures, 0.995, hard)
    return iter(rng.random((count, num_pictures)) < chance)


if __name__ == "__main__":
    main()
