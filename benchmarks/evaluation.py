"""What the intervals of `evaluate` cost:  python -m benchmarks.evaluation

Seconds of processor time, side by side: all figures with their intervals, and scikit-learn's figures of the same
answers without any interval (area under ROC, average precision, F1, balanced accuracy, log loss).
"""

import time
import warnings

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from benchmarks.photographs import machine
from pawline.evaluate import Answers, measure

SIZES = [(2_700, 2), (18_000, 2), (18_000, 100)]  # pictures, classes


def answers(count: int, num_classes: int) -> Answers:
    """Answers that are right more often than not, to pictures that are all independent."""
    rng = np.random.default_rng(1)
    labels = np.resize(np.arange(num_classes), count)
    powers = np.exp(rng.normal(0, 1, (count, num_classes)) + 2 * np.eye(num_classes)[labels])
    probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    names = pd.Series(np.arange(count).astype(str))
    pictures = pd.DataFrame({"path": names, "digest": names, "group": names})
    return Answers(pictures, labels, np.arange(count), probabilities, probabilities)


def by_scikit_learn(one: Answers) -> None:
    predicted, truth = one.probabilities.argmax(axis=1), np.eye(one.probabilities.shape[1])[one.labels]
    roc_auc_score(truth, one.probabilities)
    average_precision_score(truth, one.probabilities)
    f1_score(one.labels, predicted, average="macro")
    balanced_accuracy_score(one.labels, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 sums differ from 1 in the last digit
        log_loss(one.labels, one.probabilities)


def main() -> None:
    print(machine())
    for count, num_classes in SIZES:
        one = answers(count, num_classes)
        begin = time.process_time()
        by_scikit_learn(one)
        middle = time.process_time()
        measure(one, [str(label) for label in range(num_classes)])
        with_intervals, without = time.process_time() - middle, middle - begin
        print(
            f"{count:,} pictures, {num_classes} classes: {with_intervals:.1f} s with all intervals, {without:.2f} s "
            f"for the figures alone, ratio {with_intervals / without:.0f}"
        )


if __name__ == "__main__":
    main()
