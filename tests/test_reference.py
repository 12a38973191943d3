"""A picture unlike those that the model learned from is found by a distance whose false alarms are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import mahalanobis

from pawline.cli.predict import run as run_predict
from pawline.errors import ModelError
from pawline.export import describe_data
from pawline.judging import reference as measuring
from pawline.judging.reference import limit, main_axes
from pawline.params.prepare import ImageForm
from pawline.pictures.appearance import appearance, file_shape
from pawline.predict import Predictor
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.runtime.export_card import read_export_card, write_export_card
from pawline.runtime.model import RuntimeModel
from pawline.runtime.reference import Reference
from tests.conftest import encode
from tests.test_runtime import SIDE, write_brightness

RNG = np.random.default_rng(7)


def known(features: np.ndarray) -> Reference:
    """What a model knows that learned from pictures with these features, all of one look."""
    center, axes, variances, other = main_axes(features)
    look = np.zeros(3, np.float32), np.eye(3, dtype=np.float32)
    return Reference(0.01, center, axes, variances, other, 1.0, *look, 1e9, {}, {})


def test_with_few_features_the_distance_is_mahalanobis_own() -> None:
    learned = (RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 4))).astype(np.float32)
    asked = RNG.normal(size=(20, 4)).astype(np.float32) * 3
    inverse = np.linalg.inv(np.cov(learned.T, bias=True))
    expected = [mahalanobis(one, learned.mean(axis=0), inverse) for one in asked]
    assert known(learned).feature_distances(asked) == pytest.approx(expected, rel=1e-3)


def test_with_many_features_the_directions_beside_the_main_axes_count_alike() -> None:
    """32 independent features vary by 3 and 8 others by 1, so the axes are known by hand."""
    spread = np.array([3.0] * 32 + [1.0] * 8)
    learned = (RNG.normal(size=(20_000, 40)) * spread).astype(np.float32)
    found = known(learned)
    assert found.other_variance == pytest.approx(1, abs=0.05)
    for feature, unit in ((0, 3.0), (39, 1.0)):
        asked = found.center + 6 * unit * np.eye(40, dtype=np.float32)[[feature]]
        assert found.feature_distances(asked)[0] == pytest.approx(6, rel=0.05)


def test_a_feature_that_never_varied_tells_a_new_picture_at_once() -> None:
    learned = np.column_stack([RNG.normal(size=100), np.zeros(100)]).astype(np.float32)
    distances = known(learned).feature_distances(np.array([[0, 0], [0, 1]], np.float32))
    assert distances[0] < 1 < 100 < distances[1]


@pytest.mark.parametrize(
    ("count", "rank", "promised"),
    # With the new picture they are 300: the three farthest are 1 %, so the limit is the third farthest of the 299. Of
    # 51 pictures one is 2 %, and no limit promises less.
    [(299, 297, 0.01), (199, 198, 0.01), (50, 50, 1 / 51)],
)
def test_the_limit_promises_what_the_number_of_pictures_allows(count: int, rank: int, promised: float) -> None:
    found = limit(RNG.permutation(np.arange(1.0, count + 1)), 0.01)
    assert found == (rank, pytest.approx(promised))


def test_the_promised_share_of_false_alarms_is_kept() -> None:
    """4,000 data sets of 199 pictures, one new picture of the same source for each: 40 alarms are expected."""
    alarms = sum(bool(sample[199] > limit(sample[:199], 0.01)[0]) for sample in RNG.normal(size=(4000, 200)))
    assert 20 <= alarms <= 62


def test_the_appearance_of_a_picture_is_what_its_pixels_say() -> None:
    halves = np.full((8, 8, 3), 10, np.uint8)
    halves[:, 4:] = 210
    found = appearance(halves)
    assert (found["brightness"], found["contrast"], found["colour"]) == (110, 100, 0)
    assert appearance(np.full((8, 8, 1), 50, np.uint8)) == {"brightness": 50, "contrast": 0, "sharpness": 0}
    assert file_shape(40, 10, 800) == {"size": 20, "aspect": 4, "compression": 2}
    assert file_shape(0, 0, 5) == {"size": 1, "aspect": 1, "compression": 5}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that calls pictures bright or dark, with what it knows of grey pictures of levels 80 to 170."""
    return describe(tmp_path, count=240)


