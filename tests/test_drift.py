"""New pictures that differ from the training data are named, with the figures by hand; chance raises few alarms."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pawline.cli.drift import run as run_drift
from pawline.drift import SPREAD, UNLIKE, UNSURE, NewPictures, compare, judge, label_queue
from pawline.errors import DatasetError, ModelError, ParamsError
from pawline.new_pictures import NewPicture
from pawline.predict import Prediction
from pawline.runtime.export_card import read_export_card, write_export_card
from pawline.runtime.reference import Reference
from tests.test_reference import describe, picture


def reference(seed: int = 0, **samples: np.ndarray) -> Reference:
    """What a model knows that called half of its 400 held-out pictures cats, and 40 unsure."""
    nothing = np.zeros(0, np.float32)
    rng = np.random.default_rng(seed)
    samples = samples or {name: rng.normal(size=400) for name in ("brightness", "distance")}
    counts = {
        "format": {"JPEG": 380, "PNG": 20},
        "class": {"cat": 200, "dog": 200},
        "unsure": {"no": 360, "yes": 40},
        "unlike": {"no": 396, "yes": 4},
    }
    taken = {name: np.sort(values).astype(np.float32) for name, values in samples.items()}
    return Reference(0.01, nothing, nothing, nothing, 1.0, 1.0, nothing, nothing, 1.0, taken, counts)


def new(count: int, seed: int = 0, **columns: object) -> pd.DataFrame:
    """New pictures from the same source."""
    rng = np.random.default_rng([seed, 1])
    table = pd.DataFrame({"path": [f"{number}.jpg" for number in range(count)]})
    table = table.assign(
        digest=table["path"],
        brightness=rng.normal(size=count),
        distance=rng.normal(size=count),
        probability=rng.uniform(0.5, 1, count),
        format=np.where(rng.random(count) < 0.05, "PNG", "JPEG"),
        unsure=np.where(rng.random(count) < 0.1, "yes", "no"),
        unlike=np.where(rng.random(count) < 0.01, "yes", "no"),
    )
    return table.assign(**{"class": np.where(rng.random(count) < 0.5, "cat", "dog")} | columns)


def test_the_distance_and_the_median_of_a_number_are_as_by_hand() -> None:
    """Half of the new values lie above all of the training's, so the distribution functions are half apart."""
    known = reference(brightness=np.arange(100.0))
    found = compare(known, new(20, brightness=np.arange(50.0, 150.0, 5))).set_index("trait").loc["brightness"]
    assert found["effect"] == pytest.approx(0.5)
    assert (found["training"], found["new"]) == (49.5, 97.5)
    # Of 20 values the 6th and the 15th hold the median with 95.9 % probability.
    assert (found["new_low"], found["new_high"]) == (75, 120)


def test_the_table_is_in_the_order_of_the_effect() -> None:
    """36 of 40 new pictures are brighter than all of before (effect 0.9), and all are PNG (0.8, but the smaller p)."""
    brightness = np.where(np.arange(40) < 36, 10.0, -10.0)
    found = compare(reference(), new(40, brightness=brightness, format="PNG"))
    assert found["effect"].iloc[0] == pytest.approx(0.9)
    assert found["trait"].tolist()[:2] == ["brightness", "format"]
    assert found["effect"].is_monotonic_decreasing and found["p"].iloc[0] > found["p"].iloc[1]


def test_the_share_of_a_name_comes_with_its_interval() -> None:
    unsure = np.where(np.arange(40) < 10, "yes", "no")
    found = compare(reference(), new(40, unsure=unsure)).set_index("trait").loc["unsure"]
    assert (found["name"], found["training"], found["new"]) == ("yes", 0.1, 0.25)
    # Wilson's interval by its formula.
    z, n, p = 1.959964, 40, 0.25
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    assert (found["new_low"], found["new_high"]) == pytest.approx((center - half, center + half), abs=1e-5)


def test_a_format_that_the_training_never_had_is_named() -> None:
    found = compare(reference(), new(40, format="HEIF")).set_index("trait").loc["format"]
    assert (found["name"], found["training"], found["new"], bool(found["alarm"])) == ("HEIF", 0, 1, True)


def test_chance_alone_raises_few_alarms() -> None:
    """Each verdict may be wrong once in a hundred times; benchmarks/drift.py draws more of them."""
    alarms = sum(judge(reference(seed), NewPictures(new(100, seed), 0, 0)).is_drift for seed in range(60))
    assert alarms <= 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"brightness": np.linspace(0, 3, 100)}, "brightness"),
        ({"unlike": np.where(np.arange(100) < 15, "yes", "no")}, "unlike"),
        ({"class": "dog"}, "class"),
    ],
)
def test_a_planted_difference_is_named_alone(change: dict[str, object], named: str) -> None:
    verdict = judge(reference(), NewPictures(new(100, **change), 0, 0))
    assert verdict.differing == [named]
    assert str(verdict) == (
        f"drift: {named} differs from the training data (6 comparisons of 100 pictures, corrected for their number)"
    )


def test_a_verdict_says_what_so_few_pictures_cannot_show() -> None:
    few, many = (judge(reference(), NewPictures(new(count), 0, 0)) for count in (25, 4000))
    assert str(few).startswith("no drift (6 comparisons of 25 pictures") and "below 0.39 of 1" in str(few)
    assert few.smallest > many.smallest >= 0.1


