"""Find shortcuts: can the light, the size or the format of a file alone tell the class?

A small decision tree learns the classes of the train part from one trait, and is asked about val and test, which is
what the network has to do with the whole picture. Where the tree does well, the network's accuracy may come from the
same trait, and will not hold for pictures from elsewhere (Geirhos et al., "Shortcut learning in deep neural networks",
2020).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from pawline.judging.many_tests import ALPHA, holm
from pawline.judging.traits import FORMAT, numeric_traits

MAX_DEPTH = 3  # of a tree; a trait may matter in its middle, not only at its ends
MIN_LEAF = 0.02  # of the learned pictures
MIN_LEARNED = 5  # train pictures of a class; from fewer nothing is learned
NUM_SHUFFLES = (
    1999  # at most: a trait that shuffled labels match so often is no shortcut, and needs no more of them
)
MAX_AS_GOOD = 20
NUM_DRAWS = 4000
MIN_ADVANTAGE = 0.25  # of the way from guessing to certainty: real classes differ a little in light and file too
TOGETHER = "all together"
SEED = 1

COLUMNS = ["trait", "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "guessing", "p"]


def shortcuts(learned: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Ask each trait alone, and all of them together, for the classes.

    learned: traits (from measure_traits) of train pictures with their class_name; asked: those of pictures that are
    not in train.
    Columns: trait; balanced_accuracy (the mean recall of the classes) with its 95 % interval, _low and _high (Jeffreys,
    per class); guessing, which reaches 1 / number of classes; p (share of shuffled labels that do as well);
    p_corrected (Holm); alarm, if the trait also leads a quarter of the way from guessing to certainty. Classes of fewer
    than MIN_LEARNED train pictures are left out; empty where fewer than two classes remain."""
    counts = learned["class_name"].value_counts()
    names = sorted(set(counts.index[counts >= MIN_LEARNED]) & set(asked["class_name"]))
    learned, asked = (table[table["class_name"].isin(names)] for table in (learned, asked))
    if len(names) < 2:
        return pd.DataFrame(columns=[*COLUMNS, "p_corrected", "alarm"])
    codes = {name: code for code, name in enumerate(names)}
    labels, actual = (table["class_name"].map(codes).to_numpy(np.int64) for table in (learned, asked))
    numeric = [name for name in numeric_traits(learned) if learned[name].nunique() > 1]
    has_formats = learned[FORMAT].nunique() > 1
    traits = [([name], name) for name in numeric] + [([FORMAT], FORMAT)] * has_formats
    rows = []
    for columns, name in [*traits, ([*numeric, *[FORMAT] * has_formats], TOGETHER)]:
        predicted = _predict(_numbers(learned, learned, columns), labels, _numbers(learned, asked, columns))
        rows.append((name, *_judge(actual, predicted, len(names))))
    table = pd.DataFrame(rows, columns=COLUMNS)
    corrected = holm(table["p"].to_numpy(float))
    advantage = (table["balanced_accuracy"] - table["guessing"]) / (1 - table["guessing"])
    return table.assign(p_corrected=corrected, alarm=(corrected < ALPHA) & (advantage >= MIN_ADVANTAGE))


def _numbers(learned: pd.DataFrame, table: pd.DataFrame, columns: list[str]) -> NDArray[np.float64]:
    """The traits as numbers, (n, number of columns); a format becomes a column of 0 and 1 for each learned format."""
    arrays = []
    for column in columns:
        if column == FORMAT:
            arrays += [(table[FORMAT] == name).to_numpy(float) for name in sorted(learned[FORMAT].unique())]
        else:
            arrays.append(table[column].to_numpy(float))
    return np.stack(arrays, axis=1) if arrays else np.zeros((len(table), 1))


def _predict(
    learned: NDArray[np.float64], labels: NDArray[np.int64], asked: NDArray[np.float64]
) -> NDArray[np.int64]:
    tree = DecisionTreeClassifier(
        max_depth=MAX_DEPTH, min_samples_leaf=MIN_LEAF, class_weight="balanced", random_state=SEED
    )
    return np.asarray(tree.fit(learned, labels).predict(asked), np.int64)


def _judge(
    actual: NDArray[np.int64], predicted: NDArray[np.int64], num_classes: int
) -> tuple[float, float, float, float, float]:
    """(balanced accuracy, low, high, guessing, p)."""
    rng = np.random.default_rng(SEED)
    counts = np.bincount(actual, minlength=num_classes)
    right = np.bincount(actual[actual == predicted], minlength=num_classes)
    accuracy = float((right / counts).mean())
    draws = rng.beta(right + 0.5, counts - right + 0.5, (NUM_DRAWS, num_classes)).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    weights = 1 / (num_classes * counts)  # a right answer of a class adds so much to the balanced accuracy
    p = _p_value(actual, predicted, weights, accuracy, rng)
    # As usual for Jeffreys' interval, it holds the observed value, also where all answers are right or wrong.
    return accuracy, min(float(low), accuracy), max(float(high), accuracy), 1 / num_classes, p


def _p_value(
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
    weights: NDArray[np.float64],
    accuracy: float,
    rng: np.random.Generator,
) -> float:
    """The share of shuffled labels that agree as well with the predictions (Besag, Clifford, "Sequential Monte Carlo
    p-values", 1991: it may end early)."""
    num_as_good = 0
    for number in range(1, NUM_SHUFFLES + 1):
        shuffled = rng.permutation(actual)
        num_as_good += bool(weights[shuffled[shuffled == predicted]].sum() >= accuracy - 1e-12)
        if num_as_good == MAX_AS_GOOD:
            return num_as_good / number
    return (1 + num_as_good) / (1 + NUM_SHUFFLES)
