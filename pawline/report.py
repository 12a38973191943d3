"""Write the report, one HTML page: the data, the images left out, the training and the mistakes.

The functions here select and measure the content of each section; `report.html` describes and draws it. The page
depends on its inputs alone. Every list on the page has a limit, and the page says where a list was cut.
"""

import base64
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.figures import FIGURES
from pawline.page.charts import Axis, Values, histogram, line_chart, size_map, strips
from pawline.page.words import file_size, number, percent, plural, short
from pawline.pictures.decode import REASONS, to_jpeg
from pawline.prepared import PreparedImages

# In the order of a reader: the parts as a model meets them. (split.py has its own PARTS, in the order that decides
# ties.)
PARTS = ["train", "val", "test"]
MEASURED_STAGES = ["ingest", "prepare", "split", "train", "evaluate"]

# The figures of the headline and the first tile. Every other figure of FIGURES has a tile of its own.
HEADLINE_KEYS = {"accuracy", "num_images"}

MAX_CLASSES = 20  # in the matrix and in rows of pictures: nobody reads a larger matrix
MAX_LISTED = 200  # classes, or epochs, in a plain table
MAX_QUARANTINED = 20  # files listed per reason
NUM_MISTAKES, NUM_CORRECT, NUM_EXTREMES = 24, 8, 6
NUM_NEAR_GROUPS, NUM_EXACT_GROUPS, GROUP_SIZE = 12, 4, 4

NUM_MEASURED = 5000  # images; enough for percentiles, and their number bounds the time for 100,000 images
BATCH_SIZE = 256  # images in memory at the same time

THUMBNAIL_SIDE = 96  # pixels