def answered(name: str, digest: str, error: str | None = None) -> NewPicture:
    probabilities = None if error else {"cat": 0.3, "dog": 0.7}
    answer = Prediction(None if error else "dog", probabilities, error, False, False, 0.5, {"brightness": 9.0})
    return NewPicture(name, digest, "PNG", {"size": 4.0}, answer)


def test_copies_count_once_and_bad_pictures_not_at_all() -> None:
    pictures = [answered(f"{number}", f"{number // 2}") for number in range(60)]
    found = NewPictures.of([*pictures, answered("bad", "", "empty: the file has no bytes")])
    assert (len(found.table), found.num_copies, found.num_unreadable) == (30, 30, 1)
    assert found.table.loc[0, ["class", "probability", "brightness", "size"]].tolist() == ["dog", 0.7, 9, 4]
    with pytest.raises(DatasetError, match="15 different pictures that can be read, expected at least 20"):
        NewPictures.of(pictures[:30])


def test_the_queue_holds_a_third_of_each_kind_and_more_of_the_even_ones_where_one_is_short() -> None:
    numbers = np.arange(100)
    table = new(
        100,
        unlike=np.where(numbers < 10, "yes", "no"),
        unsure=np.where((numbers >= 5) & (numbers < 12), "yes", "no"),
        distance=numbers / 100,
        probability=numbers / 100,
    )
    queue = label_queue(table, 12)
    assert queue["why"].tolist() == [UNLIKE] * 4 + [UNSURE] * 3 + [SPREAD] * 5
    assert queue["path"][:7].tolist() == [f"{number}.jpg" for number in (9, 8, 7, 6, 5, 10, 11)]
    # Of the 93 others, in the order of class and probability, the first, three between and the last.
    cats = [number for number in numbers if table["class"][number] == "cat" and number not in range(5, 12)]
    assert queue["path"][7] == f"{cats[0]}.jpg"
    assert not queue["path"].duplicated().any()
    assert len(label_queue(table, 500)) == 100
    assert label_queue(table, 1)["why"].tolist() == [UNLIKE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that knows noisy grey pictures, 30 of them that are new, and a folder for others."""
    describe(tmp_path, count=240)
    (tmp_path / "new").mkdir()
    levels = np.random.default_rng(5).uniform(80, 170, 30)
    for number, level in enumerate(levels):
        (tmp_path / f"new/{number:02}.png").write_bytes(picture(level))
    return tmp_path


def drift(folder: Path, *, expect: int, json: bool = True, limit: int = 6) -> None:
    model, queue = str(folder / "model.onnx"), folder / "label_queue.csv"
    arguments = Namespace(paths=[str(folder / "new")], json=json, queue=queue, limit=limit, model=model)
    assert run_drift(arguments) == expect


def test_the_command_answers_no_where_nothing_differs_but_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pictures of the training were said to be larger files than these of 8 x 8 pixels."""
    drift(folder, expect=1)
    answer = json.loads(capsys.readouterr().out)
    assert {*answer["differing"]} == {"size", "aspect", "compression"}
    assert (answer["verdict"], answer["num_pictures"]) == ("drift", 30)
    traits = {row["trait"]: row for row in answer["traits"]}
    assert traits["format"]["effect"] == 0
    assert traits["size"]["new"] == 8 and traits["size"]["training"] == pytest.approx(np.sqrt(1200))


def test_darker_pictures_are_named_and_the_ones_worth_a_label_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(30):
        (folder / f"new/{number:02}.png").write_bytes(picture(20 + number))
    (folder / "new/bad.png").touch()
    (folder / "new/bad.png.json").write_text("{}")
    (folder / "new/copy.png").write_bytes((folder / "new/00.png").read_bytes())
    drift(folder, expect=1, json=False)
    shown = capsys.readouterr()
    assert "brightness" in shown.out.splitlines()[-1] and shown.out.splitlines()[-1].startswith("drift: ")
    assert "left out: 1 pictures that cannot be read, 1 copies, 1 files that are no pictures" in shown.err
    queue = pd.read_csv(folder / "label_queue.csv")
    assert list(queue) == ["digest", "path", "suggested", "probability", "distance", "why"]
    assert set(queue["why"]) >= {UNLIKE} and len(queue) == 6


def test_a_model_that_knows_no_data_is_refused_and_nothing_is_written(folder: Path) -> None:
    from dataclasses import replace

    file = folder / "model.onnx"
    write_export_card(file, replace(read_export_card(file), reference={}))
    with pytest.raises(ModelError, match=r"does not describe its training data \(too few .*\); name another with"):
        drift(folder, expect=1)
    assert not (folder / "label_queue.csv").exists()


def test_a_file_that_is_no_queue_is_not_overwritten(folder: Path) -> None:
    (folder / "label_queue.csv").write_text("my notes")
    with pytest.raises(ParamsError, match=r"label_queue\.csv: is not a queue of Pawline.s and is not overwritten"):
        drift(folder, expect=1)
    assert (folder / "label_queue.csv").read_text() == "my notes"
