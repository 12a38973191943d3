"""Draw accuracy over minutes:  python -m benchmarks.accuracy_curve [FILE]

All trainings that `python -m benchmarks.accuracy` wrote down with the one knob and no other param (`pretrained` may
have a size of pictures), as SVG, by default in docs/pictures/accuracy.svg. Bars are 95 % intervals of the first seed;
more seeds are averaged.
"""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.accuracy import kept
from pawline.judging.clustered import accuracy_interval
from tests.source import ROOT

NAMES = {
    "auto": "fast",
    "classic": "classic",
    "pretrained": "pretrained, frozen",
    "tutorial": "the tutorial's network, 10 epochs",
}
FILE = ROOT / "docs/pictures/accuracy.svg"


def points(recipe: str) -> list[tuple[float, float, float, float]]:
    """(minutes, accuracy, low, high) for each budget, in order."""
    by_budget: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for one in kept().values():
        if one["recipe"] == recipe and {*one.get("changes", {})} <= {"prepare.image_size"}:
            by_budget[one.get("minutes", 0)].append(one)
    found = []
    for trainings in by_budget.values():
        accuracy = mean(one.get("accuracy") or float(np.mean(one["right"])) for one in trainings)
        low = high = accuracy
        if "right" in (first := trainings[0]):
            low, high = accuracy_interval(np.array(first["right"], bool), np.array(first["groups"]))
        found.append(
            (mean(one["seconds"] for one in trainings) / 60, accuracy, min(low, accuracy), max(high, accuracy))
        )
    return sorted(found)


def main() -> None:
    mpl.use("svg")
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "pawline"}
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    for recipe, name in NAMES.items():
        if not (found := points(recipe)):
            continue
        minutes, accuracy, low, high = map(np.array, zip(*found, strict=True))
        axes.errorbar(minutes, accuracy, [accuracy - low, high - accuracy], marker="o", capsize=3, label=name)
    axes.set(xlabel="minutes that the stage `train` took", ylabel="accuracy on the test part", xscale="log")
    axes.set_xticks(ticks := [1, 2, 3, 5, 10, 20], [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    file = Path(sys.argv[1]) if sys.argv[1:] else FILE
    figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight")
    print(file)


if __name__ == "__main__":
    main()