def describe(folder: Path, count: int) -> Path:
    """`count` noisy grey pictures, half of them for training, a quarter for val; and a model that knows them."""
    rng = np.random.default_rng(count)  # of its own, so that no order of tests changes a picture
    levels = rng.uniform(80, 170, count)
    pixels = (
        (levels[:, None, None, None] + rng.normal(0, 20, (count, SIDE, SIDE, 1))).clip(0, 255).astype(np.uint8)
    )
    paths = [f"{number:03}.png" for number in range(count)]
    table = pd.DataFrame({"path": paths, "digest": paths, "class_name": "bright", "label": 0, "group": paths})
    (folder / "prepared").mkdir()
    write_shard(folder / "prepared", 0, Concatenation([pixels]), np.arange(count))
    form = ImageForm(image_size=SIDE, color="grayscale", aspect="stretch", background=255)
    names = ["bright", "dark"]
    write_description(folder / "prepared", table, np.zeros((count, 4), np.uint64), names, "one", form)
    split = table.assign(split=np.resize(["train", "val", "train", "test"], count))
    index = pd.DataFrame({"path": paths, "width": 40, "height": 30, "bytes": 600, "format": "PNG"})
    file = write_brightness(folder, unsure_below=0.6)
    describe_data(file, PreparedImages(folder / "prepared"), index, split)
    return file


def picture(level: float, noise: float = 20) -> bytes:
    rng = np.random.default_rng([int(level * 1000), int(noise)])
    return encode((level + rng.normal(0, noise, (SIDE, SIDE))).clip(0, 255).astype(np.uint8), ".png")


def test_the_card_describes_the_pictures_and_stays_the_same(model: Path) -> None:
    card = read_export_card(model)
    known = RuntimeModel(model).reference
    assert known is not None
    # 60 pictures of val; 120 of train join for the look.
    assert known.false_alarms == pytest.approx(1 / 61 + 1 / 181, abs=1e-6)
    assert known.counts["format"] == {"PNG": 120}
    assert sum(known.counts["class"].values()) == sum(known.counts["unsure"].values()) == 60
    assert known.counts["unlike"] == {"no": 60, "yes": 0}
    assert {name: len(values) for name, values in known.samples.items()} == {
        **dict.fromkeys(["brightness", "contrast", "sharpness", "size", "aspect", "compression"], 120),
        "distance": 60,
    }
    assert set(known.samples["size"].tolist()) == {np.float32(np.sqrt(1200))}
    assert known.to_json() == card.reference == Reference.from_json(card.reference).to_json()
    again = replace(card, reference={})
    write_export_card(model, again)
    folder = model.parent
    split = pd.read_parquet(folder / "prepared/table.parquet")
    index = split[["path"]].assign(width=40, height=30, bytes=600, format="PNG")
    split = split.assign(split=np.resize(["train", "val", "train", "test"], len(split)))
    describe_data(model, PreparedImages(folder / "prepared"), index, split)
    assert read_export_card(model) == card


def test_a_picture_in_another_light_or_without_content_is_unlike(model: Path) -> None:
    pictures = [picture(120), picture(5), picture(250), picture(120, noise=0), picture(120, noise=90), b""]
    found = list(Predictor(model).predict(pictures))
    assert [one.unlike for one in found] == [False, True, True, True, True, None]
    assert [one.distance is not None and one.distance > 1 for one in found[:5]] == [
        one.unlike for one in found[:5]
    ]


def test_predict_ends_with_a_line_that_counts_them(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from argparse import Namespace

    (tmp_path / "new").mkdir()
    for name, level in (("a", 120), ("b", 3)):
        (tmp_path / f"new/{name}.png").write_bytes(picture(level))
    forms = dict.fromkeys(["json", "jsonl", "csv", "top"])
    assert run_predict(Namespace(paths=[str(tmp_path / "new")], model=str(model), **forms)) == 0
    printed = capsys.readouterr()
    assert ["unlike the training data)" in line for line in printed.out.splitlines()] == [False, True]
    assert printed.err == (
        "pawline: 1 of 2 pictures are unlike the training data: do not rely on their answers (false alarms: 2.2% at "
        "most)\n"
    )


def test_too_few_pictures_describe_nothing_and_this_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = describe(tmp_path, count=4 * measuring.MIN_IMAGES - 4)
    assert read_export_card(file).reference == {}
    assert "train and val need 20 pictures each to tell others from them" in capsys.readouterr().err
    [answer] = Predictor(file).predict([picture(3)])
    assert (answer.label, answer.unlike, answer.distance) == ("bright", None, None)


@pytest.mark.parametrize(
    "change", [{"center": "no base64"}, {"axes": "AAAA"}, {"samples": 3}, {"center": None}, {"look_limit": "x"}]
)
def test_a_damaged_description_is_refused_in_one_line(model: Path, change: dict[str, object]) -> None:
    card = read_export_card(model)
    write_export_card(model, replace(card, reference=card.reference | change))
    with pytest.raises(ModelError, match=r"reference in export\.json is damaged: .*; get both again"):
        RuntimeModel(model)
