"""Measure a model on the test part, once: docs/evaluation.md explains every figure and its interval."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score, roc_curve

from pawline.errors import DatasetError, ModelError
from pawline.judging.clustered import accuracy_interval
from pawline.judging.predictions import PROBABILITY
from pawline.judging.reliability import calibration_table
from pawline.judging.replicates import Figures, Found, mirrored, percentiles, replicate
from pawline.judging.thresholds import mark_chosen, threshold_table
from pawline.linked_groups import group_keys
from pawline.params.judging import JudgingParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.softmax import softmax
from pawline.terminal import listed

# By resampling. Chance makes a calibration error larger, so its interval is made in another way.
RESAMPLED = ("balanced_accuracy", "macro_f1", "auc", "average_precision", "loss", "brier")
MIRRORED = ("calibration_error", "calibration_error_before")


@dataclass(frozen=True)
class Answers:
    """A model's answers to the pictures of a part.

    pictures: path, digest, group; labels, groups: int64 (n,), the latter numbers from 0, equal for pictures that are no
    independent ones (near-duplicates, one patient); probabilities, uncalibrated: float32 (n, num_classes), after and
    before the temperature."""

    pictures: pd.DataFrame
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    uncalibrated: NDArray[np.float32]

    @classmethod
    def of(cls, part: str, model: RuntimeModel, images: PreparedImages, split: pd.DataFrame) -> Self:
        """Ask the model. split: the images in use, from split_images.

        Raises DatasetError for a part without pictures, ModelError for a model of other classes."""
        if model.card.class_names != images.class_names:
            raise ModelError(
                f"the model tells {listed(model.card.class_names, 5, 'classes')} apart, but the pictures are of "
                f"{listed(images.class_names, 5, 'classes')}: train it on these pictures, or bring its own data back"
            )
        asked = Part.of(part, images, split)
        if not len(asked.rows):
            raise DatasetError(f"the {part} part has no pictures to measure on; raise split.{part}_fraction")
        table = split.assign(group=group_keys(split)).set_index("path").loc[asked.paths, ["digest", "group"]]
        logits = model.logits_of_rows(images, asked.rows)
        return cls(
            pictures=table.reset_index(),
            labels=asked.labels,
            groups=pd.factorize(table["group"])[0].astype(np.int64),
            probabilities=softmax(logits, model.card.temperature),
            uncalibrated=softmax(logits),
        )


def predictions_table(answers: Answers, class_names: list[str]) -> pd.DataFrame:
    """One row per picture: path, digest, group, actual and predicted class name, and one probability per class."""
    names = np.array(class_names)
    predicted = answers.probabilities.argmax(axis=1)
    table = answers.pictures[["path", "digest", "group"]].assign(
        actual=names[answers.labels], predicted=names[predicted]
    )
    columns = {
        f"{PROBABILITY}{name}": answers.probabilities[:, label].round(6) for label, name in enumerate(class_names)
    }
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def measure(answers: Answers, class_names: list[str]) -> dict[str, Any]:
    """Measure most of `metrics/evaluate.json`: each figure with its 95 % interval as `<figure>_low`, `<figure>_high`.

    The intervals of shares are Wilson's (1927), all others are made by resampling, both by group."""
    labels, groups = answers.labels, answers.groups
    right = answers.probabilities.argmax(axis=1) == labels
    figures = Figures(labels, answers.probabilities, answers.uncalibrated)
    whole = {name: values[0] for name, values in figures.of(np.ones((1, len(labels)))).items()}
    replicates = replicate(figures, groups, len(class_names))
    num_groups = np.array([len(np.unique(groups[labels == label])) for label in range(len(class_names))])
    smallest = int(num_groups[num_groups > 0].min())
    found: dict[str, Any] = _bounded("accuracy", float(right.mean()), accuracy_interval(right, groups))
    for name in RESAMPLED:
        value = _number(whole[name])
        interval = None if value is None else percentiles(replicates[name], value, smallest)
        found |= _bounded(name, value, interval)
    for name in MIRRORED:
        found |= _bounded(name, float(whole[name]), mirrored(replicates[name], float(whole[name])))
    per_class = _per_class(answers, class_names, replicates, num_groups)
    return {
        **found,
        "num_images": len(labels),
        "num_groups": len(np.unique(groups)),
        "per_class": per_class,
    }


