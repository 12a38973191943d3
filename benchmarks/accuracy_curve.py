"""Draw accuracy over minutes, and print the table:  python -m benchmarks.accuracy_curve [FILE]

All trainings of benchmarks/accuracy.jsonl, where `python -m benchmarks.accuracy` writes them down, with the one knob
and no other param (but the size of pictures for `pretrained`, and its fine-tuning). The table is Markdown, the curve
SVG, by default docs/pictures/accuracy.svg: one line per network and precision, solid and filled where the machine
trains in bfloat16, dashed and hollow where it trains in float32. Several seeds are averaged, and so are the ends of
their 95 % intervals (bars and brackets).
"""

import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np

from benchmarks.accuracy import kept
from tests.source import ROOT

# The label and color of each network. A training with other changes than the sets below is not drawn.
LINES = {
    "auto": ("fast", "C0"),
    "classic": ("classic", "C1"),
    "pretrained": ("pretrained, frozen", "C2"),
    "fine-tuned": ("pretrained, fine-tuned", "C3"),
    "tutorial": ("the tutorial's network, 10 epochs", "C4"),
}
SIZE, FINE_TUNE = "prepare.image_size", "network.pretrained.fine_tune"
FILE = ROOT / "docs/pictures/accuracy.svg"
Key = tuple[str, str]  # line and precision


def line_of(one: dict[str, Any]) -> str | None:
    recipe, changes = one["recipe"], {*one.get("changes", {})}
    if recipe == "pretrained":
        return {(): recipe, (FINE_TUNE,): "fine-tuned"}.get(tuple(changes - {SIZE}))
    return recipe if recipe in LINES and not changes else None


class Point(NamedTuple):
    """The trainings of one line for one budget."""

    minutes: float  # of the stage `train`, mean
    accuracy: float  # mean
    low: float  # of the interval, mean
    high: float
    budget: float | None  # train.minutes
    changes: dict[str, Any]
    seeds: list[float]  # the accuracy of each

    def row(self, line: str, precision: str) -> str:
        """One row of the table."""
        changes = "".join(f", `{key}={value}`" for key, value in self.changes.items())
        budget = "" if self.budget is None else f"`train.minutes={self.budget:g}`"
        seeds = ", ".join(f"{accuracy:.3f}" for accuracy in self.seeds)
        interval = f" ({self.low:.3f} to {self.high:.3f})" if self.low < self.high else ""
        spread = f"{self.accuracy:.3f}, {stdev(self.seeds):.3f}" if len(self.seeds) > 1 else ""
        cells = (
            LINES[line][0],
            precision,
            budget + changes,
            seeds + interval,
            spread,
            f"{60 * self.minutes:.0f} s",
        )
        return f"| {' | '.join(cells)} |"


def points() -> dict[Key, list[Point]]:
    """The points of each line, in the order of their time."""
    alike: dict[Key, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for one in kept().values():
        if line := line_of(one):
            budget = f"{one.get('minutes')} {one.get('changes')}"
            alike[line, one["precision"]][budget].append(one)
    in_order = sorted(alike.items(), key=lambda item: (list(LINES).index(item[0][0]), item[0][1]))
    return {key: sorted(map(point, budgets.values())) for key, budgets in in_order}


def point(trainings: list[dict[str, Any]]) -> Point:
    trainings = sorted(trainings, key=lambda one: one.get("seed", 0))
    first, seeds = trainings[0], [one["accuracy"] for one in trainings]
    low, high = (mean(one.get(end, one["accuracy"]) for one in trainings) for end in ("low", "high"))
    minutes = mean(one["seconds"] for one in trainings) / 60
    return Point(minutes, mean(seeds), low, high, first.get("minutes"), first.get("changes", {}), seeds)


def main() -> None:
    mpl.use("svg")
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "pawline"}
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    print("| network | precision | set | accuracy on test (95 %) | mean, spread | `train` took |")
    print("|---|---|---|---|---|---|")
    for (line, precision), line_points in points().items():
        label, color = LINES[line]
        bars = [[one.accuracy - one.low, one.high - one.accuracy] for one in line_points]
        axes.errorbar(
            [one.minutes for one in line_points],
            [one.accuracy for one in line_points],
            np.array(bars).T,
            marker="o",
            capsize=3,
            color=color,
            linestyle="-" if precision == "bfloat16" else "--",
            markerfacecolor=color if precision == "bfloat16" else "white",
            label=f"{label}, {precision}",
        )
        print("\n".join(one.row(line, precision) for one in line_points))
    axes.set(xlabel="minutes that the stage `train` took", ylabel="accuracy on the test part", xscale="log")
    axes.set_xticks(ticks := [1, 2, 3, 5, 10, 20], [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    file = Path(sys.argv[1]) if sys.argv[1:] else FILE
    figure.savefig(file, format="svg", metadata={"Date": None}, bbox_inches="tight")
    print(file)


if __name__ == "__main__":
    main()
