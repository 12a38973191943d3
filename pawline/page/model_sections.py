"""The sections of the report about the model: figures, training, confusion, classes, examples."""

from typing import Any

import numpy as np
import pandas as pd

from pawline.figures import FIGURES
from pawline.judging.evenly import evenly
from pawline.judging.mistakes import surest_first, surest_mistakes
from pawline.page.album import Album
from pawline.page.charts import line_chart
from pawline.page.inputs import MAX_LISTED, ReportInputs, hardest_classes, ranked, records
from pawline.parts import PARTS
from pawline.words import percent

# The figures of the headline and the first tile. Every other figure of FIGURES has a tile of its own.
HEADLINE_KEYS = {"accuracy", "num_images"}
NUM_CORRECT = 8


def headline(inputs: ReportInputs) -> dict[str, Any]:
    """The most frequent class (the accuracy must beat always guessing this class), and the weakest class."""
    actual, predicted = inputs.predictions["actual"], inputs.predictions["predicted"]
    per_class = inputs.metrics["evaluate"]["per_class"]
    return {
        "guess": ranked(actual)[0],
        "num_wrong": int((actual != predicted).sum()),
        "weakest": min(set(actual), key=lambda name: (per_class[name]["recall"], name)),
    }


def tiles(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(Name, value, interval) of each figure that the headline does not show."""
    return [
        figure.tile(metrics)
        for figure in FIGURES
        if figure.key not in HEADLINE_KEYS and metrics.get(figure.key) is not None
    ]


def training(inputs: ReportInputs) -> dict[str, Any]:
    history, best = inputs.history, inputs.metrics["train"]["best_epoch"]
    return {
        "charts": [
            line_chart("Loss", history, ["loss", "val_loss"], best, scale=1, unit=""),
            line_chart("Accuracy", history, ["accuracy", "val_accuracy"], best, scale=100, unit="%"),
        ],
        "rows": records(history.iloc[evenly(len(history), MAX_LISTED)]),
    }


def confusion(predictions: pd.DataFrame, class_names: list[str], shown_classes: list[str]) -> dict[str, Any]:
    """The confusion matrix: rows actual, columns predicted. A last row and column add up the classes not shown."""
    other = f"{len(class_names) - len(shown_classes):,} other classes"
    names = shown_classes + [other] * (len(shown_classes) < len(class_names))
    position = dict.fromkeys(class_names, len(shown_classes)) | {
        name: place for place, name in enumerate(shown_classes)
    }
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (predictions["actual"].map(position), predictions["predicted"].map(position)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    wrong = predictions[predictions["actual"] != predictions["predicted"]]
    return {
        "names": names,
        "rows": [
            (name, int(total), list(zip(row.tolist(), fractions.tolist(), strict=True)))
            for name, (total,), row, fractions in zip(
                names, totals, counts, counts / np.maximum(totals, 1), strict=True
            )
        ],
        "pairs": ranked(wrong["actual"], wrong["predicted"])[:10],
    }


def classes(inputs: ReportInputs) -> list[dict[str, Any]]:
    """One row per class: its precision and recall, and the parts of its images."""
    per_class, split = inputs.metrics["evaluate"]["per_class"], inputs.metrics["split"]
    labels = inputs.left_out["label"].value_counts()
    quarantined = inputs.quarantine["class_name"].value_counts()
    largest = max(sum(split["num_per_class"][part][name] for part in PARTS) for name in inputs.images.class_names)
    return [
        {
            "name": name,
            "precision": per_class[name]["precision"],
            "recall": per_class[name]["recall"],
            "ends": {key: _interval(per_class[name], key) for key in ("precision", "recall")},
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
        for name in hardest_classes(inputs, MAX_LISTED)
    ]


def _interval(figures: dict[str, Any], key: str) -> str:
    low, high = figures.get(f"{key}_low"), figures.get(f"{key}_high")
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def examples(inputs: ReportInputs, album: Album) -> dict[str, Any]:
    """Pictures of the surest mistakes, of the surest correct predictions and of the least sure correct predictions."""
    predictions = surest_first(inputs.predictions, inputs.images.class_names)
    correct = predictions[predictions["actual"] == predictions["predicted"]]
    mistakes = album.rows(_columns(surest_mistakes(inputs.predictions, inputs.images.class_names)))
    maps = {} if inputs.activations is None else {str(row.path): row for row in inputs.activations.itertuples()}
    for item in mistakes:
        found = maps.get(item["path"])
        item["map"] = _map(album, found) if found else ""
    return {
        "mistakes": mistakes,
        "method": sorted({str(row.method) for row in maps.values()}),
        "surest": album.rows(_columns(correct.head(NUM_CORRECT))),
        "narrowest": album.rows(_columns(correct.iloc[::-1].head(NUM_CORRECT))),
    }


def _map(album: Album, found: Any) -> str:
    heat = np.frombuffer(found.map, np.uint8).reshape(found.side, found.side)
    return album.glowing(str(found.path), heat)


def _columns(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions[["path", "actual", "predicted", "probability"]]
