"""Does the forecast of `pawline learning-curve` hold? By simulation:  python -m benchmarks.learning_curve [CURVES]

Curves whose law is known: the share of them whose true gain lies in the 95 % interval, and what was answered. Each has
10,000 training and 900 test pictures; trainings of one size differ by as much as those of the photographs do.
"""

import sys
from collections import Counter

import numpy as np

from benchmarks.photographs import machine
from pawline.learning_curve import MeasuredCurve, PowerLaw, answer

SIZES = np.array([1000.0] * 3 + [2500] * 3 + [5000] * 3 + [10_000])
NUM_TEST, WHOLE = 900, 10_000.0
# (floor, amount, power, standard deviation between trainings)
LAWS = [(0.02, 0.05, 0.5, 0.004), (0.02, 0.1, 0.35, 0.006), (0.05, 0.01, 0.5, 0.004), (0.05, 0.0, 0.5, 0.004)]
NUM_REPLICATES = 100


def main() -> None:
    num_curves = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(machine())
    rng = np.random.default_rng(3)
    for floor, amount, power, deviation in LAWS:
        law = PowerLaw(floor, amount, power, WHOLE)
        gain = float(law.accuracy(2 * WHOLE) - law.accuracy(WHOLE))
        held, answers = 0, Counter[str]()
        for _ in range(num_curves):
            found = answer(simulated(law, deviation, rng), num_replicates=NUM_REPLICATES)
            twice = found["ahead"][0]
            held += twice["gain_low"] - 1e-9 <= gain <= twice["gain_high"]
            answers[found["verdict"]] += 1
        said = ", ".join(f"{verdict} {count}" for verdict, count in answers.most_common())
        print(
            f"twice the pictures bring {100 * gain:.2f} points: held {held} of {num_curves}; answers: {said}",
            flush=True,
        )


def simulated(law: PowerLaw, deviation: float, rng: np.random.Generator) -> MeasuredCurve:
    """Each picture has a difficulty, which every training sees a little differently."""
    accuracies = law.accuracy(SIZES) + rng.normal(0, deviation, len(SIZES))
    difficulty = rng.random(NUM_TEST) + rng.normal(0, 0.05, (len(SIZES), NUM_TEST))
    return MeasuredCurve(SIZES, difficulty < accuracies[:, None], np.arange(NUM_TEST))


if __name__ == "__main__":
    main()
