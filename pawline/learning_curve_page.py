"""Show a learning curve: as lines for a terminal, and as one page of HTML."""

from typing import Any

import numpy as np

from pawline.page.charts import Axis
from pawline.page.template import render

HEADLINES = {"yes": "More data would help", "hardly": "More data would hardly help", "can't tell": "Can't tell"}
INTERVALS = (
    "The interval of a measured row holds what other test pictures would change; that of a forecast also what other "
    "trainings would."
)


def curve_lines(found: dict[str, Any]) -> list[str]:
    """The curve for a terminal, a line each."""
    lines = [
        f"{'pictures in train':>18}  {'trainings':>9}  accuracy on {found['num_test_images']:,} test pictures"
    ]
    for row in _rows(found):
        interval = f"95 % interval {row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}"
        if row["spread"]:
            interval += f"; trainings {row['spread'][0]:.3f} to {row['spread'][1]:.3f}"
        lines.append(
            f"{row['num_images']:>18,.0f}  {row['num_trainings']:>9}  {row['accuracy']:.3f} ({interval}){row['note']}"
        )
    return [*lines, INTERVALS, "", f"would more data help? {found['answer']}"]


def curve_page(found: dict[str, Any]) -> str:
    """One page of HTML. found: see learning_curve.answer."""
    return render(
        "learning_curve.html",
        found=found,
        headline=HEADLINES[found["verdict"]],
        chart=_chart(found),
        rows=_rows(found),
        intervals=INTERVALS,
        law=found["power_law"],
        whole=_whole(found),
    )


def _whole(found: dict[str, Any]) -> float:
    return max(float(point["num_images"]) for point in found["points"])


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    measured = [point | {"note": "", "spread": _spread(found, point)} for point in found["points"]]
    forecast = [
        one
        | {"num_images": one["times"] * _whole(found), "num_trainings": "", "note": " (forecast)", "spread": None}
        for one in found["ahead"]
    ]
    return measured + forecast


def _spread(found: dict[str, Any], point: dict[str, Any]) -> tuple[float, float] | None:
    """The lowest and the highest accuracy of the trainings of a size; None for a single one."""
    accuracies = [one["accuracy"] for one in found["trainings"] if one["num_images"] == point["num_images"]]
    return (min(accuracies), max(accuracies)) if len(accuracies) > 1 else None


def _chart(found: dict[str, Any]) -> dict[str, Any]:
    curve, points = found["curve"], found["points"]
    sizes = np.array([one["num_images"] for one in curve])
    low, high = (np.array([one[name] for one in curve]) for name in ("accuracy_low", "accuracy_high"))
    values = [one[name] for one in points for name in ("accuracy_low", "accuracy_high")]
    values += [one["accuracy"] for one in found["trainings"]]
    x = Axis.logarithmic(sizes, start=52, end=620)
    y = Axis.around(np.concatenate([low, high, values]), start=276, end=14)
    line = list(zip(x.at(sizes), y.at([one["accuracy"] for one in curve]), strict=True))
    num_measured = int((sizes <= _whole(found)).sum())
    lower, upper = (list(zip(x.at(sizes), y.at(edge), strict=True)) for edge in (low, high))
    return {
        "x": [(x.at(tick), f"{tick:,.0f}") for tick in x.ticks()],
        "y": [(y.at(tick), f"{tick:.4g}") for tick in y.ticks()],
        "band": [*lower, *reversed(upper)],
        "measured": line[:num_measured],
        "ahead": line[num_measured - 1 :],
        "dots": [(x.at(one["num_images"]), y.at(one["accuracy"])) for one in found["trainings"]],
        "stems": [
            (x.at(one["num_images"]), y.at(one["accuracy_low"]), y.at(one["accuracy_high"])) for one in points
        ],
    }