@dataclass(frozen=True)
class ReportInputs:
    """The results of all stages. Each table is described in the module of the same name.

    `split` and `left_out` are the tables of split_images; `metrics` has the content of
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
    """Return one HTML page that needs no other file, no script and no network; equal inputs make equal text."""
    shown_classes = _hardest_classes(inputs, MAX_CLASSES)
    return _template().render(
        metrics=inputs.metrics,
        images=inputs.images,
        parts=PARTS,
        shown_classes=shown_classes,
        headline=_headline(inputs),
        tiles=_tiles(inputs.metrics["evaluate"]),
        training=_training(inputs),
        confusion=_confusion(inputs.predictions, inputs.images.class_names, shown_classes),
        classes=_classes(inputs),
        examples=_examples(inputs),
        given_parts=_given_parts(inputs.index),
        sizes=_sizes(inputs.index),
        light=_light(inputs.images, shown_classes),
        duplicates=_duplicates(inputs),
        quarantine=_quarantine(inputs.quarantine, inputs.contact_sheet),
        samples=_samples(inputs.images, shown_classes),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": "{:,}".format,
        "plural": plural,
        "percent": percent,
        "number": number,
        "size": file_size,
        "short": short,
    }
    return environment.from_string(files("pawline.page").joinpath("report.html").read_text(encoding="utf-8"))


# --- the model ------------------------------------------------------------------------------------


def _headline(inputs: ReportInputs) -> dict[str, Any]:
    """The most frequent class (the accuracy must beat always guessing this class), and the weakest class."""
    actual, predicted = inputs.predictions["actual"], inputs.predictions["predicted"]
    per_class = inputs.metrics["evaluate"]["per_class"]
    return {
        "guess": _ranked(actual)[0],
        "num_wrong": int((actual != predicted).sum()),
        "weakest": min(set(actual), key=lambda name: (per_class[name]["recall"], name)),
    }


def _tiles(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """(Name, value) of each figure that the headline does not show."""
    return [
        figure.tile(metrics)
        for figure in FIGURES
        if figure.key not in HEADLINE_KEYS and metrics.get(figure.key) is not None
    ]


def _hardest_classes(inputs: ReportInputs, limit: int) -> list[str]:
    """Names of at most `limit` classes, those with the most mistakes, in alphabetical order."""
    names = inputs.images.class_names
    wrong = inputs.predictions[inputs.predictions["actual"] != inputs.predictions["predicted"]]
    num_wrong = wrong["actual"].value_counts()
    return sorted(sorted(names, key=lambda name: (-num_wrong.get(name, 0), name))[:limit])


def _training(inputs: ReportInputs) -> dict[str, Any]:
    history, best = inputs.history, inputs.metrics["train"]["best_epoch"]
    return {
        "charts": [
            line_chart("Loss", history, ["loss", "val_loss"], best, scale=1, unit=""),
            line_chart("Accuracy", history, ["accuracy", "val_accuracy"], best, scale=100, unit="%"),
        ],
        "rows": list(history.iloc[_evenly(len(history), MAX_LISTED)].itertuples()),
    }


def _confusion(predictions: pd.DataFrame, class_names: list[str], shown_classes: list[str]) -> dict[str, Any]:
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
        "pairs": _ranked(wrong["actual"], wrong["predicted"])[:10],
    }


def _classes(inputs: ReportInputs) -> list[dict[str, Any]]:
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
    """Pictures of the surest mistakes, of the surest correct predictions and of the least sure correct predictions."""
    whole = (
        inputs.predictions.copy()
    )  # pandas reads each column apart, and warns of an assignment to a hundred of them
    predictions = whole.assign(probability=_probability_of_predicted(inputs))
    predictions = predictions.sort_values(["probability", "path"], ascending=[False, True])
    is_correct = predictions["actual"] == predictions["predicted"]
    wrong, correct = predictions[~is_correct], predictions[is_correct]
    return {
        "mistakes": _with_pictures(inputs.images, wrong.head(NUM_MISTAKES)),
        "surest": _with_pictures(inputs.images, correct.head(NUM_CORRECT)),
        "narrowest": _with_pictures(inputs.images, correct.iloc[::-1].head(NUM_CORRECT)),
    }


def _probability_of_predicted(inputs: ReportInputs) -> Values:
    """The probability of each predicted class: float64 (n,)."""
    names = inputs.images.class_names
    probabilities = inputs.predictions[[f"probability_{name}" for name in names]].to_numpy(float)
    label = pd.Index(names).get_indexer(pd.Index(inputs.predictions["predicted"]))
    return probabilities[np.arange(len(label)), label]


# --- the data -------------------------------------------------------------------------------------


def _given_parts(index: pd.DataFrame) -> dict[str, Any]:
    """Count the files of each part that the source defines, and list its missing parts; empty if it defines none."""
    counts = index["given_part"].value_counts()
    num_files = [(part, int(counts[part])) for part in PARTS if part in counts]
    missing = [part for part in PARTS[1:] if part not in counts]
    return {"num_files": num_files, "missing": missing} if num_files else {}


def _sizes(index: pd.DataFrame) -> dict[str, Any]:
    """Sizes of the source files in pixels and bytes; a file without a readable header has no size in pixels."""
    sized = index[(index["width"] > 0) & (index["height"] > 0)]
    width, height = sized["width"].to_numpy(float), sized["height"].to_numpy(float)
    return {
        "num_sized": len(sized),
        "rows": [
            ("Width", _spread(width), "pixels"),
            ("Height", _spread(height), "pixels"),
            ("Width ÷ height", _spread(width / height), ""),
            ("File size", _spread(index["bytes"].to_numpy(float)), "bytes"),
        ],
        "map": size_map(width, height),
        "bytes": histogram(index["bytes"].to_numpy(float)),
        "common": _ranked(sized["width"], sized["height"]),
        "formats": _ranked(index["format"].replace("", "unknown")),
        "num_animated": int(index["animated"].sum()),
    }


def _spread(values: Values) -> tuple[float, float, float]:
    """(Smallest, median, largest) value."""
    return (values.min(), float(np.median(values)), values.max()) if len(values) else (0.0, 0.0, 0.0)


def _light(images: PreparedImages, shown_classes: list[str]) -> dict[str, Any]:
    """Brightness and sharpness of evenly spaced images: percentiles per class, and the extreme images."""
    table = _light_of(images, _evenly(len(images), NUM_MEASURED))
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
                "rows": strips(table, name, axis, shown_classes),
                "lowest": _extremes(images, table, name, ascending=True),
                "highest": _extremes(images, table, name, ascending=False),
            }
            for name, axis in axes.items()
        ],
    }


def _light_of(images: PreparedImages, rows: NDArray[np.int64]) -> pd.DataFrame:
    """A table of path, class_name, brightness (mean grey level) and sharpness (variance of the Laplacian)."""
    measurements = []
    for start in range(0, len(rows), BATCH_SIZE):
        for pixels in images.pixels(rows[start : start + BATCH_SIZE]):
            level = pixels[:, :, 0] if images.form.num_channels == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
            measurements.append((level.mean(), cv2.Laplacian(level, cv2.CV_16S).var()))
    brightness, sharpness = np.array(measurements, float).reshape(-1, 2).T
    return images.table.iloc[rows][["path", "class_name"]].assign(brightness=brightness, sharpness=sharpness)


def _extremes(images: PreparedImages, table: pd.DataFrame, name: str, ascending: bool) -> list[dict[str, Any]]:
    order = table.sort_values([name, "path"], ascending=[ascending, True]).head(NUM_EXTREMES)
    return _with_pictures(images, order.assign(value=order[name]))


def _duplicates(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Groups of near-duplicates and of identical files, a few of each kind. Groups with images left out of the split
    come first, then the largest groups."""
    every_image = pd.concat([inputs.split, inputs.left_out], ignore_index=True)
    every_image["left_out"] = np.arange(len(every_image)) >= len(inputs.split)
    groups = every_image.groupby("group").agg(
        num_copies=("path", "size"), num_different=("digest", "nunique"), num_left_out=("left_out", "sum")
    )
    groups = groups[groups["num_copies"] > 1].sort_values(
        ["num_left_out", "num_copies"], ascending=False, kind="stable"
    )
    near = groups["num_different"] > 1
    kinds = [("near", groups[near], NUM_NEAR_GROUPS), ("exact", groups[~near], NUM_EXACT_GROUPS)]
    return [
        {
            "kind": kind,
            "count": len(of_kind),
            "groups": _group_pictures(inputs.images, every_image, of_kind.head(limit)),
        }
        for kind, of_kind, limit in kinds
        if len(of_kind)
    ]


