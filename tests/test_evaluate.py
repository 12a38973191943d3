"""The figures of the test part match examples counted by hand."""

import numpy as np
import pytest

from pawline.cross_entropy import cross_entropy
from pawline.evaluate import area_under_curve, measure, predictions_table, roc_table

LABELS = np.array([0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.6, 0.4]], np.float32)


def test_metrics_of_five_images() -> None:
    metrics = measure(LABELS, PROBABILITIES, ["cat", "dog"])
    assert metrics["accuracy"] == 3 / 5
    assert metrics["num_images"] == 5
    # Wilson's interval for 3 of 5, from the published formula: (0.6 + z²/10 ± z·sqrt(0.048 + z²/100)) / (1 + z²/5)
    assert metrics["accuracy_low"] == pytest.approx(0.2307, abs=1e-4)
    assert metrics["accuracy_high"] == pytest.approx(0.8824, abs=1e-4)
    assert metrics["loss"] == pytest.approx(-np.log([0.9, 0.8, 0.3, 0.6, 0.4]).mean())
    # In 4 of the 6 (cat, dog) pairs the dog has the higher probability of a dog; not with the third cat.
    assert metrics["auc"] == pytest.approx(4 / 6)
    assert metrics["per_class"] == {
        "cat": {"precision": 2 / 3, "recall": 2 / 3, "num_images": 3},
        "dog": {"precision": 1 / 2, "recall": 1 / 2, "num_images": 2},
    }


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    metrics = measure(LABELS, np.tile(np.array([[0.9, 0.1]], np.float32), (5, 1)), ["cat", "dog"])
    assert metrics["per_class"]["dog"] == {"precision": None, "recall": 0.0, "num_images": 2}


def test_a_class_that_is_not_in_test_has_no_figures_and_spoils_none() -> None:
    """`split.rare_classes` keeps a class out of test."""
    names, three = ["cat", "dog", "emu"], np.hstack([PROBABILITIES, np.zeros((5, 1), np.float32)])
    metrics, of_two = measure(LABELS, three, names), measure(LABELS, PROBABILITIES, ["cat", "dog"])
    assert metrics["per_class"]["emu"] == {"precision": None, "recall": None, "num_images": 0}
    assert metrics["auc"] == of_two["auc"]
    assert set(roc_table(LABELS, three, names)["class_name"]) == {"cat", "dog"}


def test_the_interval_of_a_perfect_accuracy_ends_at_one() -> None:
    metrics = measure(LABELS, np.eye(2, dtype=np.float32)[LABELS], ["cat", "dog"])
    assert (metrics["accuracy"], metrics["accuracy_high"], metrics["auc"]) == (1.0, 1.0, 1.0)
    assert metrics["accuracy_low"] == pytest.approx(1 / (1 + 1.959964**2 / 5), abs=1e-4)


def test_auc_is_the_mean_over_classes_against_the_rest() -> None:
    labels = np.array([0, 1, 2])
    perfect = np.eye(3, dtype=np.float32)
    swapped = perfect[[0, 2, 1]]
    assert area_under_curve(labels, perfect) == 1.0
    assert area_under_curve(labels, swapped) == pytest.approx((1 + 0.25 + 0.25) / 3)


def test_the_loss_of_a_certain_mistake_is_finite() -> None:
    assert cross_entropy(np.array([1]), np.array([[1.0, 0.0]], np.float32)) == pytest.approx(-np.log(1e-12))


def test_predictions_name_classes_and_give_every_probability() -> None:
    table = predictions_table(list("abcde"), LABELS, PROBABILITIES, ["cat", "dog"])
    assert list(table.columns) == ["path", "actual", "predicted", "probability_cat", "probability_dog"]
    assert list(table["predicted"]) == ["cat", "cat", "dog", "dog", "cat"]
    assert table.loc[2, "probability_dog"] == pytest.approx(0.7)


def test_the_roc_of_each_class_runs_from_zero_to_one() -> None:
    table = roc_table(LABELS, PROBABILITIES, ["cat", "dog"])
    for _, curve in table.groupby("class_name"):
        rates = curve[["false_positive_rate", "true_positive_rate"]]
        assert rates.iloc[0].tolist() == [0, 0]
        assert rates.iloc[-1].tolist() == [1, 1]
