"""The one-file report: what went in, what was left out, what was learned and where it fails.

The functions here choose and measure what each section shows; `report.html` puts it into words and
draws it. Nothing on the page comes from outside the inputs, and nothing on it is unbounded: what is
cut short says so.
"""

import base64
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.images import REASONS, to_jpeg
from pawline.shards import PreparedImages

PARTS = ["train", "val", "test"]

MAX_CLASSES = 20  # in the matrix and in rows of pictures: a larger one is searched, not read
MAX_LISTED = 200  # classes, or epochs, in a plain table
MAX_QUARANTINED = 20  # files listed per reason
NUM_MISTAKES, NUM_RIGHT, NUM_EXTREMES = 24, 8, 6
NUM_NEAR_GROUPS, NUM_EXACT_GROUPS, GROUP_SIZE = 12, 4, 4

NUM_MEASURED = 5000  # images are plenty for a spread, and 100,000 take as long as these
BATCH = 256  # images in memory at once

THUMBNAIL_SIDE = 96
NUM_BINS = 24
PERCENTILES = [5, 25, 50, 75, 95]  # report.html draws a strip from these five

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ReportInputs:
    """Everything a finished pipeline knows; the tables are those of the modules of the same names.

    `split` and `left_out` are what split_images returns; `metrics` has the content of
    `metrics/<stage>.json` under "ingest", "prepare", "split", "train" and "evaluate".
    """

    index: pd.DataFrame
    quarantine: pd.DataFrame
    contact_sheet: pd.DataFrame
    split: pd.DataFrame
    left_out: pd.DataFrame
    images: PreparedImages
    history: pd.DataFrame
    predictions: pd.DataFrame
    metrics: dict[str, dict[str, Any]]


def render_report(inputs: ReportInputs) -> str:
    """One HTML page that needs no other file, no script and no network; equal inputs make equal text."""
    shown = _hardest_classes(inputs, MAX_CLASSES)
    return _template().render(
        metrics=inputs.metrics,
        images=inputs.images,
        parts=PARTS,
        shown=shown,
        headline=_headline(inputs),
        training=_training(inputs),
        confusion=_confusion(inputs.predictions, inputs.images.class_names, shown),
        classes=_classes(inputs),
        examples=_examples(inputs),
        given=_given_parts(inputs.index),
        sizes=_sizes(inputs.index),
        light=_light(inputs.images, shown),
        duplicates=_duplicates(inputs),
        quarantine=_quarantine(inputs.quarantine, inputs.contact_sheet),
        samples=_samples(inputs.images, shown),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": "{:,}".format,
        "plural": _plural,
        "percent": _percent,
        "number": _number,
        "size": _file_size,
        "short": _short,
    }
    return environment.from_string(files("pawline").joinpath("report.html").read_text(encoding="utf-8"))


# --- text -----------------------------------------------------------------------------------------


def _percent(fraction: float | None) -> str:
    """One decimal, but 0% and 100% only where it is none and all."""
    if fraction is None:
        return "–"
    if 0 < fraction < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= fraction < 1 else f"{fraction:.1%}"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _number(value: float) -> str:
    """At least three digits: 0.312, 12.3, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _file_size(num_bytes: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes:.0f} B"


def _visible(text: object) -> str:
    """File names hold anything: line feeds, reversed writing, bytes that are no text. Spell those out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in str(text))


def _short(text: object, limit: int = 40) -> str:
    """At most `limit` characters. The middle goes: names differ at their ends."""
    text = _visible(text)
    tail = limit // 2
    return text if len(text) <= limit else f"{text[: limit - tail - 1]}…{text[-tail:]}"


# --- the model ------------------------------------------------------------------------------------


def _headline(inputs: ReportInputs) -> dict[str, Any]:
    """The class to guess without looking, which the accuracy has to beat, and the weak spots."""
    actual, predicted = inputs.predictions["actual"], inputs.predictions["predicted"]
    per_class = inputs.metrics["evaluate"]["per_class"]
    return {
        "guess": _ranked(actual)[0],
        "num_wrong": int((actual != predicted).sum()),
        "weakest": min(per_class, key=lambda name: (per_class[name]["recall"], name)),
    }


def _hardest_classes(inputs: ReportInputs, limit: int) -> list[str]:
    """All class names where they fit, else the `limit` with the most mistakes; in alphabetical order."""
    names = inputs.images.class_names
    wrong = inputs.predictions[inputs.predictions["actual"] != inputs.predictions["predicted"]]
    num_wrong = wrong["actual"].value_counts()
    return sorted(sorted(names, key=lambda name: (-num_wrong.get(name, 0), name))[:limit])


