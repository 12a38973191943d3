"""The figures of the test part match examples counted by hand, and scikit-learn's where it has them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from pawline.cross_entropy import cross_entropy
from pawline.errors import DatasetError, ModelError
from pawline.evaluate import (
    Answers,
    calibration,
    measure,
    predictions_table,
    roc_table,
    thresholds,
    unsure_figures,
)
from pawline.params.judging import JudgingParams

LABELS = np.array([0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.6, 0.4]], np.float32)


def answers(labels: np.ndarray, probabilities: np.ndarray, groups: np.ndarray | None = None) -> Answers:
    count = len(labels)
    groups = np.arange(count) if groups is None else groups
    names = [f"{number:04}" for number in range(count)]
    pictures = pd.DataFrame({"path": names, "digest": [f"d{name}" for name in names], "group": groups.astype(str)})
    probabilities = probabilities.astype(np.float32)
    return Answers(pictures, labels, groups, probabilities, probabilities)


def drawn(count: int, num_classes: int, seed: int = 1) -> Answers:
    """Answers that are right more often than not; some probabilities are equal."""
    rng = np.random.default_rng(seed)
    labels = np.resize(np.arange(num_classes), count)
    logits = rng.normal(0, 1, (count, num_classes)).round(1) + 1.5 * np.eye(num_classes)[labels]
    powers = np.exp(logits)
    return answers(labels, powers / powers.sum(axis=1, keepdims=True))


FIVE = answers(LABELS, PROBABILITIES)


def without_intervals(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in figures.items() if not key.endswith(("_low", "_high"))}


def test_metrics_of_five_images() -> None:
    metrics = measure(FIVE, ["cat", "dog"])
    assert metrics["accuracy"] == 3 / 5
    assert (metrics["num_images"], metrics["num_groups"]) == (5, 5)
    # Wilson's interval for 3 of 5, from the published formula: (0.6 + z²/10 ± z·sqrt(0.048 + z²/100)) / (1 + z²/5)
    assert metrics["accuracy_low"] == pytest.approx(0.2307, abs=1e-4)
    assert metrics["accuracy_high"] == pytest.approx(0.8824, abs=1e-4)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics["loss"] == pytest.approx(-np.log([0.9, 0.8, 0.3, 0.6, 0.4]).mean())
    # The squared distance of two classes is twice (1 - probability of the truth)².
    assert metrics["brier"] == pytest.approx(2 * np.mean([0.01, 0.04, 0.49, 0.16, 0.36]))
    # In 4 of the 6 (cat, dog) pairs the dog has the higher probability of a dog; not with the third cat.
    assert metrics["auc"] == pytest.approx(4 / 6)
    # Five answers in five bins of their own: |1 - 0.9| + |1 - 0.8| + |0 - 0.7| + |1 - 0.6| + |0 - 0.6|, but 0.6 twice
    assert metrics["calibration_error"] == pytest.approx((0.1 + 0.2 + 0.7 + abs(0.4 - 0.6)) / 5)
    assert without_intervals(metrics["per_class"]["cat"]) == {
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": pytest.approx(2 / 3),
        "auc": pytest.approx(4 / 6),
        # Cats by falling probability: cat, cat, dog, dog, cat: precision 1, 1 and 3/5.
        "average_precision": pytest.approx((1 + 1 + 3 / 5) / 3),
        "num_images": 3,
    }
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_the_figures_are_those_of_scikit_learn_and_lie_in_their_intervals(num_classes: int) -> None:
    one = drawn(200, num_classes)
    predicted, truth = one.probabilities.argmax(axis=1), np.eye(num_classes)[one.labels]
    exact = one.probabilities.astype(float) / one.probabilities.sum(axis=1, keepdims=True, dtype=float)
    found = measure(one, [f"class {label}" for label in range(num_classes)])
    expected = {
        "balanced_accuracy": balanced_accuracy_score(one.labels, predicted),
        "macro_f1": f1_score(one.labels, predicted, average="macro"),
        "auc": roc_auc_score(truth, one.probabilities),
        "average_precision": average_precision_score(truth, one.probabilities),
        "loss": log_loss(one.labels, exact),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    for figures in (found, *found["per_class"].values()):
        for key in {key.removesuffix("_low") for key in figures if key.endswith("_low")}:
            assert figures[f"{key}_low"] <= figures[key] <= figures[f"{key}_high"], key
            assert figures[f"{key}_high"] - figures[f"{key}_low"] > 0.005, key


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """The true recalls are known: of 20 samples about 19 intervals of the balanced accuracy hold their mean."""
    rng, truth = np.random.default_rng(2), np.array([0.9, 0.6])
    labels = np.resize([0, 1], 120)
    held = 0
    for _ in range(20):
        right = rng.random(120) < truth[labels]
        found = measure(answers(labels, np.eye(2)[np.where(right, labels, 1 - labels)]), ["cat", "dog"])
        held += found["balanced_accuracy_low"] <= truth.mean() <= found["balanced_accuracy_high"]
    assert 17 <= held <= 20


def test_copies_make_no_interval_narrower() -> None:
    single = drawn(60, 2)
    rows = np.repeat(np.arange(60), 4)
    fourfold = answers(single.labels[rows], single.probabilities[rows], groups=rows)
    alone, copied = measure(single, ["cat", "dog"]), measure(fourfold, ["cat", "dog"])
    assert (copied["num_images"], copied["num_groups"]) == (240, 60)
    for key in ("accuracy", "auc", "loss", "macro_f1"):
        assert copied[key] == pytest.approx(alone[key])
        widths = [figures[f"{key}_high"] - figures[f"{key}_low"] for figures in (alone, copied)]
        assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_equal_answers_give_equal_bytes() -> None:
    assert measure(drawn(60, 3), list("abc")) == measure(drawn(60, 3), list("abc"))


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    metrics = measure(answers(LABELS, np.tile([[0.9, 0.1]], (5, 1))), ["cat", "dog"])
    dog = metrics["per_class"]["dog"]
    assert (dog["precision"], dog["precision_low"], dog["recall"], dog["num_images"]) == (None, None, 0.0, 2)


def test_a_class_that_is_not_in_test_has_no_figures_and_spoils_none() -> None:
    """`split.rare_classes` keeps a class out of test."""
    names, three = ["cat", "dog", "emu"], np.hstack([PROBABILITIES, np.zeros((5, 1), np.float32)])
    metrics, of_two = measure(answers(LABELS, three), names), measure(FIVE, ["cat", "dog"])
    assert metrics["per_class"]["emu"].pop("num_images") == 0
    assert set(metrics["per_class"]["emu"].values()) == {None}
    for key in ("auc", "macro_f1", "average_precision", "balanced_accuracy", "auc_low"):
        assert metrics[key] == of_two[key]
    assert set(roc_table(LABELS, three, names)["class_name"]) == {"cat", "dog"}


def test_the_interval_of_a_perfect_figure_ends_at_one_and_begins_below() -> None:
    metrics = measure(answers(LABELS, np.eye(2)[LABELS]), ["cat", "dog"])
    assert (metrics["accuracy"], metrics["accuracy_high"], metrics["auc"]) == (1.0, 1.0, 1.0)
    assert metrics["accuracy_low"] == pytest.approx(1 / (1 + 1.959964**2 / 5), abs=1e-4)
    # No replicate shows a doubt; the smallest class has 2 pictures.
    assert metrics["auc_low"] == pytest.approx(1 / (1 + 1.959964**2 / 2), abs=1e-4)


def test_one_class_alone_has_no_area_under_its_curve() -> None:
    metrics = measure(answers(np.zeros(5, np.int64), PROBABILITIES), ["cat", "dog"])
    assert (metrics["auc"], metrics["auc_low"], metrics["per_class"]["cat"]["auc"]) == (None, None, None)


def test_the_loss_of_a_certain_mistake_is_finite() -> None:
    assert cross_entropy(np.array([1]), np.array([[1.0, 0.0]], np.float32)) == pytest.approx(-np.log(1e-12))


def test_predictions_name_classes_and_give_every_probability() -> None:
    table = predictions_table(FIVE, ["cat", "dog"])
    columns = ["path", "digest", "group", "actual", "predicted", "probability_cat", "probability_dog"]
    assert list(table.columns) == columns
    assert list(table["predicted"]) == ["cat", "cat", "dog", "dog", "cat"]
    assert table.loc[2, "probability_dog"] == pytest.approx(0.7)


class AskedModel:
    """A model of cats and dogs that must not be asked."""

    card = SimpleNamespace(class_names=["cat", "dog"])


class Prepared:
    class_names = ["cat", "dog"]

    def rows_of(self, paths: pd.Series) -> np.ndarray:
        return np.zeros(len(paths), np.int64)


def test_a_part_without_pictures_and_a_model_of_other_classes_are_refused_in_one_line() -> None:
    split = pd.DataFrame({"path": ["a"], "digest": ["1"], "label": [0], "group": ["1"], "split": ["train"]})
    model: Any = AskedModel()
    images: Any = Prepared()
    with pytest.raises(
        DatasetError, match=r"^the test part has no pictures to measure on; raise split.test_fraction"
    ):
        Answers.of("test", model, images, split)
    images.class_names = ["cat", "emu"]
    with pytest.raises(ModelError, match=r"^the model tells cat, dog apart, but the pictures are of cat, emu: "):
        Answers.of("train", model, images, split)


def test_the_roc_of_each_class_runs_from_zero_to_one() -> None:
    table = roc_table(LABELS, PROBABILITIES, ["cat", "dog"])
    for _, curve in table.groupby("class_name"):
        rates = curve[["false_positive_rate", "true_positive_rate"]]
        assert rates.iloc[0].tolist() == [0, 0]
        assert rates.iloc[-1].tolist() == [1, 1]


def test_the_calibration_table_counts_every_picture_before_and_after() -> None:
    table = calibration(FIVE)
    assert table.groupby("when")["num_images"].sum().to_dict() == {"after": 5, "before": 5}
    # Bins of a fifteenth: 0.6 ends the ninth, with one right answer of two.
    row = table[(table["when"] == "after") & (table["bin_low"] == round(8 / 15, 6))].iloc[0]
    assert (row["num_images"], row["accuracy"], row["mean_probability"]) == (2, 0.5, 0.6)
    assert row["accuracy_low"] == pytest.approx(0.0945, abs=1e-3)  # Wilson, 1 of 2


def test_what_test_shows_at_the_threshold_is_counted_by_hand() -> None:
    costs = JudgingParams(cost_of_error=1.0, cost_of_unsure=0.25)
    found = unsure_figures(thresholds(FIVE, FIVE, costs, 0.65))
    # 0.9, 0.8 and 0.7 are answered, the last wrongly; two pictures are unsure.
    assert (found["below"], found["coverage"], found["accuracy"]) == (0.65, 0.6, pytest.approx(2 / 3, abs=1e-6))
    assert found["cost"] == pytest.approx((1 + 2 * 0.25) / 5)
