"""Planted faults of data and model are found and named; chance raises no alarm."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from pawline.judging.drift import drift, leaks
from pawline.judging.many_tests import holm, one_of_each_group
from pawline.judging.segments import weak_segments
from pawline.judging.shortcuts import TOGETHER, shortcuts
from pawline.judging.traits import measure_traits
from pawline.judging.wrong_labels import rank_labels
from pawline.params.prepare import ImageForm
from pawline.pictures.duplicates import perceptual_hashes
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from tests.conftest import encode, stripes


def traits(count: int, seed: int, **columns: object) -> pd.DataFrame:
    """Pictures of two classes in turn, whose traits say nothing about the class."""
    rng = np.random.default_rng(seed)
    names = ["brightness", "sharpness", "size", "aspect", "compression"]
    table = pd.DataFrame({name: rng.normal(100, 20, count) for name in names})
    table = table.assign(format=rng.choice(["JPEG", "PNG"], count, p=[0.9, 0.1]))
    return table.assign(**({"class_name": np.resize(["cat", "dog"], count)} | columns))


def test_holm_multiplies_by_the_number_of_tests_left() -> None:
    # By hand: 0.01 · 4; 0.02 · 3; max(0.03 · 2, 0.06); min(0.5 · 1, 1)
    assert holm(np.array([0.03, 0.01, 0.5, 0.02])) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert len(holm(np.array([]))) == 0


def test_of_each_group_one_picture_is_judged() -> None:
    assert one_of_each_group(pd.DataFrame({"group": ["a", "a", "b"], "path": [1, 2, 3]}))["path"].tolist() == [
        1,
        3,
    ]


def test_a_weak_segment_is_named_with_its_range() -> None:
    table = traits(500, seed=1)
    dark = (table["brightness"] <= table["brightness"].quantile(0.2)).to_numpy()
    is_correct = np.ones(500, bool)
    is_correct[np.flatnonzero(dark)[:40]] = False  # 40 of the 100 darkest
    is_correct[np.flatnonzero(~dark)[:20]] = False
    found = weak_segments(table, is_correct)
    (weak,) = found[found["alarm"]].to_dict("records")
    assert (weak["trait"], weak["num_images"], weak["accuracy"]) == ("brightness", 100, 0.6)
    assert weak["low"] == table["brightness"].min() and weak["accuracy_of_rest"] == 380 / 400
    assert weak["p"] == fisher_exact([[60, 40], [380, 20]], alternative="less").pvalue
    assert weak["p_corrected"] == pytest.approx(weak["p"] * len(found))
    assert weak["accuracy_low"] == pytest.approx(0.502, abs=1e-3)  # Wilson, from the published formula
    assert weak["accuracy_high"] == pytest.approx(0.691, abs=1e-3)


def test_segments_of_chance_and_of_few_pictures_raise_no_alarm() -> None:
    is_correct = np.random.default_rng(5).random(500) < 0.9
    assert not weak_segments(traits(500, seed=2), is_correct)["alarm"].any()
    assert len(weak_segments(traits(12, seed=2), np.ones(12, bool))) == 0
    assert len(weak_segments(traits(0, seed=2), np.ones(0, bool))) == 0


@pytest.mark.parametrize("planted", ["brightness", "format"])
def test_a_planted_shortcut_is_named(planted: str) -> None:
    parts = []
    for seed in (1, 2):
        table = traits(300, seed)
        dogs = table["class_name"] == "dog"
        if planted == "format":
            table.loc[:, "format"] = np.where(dogs, "PNG", "JPEG")
        else:
            table.loc[dogs, "brightness"] += 40
        parts.append(table)
    found = shortcuts(*parts).set_index("trait")
    assert set(found.index[found["alarm"]]) == {planted, TOGETHER}
    best = found.loc[planted]
    assert best["balanced_accuracy_low"] <= best["balanced_accuracy"] <= best["balanced_accuracy_high"]
    assert best["balanced_accuracy"] >= (1.0 if planted == "format" else 0.75)
    assert best["guessing"] == 0.5


def test_a_trait_that_matters_in_its_middle_is_found() -> None:
    def table(seed: int) -> pd.DataFrame:
        ends = np.random.default_rng(seed).choice([-60, 60], 300)
        one = traits(300, seed)
        return one.assign(aspect=np.where(one["class_name"] == "dog", 0, ends) + one["aspect"] / 10)

    assert "aspect" in set(shortcuts(table(1), table(2)).query("alarm")["trait"])


def test_chance_is_no_shortcut_and_no_drift() -> None:
    for seed in range(3):
        assert not shortcuts(traits(300, seed), traits(200, seed + 50))["alarm"].any()
        assert not drift(traits(300, seed), traits(200, seed + 50))["alarm"].any()


def test_one_class_has_no_shortcut() -> None:
    assert len(shortcuts(traits(30, 1, class_name="cat"), traits(30, 2))) == 0


def test_drift_names_the_trait_that_differs() -> None:
    train, test = traits(400, seed=1), traits(200, seed=2)
    test["compression"] += 30
    test["format"] = "WEBP"
    found = drift(train, test).set_index("trait")
    assert set(found.index[found["alarm"]]) == {"compression", "format"}
    assert found.loc["format", ["name", "test", "effect"]].tolist() == ["JPEG", 0.0, pytest.approx(1.0)]
    assert found.loc["compression", "test"] == test["compression"].median()


def test_a_small_difference_of_very_many_pictures_is_no_alarm() -> None:
    train, test = traits(40_000, seed=1), traits(40_000, seed=2)
    test["brightness"] += 2
    found = drift(train, test).set_index("trait").loc["brightness"]
    assert found["p_corrected"] < 1e-6 and found["effect"] < 0.1 and not found["alarm"]


def test_the_flipped_labels_come_first() -> None:
    rng = np.random.default_rng(3)
    true = rng.integers(0, 3, 300)
    probabilities = 0.1 * rng.random((300, 3)) + 0.8 * np.eye(3)[true]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = true.copy()
    flipped = [5, 77, 200]
    labels[flipped] = (true[flipped] + 1) % 3
    found = rank_labels(labels, probabilities)
    assert set(found[found["is_suspect"]]["row"]) <= set(flipped)
    first = found.head(3).set_index("row")
    assert sorted(first.index) == flipped
    assert first.loc[77, "suggested"] == true[77] and (first["margin"] > 0.5).all()


def test_confident_learning_matches_an_example_by_hand() -> None:
    # Thresholds: class 0 (0.9 + 0.8 + 0.2) / 3 = 0.633, class 1 (0.7 + 0.6) / 2 = 0.65. Row 2, labelled 0, gives
    # class 1 0.8 >= 0.65: a suspect. Row 4, labelled 1, reaches no threshold.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    found = rank_labels(np.array([0, 0, 0, 1, 1]), probabilities)
    assert found["row"].tolist() == [2, 4, 3, 1, 0]
    assert found["is_suspect"].tolist() == [True, False, False, False, False]
    assert found["margin"].tolist() == pytest.approx([0.6, -0.2, -0.4, -0.6, -0.8])


def test_equal_probabilities_reach_their_own_mean() -> None:
    probabilities = np.repeat([[0.95, 0.05], [0.05, 0.95]], 30, axis=0)
    labels = np.repeat([0, 1], 30)
    labels[3] = 1
    found = rank_labels(labels, probabilities)
    assert found[found["is_suspect"]]["row"].tolist() == [3]


def test_a_class_without_pictures_is_never_suggested_as_certain() -> None:
    found = rank_labels(np.array([0, 1]), np.array([[0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    assert not found["is_suspect"].any()


@pytest.fixture
def images(tmp_path: Path) -> PreparedImages:
    """Four pictures, the third a copy of the first, stored again in another quality, the fourth of another group."""
    import cv2

    first, second, fourth = (stripes(True, seed, 48, 48) for seed in (1, 2, 4))
    again = cv2.imdecode(np.frombuffer(encode(first, quality=60), np.uint8), cv2.IMREAD_COLOR)
    pixels = np.stack([first, second, again, fourth])
    table = pd.DataFrame({"path": ["0", "1", "2", "3"], "class_name": "cat", "label": 0, "digest": list("abcd")})
    write_shard(tmp_path, 0, Concatenation([pixels]), np.arange(4))
    form = ImageForm(image_size=48, color="rgb", aspect="stretch", background=255)
    table = table.assign(given_part="", given_group="")
    write_description(tmp_path, table, perceptual_hashes(pixels), ["cat", "dog"], "none", form)
    return PreparedImages(tmp_path)


def test_a_leak_is_named_by_how_it_came(images: PreparedImages) -> None:
    split = images.table[["path", "digest", "label"]].assign(
        group=["g0", "g1", "g2", "g3"], split=["train", "train", "test", "test"]
    )
    assert leaks(images, split).values.tolist() == [["2", "0", "looks the same"]]
    assert leaks(images, split.assign(digest=list("abad"))).values.tolist() == [["2", "0", "same bytes"]]
    grouped = leaks(images, split.assign(group=["g0", "g1", "g2", "g1"]))
    assert grouped.values.tolist() == [["2", "0", "looks the same"], ["3", "1", "same group"]]


def test_traits_are_measured_on_pixels_and_on_the_file(images: PreparedImages) -> None:
    index = pd.DataFrame({"path": ["0", "1", "2", "3"], "width": 40, "height": 10, "bytes": 800, "format": "PNG"})
    found = measure_traits(images, index, np.array([0, 2]))
    assert found["path"].tolist() == ["0", "2"]
    assert found.loc[0, ["size", "aspect", "compression", "format"]].tolist() == [20.0, 4.0, 2.0, "PNG"]
    pixels = images.pixels(np.array([0]))[0].astype(float)
    gray = pixels @ [0.299, 0.587, 0.114]
    assert found.loc[0, "brightness"] == pytest.approx(gray.mean(), abs=0.6)
    assert found.loc[0, "colour"] == pytest.approx((pixels.max(axis=2) - pixels.min(axis=2)).mean())