def _training(inputs: ReportInputs) -> dict[str, Any]:
    history, best = inputs.history, inputs.metrics["train"]["best_epoch"]
    return {
        "charts": [
            _line_chart("Loss", history, ["loss", "val_loss"], best, scale=1, unit=""),
            _line_chart("Accuracy", history, ["accuracy", "val_accuracy"], best, scale=100, unit="%"),
        ],
        "rows": list(history.iloc[_evenly(len(history), MAX_LISTED)].itertuples()),
    }


def _line_chart(
    title: str, history: pd.DataFrame, columns: list[str], best_epoch: int, scale: int, unit: str
) -> dict[str, Any]:
    """A line each for train and val; the marked point is val in the best epoch."""
    x = Axis.around(history["epoch"].to_numpy(float), start=46, end=390)
    y = Axis.around(scale * history[columns].to_numpy(float), start=190, end=24)
    best = scale * history.loc[history["epoch"] == best_epoch, columns[1]].iloc[0]
    return {
        "title": title,
        "x": [(x.at(tick), f"{tick:g}") for tick in x.ticks() if tick == int(tick) and tick >= 1],
        "y": [(y.at(tick), f"{tick:g}{unit}") for tick in y.ticks()],
        "lines": [
            (part, list(zip(x.at(history["epoch"]), y.at(scale * history[column]), strict=True)))
            for part, column in zip(["train", "val"], columns, strict=True)
        ],
        "best": (x.at(best_epoch), y.at(best), f"epoch {best_epoch}: {best:.3g}{unit}"),
    }


def _confusion(predictions: pd.DataFrame, class_names: list[str], shown: list[str]) -> dict[str, Any]:
    """Rows actual, columns predicted; classes not shown are added up in a last row and column."""
    other = f"{len(class_names) - len(shown):,} other classes"
    names = shown + [other] * (len(shown) < len(class_names))
    position = dict.fromkeys(class_names, len(shown)) | {name: place for place, name in enumerate(shown)}
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (predictions["actual"].map(position), predictions["predicted"].map(position)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    wrong = predictions[predictions["actual"] != predictions["predicted"]]
    return {
        "names": names,
        "rows": [
            (name, int(total), list(zip(row.tolist(), share.tolist(), strict=True)))
            for name, (total,), row, share in zip(
                names, totals, counts, counts / np.maximum(totals, 1), strict=True
            )
        ],
        "pairs": _ranked(wrong["actual"], wrong["predicted"])[:10],
    }


def _classes(inputs: ReportInputs) -> list[dict[str, Any]]:
    """One row per class: how it fares, and where its images went."""
    per_class, split = inputs.metrics["evaluate"]["per_class"], inputs.metrics["split"]
    labels = inputs.left_out["label"].value_counts()
    quarantined = inputs.quarantine["class_name"].value_counts()
    largest = max(sum(split["num_per_class"][part][name] for part in PARTS) for name in inputs.images.class_names)
    return [
        {
            "name": name,
            "precision": per_class[name]["precision"],
            "recall": per_class[name]["recall"],
            "num_tested": per_class[name]["num_images"],
            "parts": {
                part: {
                    "count": split["num_per_class"][part][name],
                    "fraction": split["num_per_class"][part][name] / max(split["num_images"][part], 1),
                    "of_largest": split["num_per_class"][part][name] / max(largest, 1),
                }
                for part in PARTS
            },
            "num_left_out": int(labels.get(inputs.images.class_names.index(name), 0)),
            "num_quarantined": int(quarantined.get(name, 0)),
        }
        for name in _hardest_classes(inputs, MAX_LISTED)
    ]


def _examples(inputs: ReportInputs) -> dict[str, Any]:
    """The surest mistakes, the surest right predictions and the narrowest ones, as pictures."""
    told = inputs.predictions.assign(probability=_probability_of_predicted(inputs))
    told = told.sort_values(["probability", "path"], ascending=[False, True])
    wrong, right = told[told["actual"] != told["predicted"]], told[told["actual"] == told["predicted"]]
    return {
        "mistakes": _with_pictures(inputs.images, wrong.head(NUM_MISTAKES)),
        "surest": _with_pictures(inputs.images, right.head(NUM_RIGHT)),
        "narrowest": _with_pictures(inputs.images, right.iloc[::-1].head(NUM_RIGHT)),
    }


def _probability_of_predicted(inputs: ReportInputs) -> Values:
    names = inputs.images.class_names
    probabilities = inputs.predictions[[f"probability_{name}" for name in names]].to_numpy(float)
    label = pd.Index(names).get_indexer(pd.Index(inputs.predictions["predicted"]))
    return probabilities[np.arange(len(label)), label]


# --- the data -------------------------------------------------------------------------------------


def _given_parts(index: pd.DataFrame) -> dict[str, Any]:
    """How many files the source itself gave to each part, and which parts it lacked; empty if it gave none."""
    counts = index["given_part"].value_counts()
    given = [(part, int(counts[part])) for part in PARTS if part in counts]
    return {"counts": given, "cut": [part for part in PARTS[1:] if part not in counts]} if given else {}


def _sizes(index: pd.DataFrame) -> dict[str, Any]:
    """Pixels and bytes of the files as they came; a file without a readable header has no pixels."""
    known = index[(index["width"] > 0) & (index["height"] > 0)]
    width, height = known["width"].to_numpy(float), known["height"].to_numpy(float)
    return {
        "num_known": len(known),
        "rows": [
            ("Width", _spread(width), "pixels"),
            ("Height", _spread(height), "pixels"),
            ("Width ÷ height", _spread(width / height), ""),
            ("File size", _spread(index["bytes"].to_numpy(float)), "bytes"),
        ],
        "map": _size_map(width, height),
        "bytes": _histogram(index["bytes"].to_numpy(float)),
        "common": _ranked(known["width"], known["height"]),
        "formats": _ranked(index["format"].replace("", "unknown")),
        "num_animated": int(index["animated"].sum()),
    }


def _spread(values: Values) -> tuple[float, float, float]:
    """Smallest, median, largest."""
    return (values.min(), float(np.median(values)), values.max()) if len(values) else (0.0, 0.0, 0.0)


def _size_map(width: Values, height: Values) -> dict[str, Any]:
    """How many images have about which width and height, both on the same logarithmic scale."""
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
                "text": f"{counts[i, j]:,.0f} images, about {edges[i]:,.0f} × {edges[j]:,.0f} pixels",
            }
            for i, j in np.argwhere(counts)
        ],
    }