def _group_pictures(
    images: PreparedImages, every_image: pd.DataFrame, groups: pd.DataFrame
) -> list[dict[str, Any]]:
    group_pictures = []
    for group in groups.itertuples():
        copies = every_image[every_image["group"] == group.Index].sort_values(["left_out", "path"])
        pictures = _with_pictures(images, copies.head(GROUP_SIZE))
        group_pictures.append({"num_copies": group.num_copies, "copies": pictures})
    return group_pictures


def _quarantine(quarantine: pd.DataFrame, sheet: pd.DataFrame) -> list[dict[str, Any]]:
    """For each reason, in the order of REASONS: its meaning, its number of files, its tiles of the contact sheet, and a
    list of its first files."""
    reasons = []
    for reason, meaning in REASONS.items():
        of_reason = quarantine[quarantine["reason"] == reason].sort_values("path")
        if len(of_reason):
            files = list(of_reason.head(MAX_QUARANTINED).itertuples())
            tiles = [_tile(row) for row in sheet[sheet["reason"] == reason].itertuples()]
            reasons.append(
                {"reason": reason, "meaning": meaning, "count": len(of_reason), "files": files, "tiles": tiles}
            )
    return reasons


def _tile(row: Any) -> dict[str, Any]:
    """The fields of a tile; `picture` is empty if the file cannot be shown."""
    fields = {name: getattr(row, name) for name in ("path", "class_name", "detail")}
    return fields | {"picture": _jpeg_uri(row.picture) if row.picture else ""}


def _samples(images: PreparedImages, shown_classes: list[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Evenly spaced images of each class shown; a full row if there are few classes."""
    per_class = 12 if len(shown_classes) < 7 else 4
    rows = []
    for name in shown_classes:
        of_class = images.table[images.table["class_name"] == name]
        rows.append((name, _with_pictures(images, of_class.iloc[_evenly(len(of_class), per_class)])))
    return rows


# --- used by several sections ----------------------------------------------------------------------


def _evenly(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` evenly spaced numbers from 0 to count - 1, with both ends."""
    return np.linspace(0, max(count - 1, 0), min(count, limit)).astype(np.int64)


def _ranked(*columns: pd.Series) -> list[tuple[Any, int]]:
    """(Value or tuple of values, number of rows), most frequent first; equal counts in the order of their values."""
    counts = pd.Series(1, index=range(len(columns[0]))).groupby([column.to_numpy() for column in columns]).sum()
    return list(counts.sort_values(ascending=False, kind="stable").items())


def _with_pictures(images: PreparedImages, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table with the column `path`, each with its image as a data: URI under `picture`."""
    pixels = images.pixels(images.rows_of(table["path"]))
    rows = zip(table.itertuples(index=False), pixels, strict=True)
    return [{**dict(zip(table.columns, row, strict=True)), "picture": _data_uri(image)} for row, image in rows]


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    """A JPEG thumbnail of uint8 (height, width, channels)."""
    side = min(THUMBNAIL_SIDE, len(pixels))
    small = np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return _jpeg_uri(to_jpeg(small.reshape(side, side, -1)))  # OpenCV drops the axis of a single channel


def _jpeg_uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"
