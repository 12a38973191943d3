"""Measure a model on the test part, once."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score, roc_curve

from pawline.cross_entropy import cross_entropy


def predictions_table(
    paths: list[str], labels: NDArray[np.int64], probabilities: NDArray[np.float32], class_names: list[str]
) -> pd.DataFrame:
    """One row per image: path, actual and predicted class name, and one probability per class."""
    names = np.array(class_names)
    table = pd.DataFrame(
        {"path": paths, "actual": names[labels], "predicted": names[probabilities.argmax(axis=1)]}
    )
    return table.assign(
        **{f"probability_{name}": probabilities[:, label].round(6) for label, name in enumerate(class_names)}
    )


def measure(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], class_names: list[str]
) -> dict[str, Any]:
    """Measure the content of `metrics/evaluate.json`.

    labels: (n,) int64; probabilities: (n, num_classes) float32. `accuracy_low` and `accuracy_high` are
    the 95 % interval of Wilson (1927), which stays inside 0 to 1 and is also valid near 0 and 1.
    """
    predicted = probabilities.argmax(axis=1)
    num_correct = int((predicted == labels).sum())
    interval = binomtest(num_correct, len(labels)).proportion_ci(0.95, method="wilson")
    return {
        "accuracy": num_correct / len(labels),
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "loss": cross_entropy(labels, probabilities),
        "auc": area_under_curve(labels, probabilities),
        "num_images": len(labels),
        "per_class": _per_class(labels, predicted, class_names),
    }


def area_under_curve(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Area under the ROC curve, the mean over all classes that occur (`split.rare_classes` may keep some out of test),
    each against the rest.

    labels: (n,) int64; probabilities: (n, num_classes) float32."""
    per_class = [roc_auc_score(labels == label, probabilities[:, label]) for label in np.unique(labels)]
    return float(np.mean(per_class))


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
    labels: NDArray[np.int64], predicted: NDArray[np.int64], class_names: list[str]
) -> dict[str, dict[str, float | None]]:
    precision, recall, _, support = precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=np.nan
    )
    return {
        name: {
            # A class that is never predicted has no precision: null, since 0 would be a claim.
            "precision": None if math.isnan(precision[label]) else float(precision[label]),
            "recall": float(recall[label]) if support[label] else None,
            "num_images": int(support[label]),
        }
        for label, name in enumerate(class_names)
    }