def _histogram(num_bytes: Values) -> dict[str, Any]:
    positive = num_bytes[num_bytes > 0]
    x = Axis.logarithmic(positive, start=46, end=390)
    counts, edges = np.histogram(positive, bins=x.bins())
    y = Axis.around(np.append(counts, 0.0), start=190, end=14)
    left, top = x.at(edges), y.at(counts)
    return {
        "x": [(x.at(tick), _file_size(tick)) for tick in x.ticks()],
        "y": [(y.at(tick), f"{tick:,.0f}") for tick in y.ticks() if tick == int(tick)],
        "bars": [
            {
                "box": (left[i], top[i], max(left[i + 1] - left[i] - 1, 1), y.start - top[i]),
                "text": f"{counts[i]:,} files of {_file_size(edges[i])} to {_file_size(edges[i + 1])}",
            }
            for i in np.flatnonzero(counts)
        ],
    }


def _light(images: PreparedImages, shown: list[str]) -> dict[str, Any]:
    """Brightness and sharpness of evenly spaced images: their spread per class and their extremes."""
    table = _measure(images, _evenly(len(images), NUM_MEASURED))
    axes = {
        "brightness": Axis(0, 255, start=0, end=100, step=51),
        "sharpness": Axis.logarithmic(np.maximum(table["sharpness"].to_numpy(), 1), start=0, end=100),
    }
    return {
        "num_measured": len(table),
        "measures": [
            {
                "name": name,
                "ends": (axis.low, axis.high),
                "rows": _strips(table, name, axis, shown),
                "lowest": _extremes(images, table, name, ascending=True),
                "highest": _extremes(images, table, name, ascending=False),
            }
            for name, axis in axes.items()
        ],
    }


def _measure(images: PreparedImages, rows: NDArray[np.int64]) -> pd.DataFrame:
    """path, class_name, brightness (mean level) and sharpness (variance of the Laplacian) of some rows."""
    found = []
    for start in range(0, len(rows), BATCH):
        for pixels in images.pixels(rows[start : start + BATCH]):
            level = pixels[:, :, 0] if images.form.num_channels == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
            found.append((level.mean(), cv2.Laplacian(level, cv2.CV_16S).var()))
    brightness, sharpness = np.array(found, float).reshape(-1, 2).T
    return images.table.iloc[rows][["path", "class_name"]].assign(brightness=brightness, sharpness=sharpness)


def _strips(table: pd.DataFrame, name: str, axis: "Axis", shown: list[str]) -> list[dict[str, Any]]:
    """Percentiles of one measure, first of all classes together, then of each one shown."""
    chosen = [("all classes", table[name])]
    chosen += [(one, table.loc[table["class_name"] == one, name]) for one in shown]
    strips = []
    for label, values in chosen:
        if len(values):
            percentiles = np.percentile(values, PERCENTILES)
            strips.append({"name": label, "values": percentiles, "at": axis.at(percentiles)})
    return strips


def _extremes(images: PreparedImages, table: pd.DataFrame, name: str, ascending: bool) -> list[dict[str, Any]]:
    order = table.sort_values([name, "path"], ascending=[ascending, True]).head(NUM_EXTREMES)
    return _with_pictures(images, order.assign(value=order[name]))