def calibration(answers: Answers) -> pd.DataFrame:
    """The table of reports/calibration.csv, see calibration_table: before and after the temperature."""
    tables = [
        calibration_table(when, answers.labels, probabilities, answers.groups)
        for when, probabilities in (("before", answers.uncalibrated), ("after", answers.probabilities))
    ]
    return pd.concat(tables, ignore_index=True)


def thresholds(val: Answers, test: Answers, params: JudgingParams, unsure_below: float) -> pd.DataFrame:
    """The table of reports/thresholds.csv, see threshold_table: of val, which chose `unsure_below`, and of test, which
    shows what that is worth."""
    tables = [
        threshold_table(part, answers.labels, answers.probabilities, answers.groups, params)
        for part, answers in (("val", val), ("test", test))
    ]
    return mark_chosen(pd.concat(tables, ignore_index=True), unsure_below)


def unsure_figures(table: pd.DataFrame) -> dict[str, float | None]:
    """What test shows at the chosen threshold. table: from `thresholds`."""
    [row] = table[(table["part"] == "test") & (table["chosen"] == 1)].to_dict("records")
    names = {"threshold": "below", "coverage": "coverage", "cost": "cost"}
    names |= {name: name for name in ("accuracy", "accuracy_low", "accuracy_high")}
    return {name: _number(row[column]) for column, name in names.items()}


def roc_table(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], class_names: list[str]
) -> pd.DataFrame:
    """The ROC curve of each class against the rest: class_name, false_positive_rate, true_positive_rate."""
    curves = []
    for label in np.unique(labels).tolist():  # a class without test images has no curve
        name = class_names[label]
        false_rate, true_rate, _ = roc_curve(labels == label, probabilities[:, label])
        curves.append(
            pd.DataFrame({"class_name": name, "false_positive_rate": false_rate, "true_positive_rate": true_rate})
        )
    return pd.concat(curves, ignore_index=True).round(6)


def _per_class(
    answers: Answers, class_names: list[str], replicates: Found, num_groups: NDArray[np.int64]
) -> dict[str, dict[str, float | None]]:
    """The figures of each class; None where it has none: a class without test pictures has no recall, one that is
    never predicted no precision (0 would be a claim)."""
    labels, probabilities = answers.labels, answers.probabilities
    predicted = probabilities.argmax(axis=1)
    _, _, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    found = {}
    for label, name in enumerate(class_names):
        actual = labels == label
        figures: dict[str, float | None] = {"num_images": int(actual.sum())}
        for key, among, hit in (("precision", predicted == label, actual), ("recall", actual, predicted == label)):
            share = float(hit[among].mean()) if among.any() else None
            figures |= _bounded(
                key, share, accuracy_interval(hit[among], answers.groups[among]) if among.any() else None
            )
        ranked = actual.any() and not actual.all()
        values = {
            "f1": float(f1[label]) if actual.any() else None,
            "auc": float(roc_auc_score(actual, probabilities[:, label])) if ranked else None,
            "average_precision": float(average_precision_score(actual, probabilities[:, label]))
            if actual.any()
            else None,
        }
        for key, value in values.items():
            of_replicates = replicates[f"class_{key}"][:, label]
            interval = None if value is None else percentiles(of_replicates, value, int(num_groups[label]))
            figures |= _bounded(key, value, interval)
        found[name] = figures
    return found


def _bounded(key: str, value: float | None, interval: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {key: value, f"{key}_low": low, f"{key}_high": high}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
