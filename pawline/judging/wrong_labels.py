"""Find likely wrong labels by confident learning.

Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021: a class's threshold is
the mean probability that the model gives it on pictures with its label; a picture that reaches the threshold of
another class is probably of that class. The pictures counted off the diagonal of the paper's confident joint are the
suspects; they are ranked by their margin. The package cleanlab (Apache licence since 2.9) finds the same suspects and
does much more; these few lines save another dependency (docs/labels.md).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.judging.predictions import probabilities_of

ROUNDING = 1e-6  # the mean of equal probabilities may lie above all of them
SUSPICION = ["suggested", "probability_of_label", "probability_of_suggested"]


def likely_wrong(predictions: pd.DataFrame, label_column: str, class_names: list[str]) -> pd.DataFrame:
    """List the rows whose label is likely wrong, the likeliest first.

    predictions: with probability_<class> of each class, and the class name that was given in `label_column`.
    The columns of SUSPICION are added."""
    labels = pd.Index(class_names).get_indexer(pd.Index(predictions[label_column])).astype(np.int64)
    probabilities = probabilities_of(predictions, class_names)
    ranked = rank_labels(labels, probabilities)
    ranked = ranked[ranked["is_suspect"]]
    rows, label, suggested = (ranked[name].to_numpy() for name in ("row", "label", "suggested"))
    return predictions.iloc[rows].assign(
        suggested=np.array(class_names)[suggested],
        probability_of_label=probabilities[rows, label],
        probability_of_suggested=probabilities[rows, suggested],
    )


def rank_labels(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> pd.DataFrame:
    """Rank pictures, the likeliest wrong label first.

    labels: (n,) int64, as given; probabilities: (n, num_classes), by a model that did not train on these pictures.
    Columns: row (position in `labels`); label; suggested (the likeliest class other than the label; of a suspect the
    one whose threshold is reached); margin (probability of `suggested` minus that of `label`, -1 to 1); is_suspect.
    Suspects come first, then the largest margin, then the first row."""
    num_images, num_classes = probabilities.shape
    every = np.arange(num_images)
    thresholds = np.array(
        [
            probabilities[labels == label, label].mean() if (labels == label).any() else np.inf
            for label in range(num_classes)
        ]
    )
    reached = np.where(probabilities >= thresholds - ROUNDING, probabilities, -1.0)
    confident = reached.argmax(axis=1)
    is_suspect = (reached.max(axis=1, initial=-1.0) >= 0) & (confident != labels)
    others = probabilities.astype(float).copy()
    others[every, labels] = -1
    suggested = np.where(is_suspect, confident, others.argmax(axis=1))
    margin = probabilities[every, suggested] - probabilities[every, labels]
    order = np.lexsort((every, -margin, ~is_suspect))
    table = pd.DataFrame(
        {"row": every, "label": labels, "suggested": suggested, "margin": margin, "is_suspect": is_suspect}
    )
    return table.iloc[order].reset_index(drop=True)
