"""Compute charts as numbers that the template draws as SVG: axes, ticks, lines, bars, cells, strips."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.words import file_size

NUM_BINS = 24
PERCENTILES = [5, 25, 50, 75, 95]  # report.html draws a strip from these five

Values = NDArray[np.float64]


def line_chart(
    title: str, history: pd.DataFrame, columns: list[str], best_epoch: int, scale: int, unit: str
) -> dict[str, Any]:
    """One line for train and one for val; the marked point is val in the best epoch.

    columns: of history, first for train, then for val; both are multiplied by `scale`."""
    first, last = int(history["epoch"].min()), int(history["epoch"].max())
    x = Axis(first, max(last, first + 1), start=46, end=390, step=1)  # not around: there are no more epochs
    y = Axis.around(scale * history[columns].to_numpy(float), start=190, end=24)
    best = scale * history.loc[history["epoch"] == best_epoch, columns[1]].iloc[0]
    return {
        "title": title,
        "x": [(x.at(tick), f"{tick}") for tick in _epochs_to_label(first, last)],
        "y": [(y.at(tick), f"{tick:g}{unit}") for tick in y.ticks()],
        "lines": [
            (part, list(zip(x.at(history["epoch"]), y.at(scale * history[column]), strict=True)))
            for part, column in zip(["train", "val"], columns, strict=True)
        ],
        "best": (x.at(best_epoch), y.at(best), f"epoch {best_epoch}: {best:.3g}{unit}"),
    }


def _epochs_to_label(first: int, last: int) -> list[int]:
    """The first epoch, and those at round distances."""
    step = max(1, round(_round_step(max(last - first, 1))))
    return sorted({first, *range(-(-first // step) * step, last + 1, step)})


def calibration_chart(table: pd.DataFrame) -> dict[str, Any]:
    """Accuracy against the mean probability of each bin, with intervals; series "before" and "after" scaling.

    table: reports/calibration.csv; bins without images are not drawn."""
    table = table[table["num_images"] > 0]
    x, y = Axis(0, 1, start=46, end=390, step=0.2), Axis(0, 1, start=300, end=24, step=0.2)
    series = []
    for when in [name for name in ("before", "after") if (table["when"] == name).any()]:
        rows = table[table["when"] == when].sort_values("mean_probability").itertuples()
        points = [
            {
                "at": (x.at(row.mean_probability), y.at(row.accuracy)),
                "reach": (y.at(row.accuracy_low), y.at(row.accuracy_high)),
                "text": f"{when}: {row.num_images:,.0f} pictures predicted with {row.mean_probability:.1%}, "
                f"of which {row.accuracy:.1%} are right ({row.accuracy_low:.1%} to {row.accuracy_high:.1%})",
            }
            for row in rows
        ]
        series.append({"name": when, "points": points})
    return {"x": _percent_ticks(x), "y": _percent_ticks(y), "series": series}


def threshold_chart(table: pd.DataFrame) -> dict[str, Any]:
    """Accuracy of the answers, and their share of all images, against the threshold below which there is no answer.

    table: rows of one part of reports/thresholds.csv."""
    table = table.sort_values("threshold")
    values = table[["accuracy", "coverage"]].to_numpy(float)
    x = Axis.around(table["threshold"].to_numpy(float), start=46, end=390)
    y = Axis.around(values[np.isfinite(values)], start=190, end=24)
    chosen = table[table["chosen"] == 1]
    known = table[table["accuracy"].notna()]  # without an answer there is no accuracy
    return {
        "x": [(x.at(tick), f"{tick:g}") for tick in x.ticks()],
        "y": [(y.at(tick), f"{100 * tick:.3g}%") for tick in y.ticks()],
        "lines": [
            ("accuracy", list(zip(x.at(known["threshold"]), y.at(known["accuracy"]), strict=True))),
            ("coverage", list(zip(x.at(table["threshold"]), y.at(table["coverage"]), strict=True))),
        ],
        "chosen": x.at(chosen["threshold"].iloc[0]) if len(chosen) else None,
    }


def _percent_ticks(axis: "Axis") -> list[tuple[float, str]]:
    return [(axis.at(tick), f"{tick:.0%}") for tick in axis.ticks()]


def size_map(width: Values, height: Values) -> dict[str, Any]:
    """Count the images by width and height, (n,) each, in pixels, both on the same logarithmic scale."""
    x = Axis.logarithmic(np.concatenate([width, height]), start=46, end=390)
    y = Axis.logarithmic(np.concatenate([width, height]), start=300, end=24)
    edges = x.bins()
    counts, _, _ = np.histogram2d(width, height, bins=[edges, edges])
    left, bottom = x.at(edges), y.at(edges)
    return {
        "x": [(x.at(tick), f"{tick:,.0f}") for tick in x.ticks()],
        "y": [(y.at(tick), f"{tick:,.0f}") for tick in y.ticks()],
        "cells": [
            {
                "box": (left[i], bottom[j + 1], left[i + 1] - left[i], bottom[j] - bottom[j + 1]),
                "ink": 0.2 + 0.8 * math.log1p(counts[i, j]) / math.log1p(counts.max()),
                "text": f"{counts[i, j]:,.0f} pictures, about {edges[i]:,.0f} × {edges[j]:,.0f} pixels",
            }
            for i, j in np.argwhere(counts)
        ],
    }


def histogram(num_bytes: Values) -> dict[str, Any]:
    """Count files by size, (n,) bytes, on a logarithmic scale; empty files are left out."""
    positive = num_bytes[num_bytes > 0]
    x = Axis.logarithmic(positive, start=46, end=390)
    counts, edges = np.histogram(positive, bins=x.bins())
    y = Axis.around(np.append(counts, 0.0), start=190, end=14)
    left, top = x.at(edges), y.at(counts)
    return {
        "x": [(x.at(tick), file_size(tick)) for tick in x.ticks()],
        "y": [(y.at(tick), f"{tick:,.0f}") for tick in y.ticks() if tick == int(tick)],
        "bars": [
            {
                "box": (left[i], top[i], max(left[i + 1] - left[i] - 1, 1), y.start - top[i]),
                "text": f"{counts[i]:,} files of {file_size(edges[i])} to {file_size(edges[i + 1])}",
            }
            for i in np.flatnonzero(counts)
        ],
    }


def strips(table: pd.DataFrame, name: str, axis: "Axis", shown_classes: list[str]) -> list[dict[str, Any]]:
    """Percentiles of a column, first of all classes together, then of each class in `shown_classes`."""
    groups = [("all classes", table[name])]
    groups += [(class_name, table.loc[table["class_name"] == class_name, name]) for class_name in shown_classes]
    strips = []
    for label, values in groups:
        if len(values):
            percentiles = np.percentile(values, PERCENTILES)
            strips.append({"name": label, "values": percentiles, "at": axis.at(percentiles)})
    return strips


@dataclass(frozen=True)
class Axis:
    """An axis for values from `low` to `high`, drawn from `start` to `end` in the units of the chart."""

    low: float
    high: float
    start: float
    end: float
    step: float | None = None  # distance between ticks; None for a logarithmic axis

    @classmethod
    def around(cls, values: Values, start: float, end: float) -> "Axis":
        """A linear axis that ends on round numbers, on or just outside the smallest and largest value."""
        low, high = float(values.min()), float(values.max())
        step = _round_step((high - low) or max(abs(high), 1.0))
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
        return cls(low, high if high > low else low + step, start, end, step)

    @classmethod
    def logarithmic(cls, values: Values, start: float, end: float) -> "Axis":
        """A logarithmic axis over positive values, with some room at both ends."""
        low, high = (float(values.min()), float(values.max())) if len(values) else (1.0, 10.0)
        return cls(low / 1.1, high * 1.1, start, end)

    def at(self, values: Any) -> Any:
        """Positions of values on the chart, rounded to a tenth; values outside the axis are drawn at its end."""
        scale = np.asarray if self.step else np.log
        low, high = scale(self.low), scale(self.high)
        fraction = (scale(np.clip(values, self.low, self.high)) - low) / (high - low)
        return np.round(self.start + fraction * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Three to seven values to label; they are round unless a logarithmic axis is too short for round values."""
        if self.step:
            num_steps = round((self.high - self.low) / self.step)
            return [round(self.low + i * self.step, 10) for i in range(num_steps + 1)]
        for factors in ((1, 2, 5), (1,)):
            ticks = [f * 10.0**power for power in range(13) for f in factors]
            ticks = [tick for tick in ticks if self.low <= tick <= self.high]
            if len(ticks) < 8:
                break
        return ticks if len(ticks) > 2 else [float(tick) for tick in np.geomspace(self.low, self.high, 3)]

    def bins(self) -> Values:
        """Edges of equally wide bins on a logarithmic axis."""
        return np.geomspace(self.low, self.high, NUM_BINS + 1)


def _round_step(width: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that divides `width` into at most five."""
    power = 10.0 ** math.floor(math.log10(width / 5))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width / 5)