def _duplicates(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Near-duplicates and copies of the same bytes, a few groups of each, largest first; those that lost images
    to the split come before the others."""
    everyone = pd.concat([inputs.split, inputs.left_out], ignore_index=True)
    everyone["left_out"] = np.arange(len(everyone)) >= len(inputs.split)
    groups = everyone.groupby("group").agg(
        num_copies=("path", "size"), num_different=("digest", "nunique"), num_left_out=("left_out", "sum")
    )
    groups = groups[groups["num_copies"] > 1].sort_values(
        ["num_left_out", "num_copies"], ascending=False, kind="stable"
    )
    near = groups["num_different"] > 1
    kinds = [("near", groups[near], NUM_NEAR_GROUPS), ("exact", groups[~near], NUM_EXACT_GROUPS)]
    return [
        {"kind": kind, "count": len(found), "groups": _group_pictures(inputs.images, everyone, found.head(limit))}
        for kind, found, limit in kinds
        if len(found)
    ]


def _group_pictures(images: PreparedImages, everyone: pd.DataFrame, groups: pd.DataFrame) -> list[dict[str, Any]]:
    chosen = []
    for group in groups.itertuples():
        copies = everyone[everyone["group"] == group.Index].sort_values(["left_out", "path"])
        pictures = _with_pictures(images, copies.head(GROUP_SIZE))
        chosen.append({"num_copies": group.num_copies, "copies": pictures})
    return chosen


def _quarantine(quarantine: pd.DataFrame, sheet: pd.DataFrame) -> list[dict[str, Any]]:
    """Per reason, in the order of REASONS: its meaning, how many files it has, the tiles of the contact sheet
    and the first files as a list."""
    reasons = []
    for reason, meaning in REASONS.items():
        of_reason = quarantine[quarantine["reason"] == reason].sort_values("path")
        if len(of_reason):
            listed = list(of_reason.head(MAX_QUARANTINED).itertuples())
            tiles = [_tile(row) for row in sheet[sheet["reason"] == reason].itertuples()]
            reasons.append(
                {"reason": reason, "meaning": meaning, "count": len(of_reason), "files": listed, "tiles": tiles}
            )
    return reasons


def _tile(row: Any) -> dict[str, Any]:
    """`picture` is empty where nothing can be shown."""
    told = {name: getattr(row, name) for name in ("path", "class_name", "detail")}
    return told | {"picture": _jpeg_uri(row.picture) if row.picture else ""}


def _samples(images: PreparedImages, shown: list[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Evenly spaced images of each class shown: a whole row of them where the classes are few."""
    each = 12 if len(shown) < 7 else 4
    rows = []
    for name in shown:
        of_class = images.table[images.table["class_name"] == name]
        rows.append((name, _with_pictures(images, of_class.iloc[_evenly(len(of_class), each)])))
    return rows


# --- what the sections share ----------------------------------------------------------------------


def _evenly(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` of the numbers 0 to count - 1, first and last among them."""
    return np.linspace(0, max(count - 1, 0), min(count, limit)).astype(np.int64)


def _ranked(*columns: pd.Series) -> list[tuple[Any, int]]:
    """(value, or tuple of values, and how often), most frequent first; equals in alphabetical order."""
    counts = pd.Series(1, index=range(len(columns[0]))).groupby([column.to_numpy() for column in columns]).sum()
    return list(counts.sort_values(ascending=False, kind="stable").items())


def _with_pictures(images: PreparedImages, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table with a `path`, each with that image as a data: URI under `picture`."""
    pixels = images.pixels(images.rows_of(table["path"]))
    rows = zip(table.itertuples(index=False), pixels, strict=True)
    return [{**dict(zip(table.columns, row, strict=True)), "picture": _data_uri(one)} for row, one in rows]


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    """A JPEG thumbnail of uint8 (height, width, channels)."""
    side = min(THUMBNAIL_SIDE, len(pixels))
    small = np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return _jpeg_uri(to_jpeg(small.reshape(side, side, -1)))  # OpenCV drops a lone channel


def _jpeg_uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, drawn from `start` to `end` in the units of the chart."""

    low: float
    high: float
    start: float
    end: float
    step: float | None = None  # from tick to tick; None for a logarithmic axis

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
        """Where values are drawn, to a tenth; those outside are drawn at the end."""
        bend = np.asarray if self.step else np.log
        share = (bend(np.clip(values, self.low, self.high)) - bend(self.low)) / (bend(self.high) - bend(self.low))
        return np.round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Three to seven values: round ones, unless a logarithmic axis is too short to hold them."""
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
        return np.geomspace(self.low, self.high, NUM_BINS + 1)


def _round_step(width: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that divides `width` into at most five."""
    power = 10.0 ** math.floor(math.log10(width / 5))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width / 5)
