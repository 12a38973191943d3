"""`pawline recipe` shows what a training would follow, and the line that repeats a model."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pawline.card import Card, write_card
from pawline.params.train import CHOSEN
from pawline.params.whole import load_params
from pawline.parts import data_digest
from pawline.prepared import PreparedImages
from pawline.recipe import Facts, card_recipe
from pawline.training.conditions import conditions_of
from pawline.training.pretrained_weights import weights_digest
from tests.conftest import pawline_here, set_params
from tests.prepared_workspace import prepared_workspace
from tests.recipes import some_recipe


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepared_workspace(tmp_path_factory.mktemp("recipe") / "a work space", num_pictures=30)
    set_params(folder, {"train.cutout": 0.0})
    return folder


def test_the_plan_says_what_is_chosen_and_what_was_set(workspace: Path) -> None:
    set_params(workspace, {"train.batch_size": "auto", "train.patience": "auto", "train.epochs": 2})
    num_images = int((pd.read_parquet(workspace / "data/split.parquet")["split"] == "train").sum())
    lines = pawline_here(workspace, "recipe").splitlines()
    assert lines[0] == (
        f"fast, {num_images} pictures of 2 classes, 16 px: {2 * (num_images // 16)} steps, "
        f"{2 * (num_images // 16) * 16 / num_images:.3g} epochs"
    )
    assert [line.split()[0] for line in lines[1:-2]] == [f"train.{key}" for key in CHOSEN]
    smallest = "the smallest of 64, 32 and 16, and still fewer than 150 steps"
    assert lines[1].split(maxsplit=2) == ["train.batch_size", "16", smallest]
    assert lines[2].split(maxsplit=2) == ["train.optimizer", "muon", "set in params.yaml"]
    assert lines[-2].startswith(f"which network: {num_images} pictures teach little about edges")
    assert lines[-1] == "to train so:  dvc repro"
    set_params(workspace, {"train.batch_size": 4, "train.patience": 10})


def test_minutes_that_a_training_would_refuse_are_refused_with_minutes_that_do(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The measurement is played: a step takes a second for each picture of 16 pixels."""

    def measured(asked: object, network: Any, images: object, part: Any, budget: Any) -> Facts:
        return Facts(network, 16, len(part.rows), max(0.0, budget.seconds_left) * 16**2, 1 / 16**2)

    monkeypatch.setattr("pawline.training.plan.facts_of", measured)
    monkeypatch.setattr("pawline.training.plan.time.time", lambda: 2e9)
    num_images = int((pd.read_parquet(workspace / "data/split.parquet")["split"] == "train").sum())
    epoch = 4 * (num_images // 4)  # seconds
    enough = math.ceil((10 + 1.1 * 1.25 * epoch) / 6) / 10  # 10 s to save, a validation, a tenth
    pawline_here(workspace, "recipe", "--minutes", "0.01", expect=2)
    assert capsys.readouterr().err == (
        "pawline: --minutes is 0.01: loading, measuring and saving leave time for about 0 steps of 4 pictures, and "
        f"one epoch has {num_images // 4} and a validation; expected about {enough:g} or more minutes here; "
        "give more, or train by epochs\n"
    )
    lines = pawline_here(workspace, "recipe", "--minutes", f"{enough:g}").splitlines()
    assert lines[-1] == f"to train so:  dvc exp run -S train.minutes={enough:g}"
    set_params(workspace, {"train.steps": 28})  # as a line of --of sets it; steps come before minutes
    lines = pawline_here(workspace, "recipe", "--minutes", f"{enough:g}").splitlines()
    assert lines[-1] == f"to train so:  dvc exp run -S train.minutes={enough:g} -S train.steps=null"
    set_params(workspace, {"train.steps": None})


def test_minutes_with_every_value_set_are_not_measured(workspace: Path) -> None:
    lines = pawline_here(workspace, "recipe", "--minutes", "3").splitlines()
    assert lines[0].endswith("px: 3 minutes; the training measures how many steps fit, as every value is set")


def card_of(workspace: Path, **values: object) -> Card:
    images, params = PreparedImages(workspace / "data/prepared"), load_params(workspace / "params.yaml")
    recipe = some_recipe(**{**dict(params.train), "steps": 28, **values})
    fields = {
        "digest": "0" * 64, "class_names": images.class_names, "form": images.form, "network": "fast",
        "num_weights": 1, "decoder": images.decoder, "conditions": conditions_of(params.train, 28),
        "training_data_digest": data_digest(pd.read_parquet(workspace / "data/split.parquet")),
        "recipe": card_recipe(recipe, params.network), "chosen": ["train.sizes", "train.patience"],
    }  # fmt: skip
    return Card.model_validate(fields)


def test_the_line_sets_what_was_chosen_and_what_differs_here(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "models").mkdir(exist_ok=True)
    model = workspace / "models/model.keras"
    model.touch()
    write_card(model, card_of(workspace, sizes=(0.5, 0.75), seed=7, cuts=((14, 21),)))
    assert pawline_here(workspace, "recipe", "--of", str(model)) == (
        "dvc exp run -S train.steps=28 -S 'train.cuts=[[14,21]]' -S 'train.sizes=[0.5,0.75]' -S train.patience=10 "
        "-S train.seed=7\n"
    )
    assert capsys.readouterr().err == ""

    form = PreparedImages(workspace / "data/prepared").form.shrunk_to(12)
    other = card_of(workspace).model_copy(update={"form": form, "training_data_digest": "f" * 64})
    write_card(model, other)
    set_params(workspace, {"prepare.image_size": 20})
    line = pawline_here(workspace, "recipe", "--of", str(model))
    assert line.endswith("-S prepare.image_size=16\n")  # as they were prepared, not as the network sees them
    assert "note: the model learned from other data than data/split.parquet" in capsys.readouterr().err
    set_params(workspace, {"prepare.image_size": 16})


def test_what_cannot_be_answered_takes_one_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "models").mkdir(exist_ok=True)
    old = card_of(workspace).model_copy(update={"recipe": {}, "chosen": []})
    (workspace / "models/old.keras").touch()
    write_card(workspace / "models/old.keras", old)
    pawline_here(workspace, "recipe", "--of", "models/old.keras", expect=3)
    assert "made before recipes were recorded; set train.steps=28" in capsys.readouterr().err
    pawline_here(workspace, "recipe", "--of", "nosuch", expect=2)
    assert capsys.readouterr().err == (
        "pawline: nosuch: no such file; name a model with its card.json beside it\n"
    )
    pawline_here(workspace, "recipe", "--of", "params.yaml", expect=3)
    assert capsys.readouterr().err == (
        "pawline: card.json: not found; name a model with its card.json beside it\n"
    )
    pawline_here(workspace, "recipe", "--of", "models/old.keras", "--minutes", "3", expect=2)
    assert "give one of them" in capsys.readouterr().err
    for minutes in ("0", "-1", "nan", "soon", "200000"):
        pawline_here(workspace, "recipe", "--minutes", minutes, expect=2)
        assert f"--minutes: {minutes!r}, expected a number above 0 and at most 100,000" in capsys.readouterr().err


def test_a_frozen_network_has_no_steps_and_is_told_what_counts(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(workspace, {"network.name": "pretrained", "prepare.image_size": 32, "train.flip_at_test": "auto"})
    lines = pawline_here(workspace, "recipe", "--minutes", "3").splitlines()
    assert lines[0].endswith("16 px: each looked at once, no epochs; train.minutes does not count")
    assert [line.split()[:2] for line in lines[1:3]] == [
        ["train.predict_size", "1"],
        ["train.flip_at_test", "false"],
    ]
    assert "prepare.color rgb is more accurate" in lines[3] and "prepare.image_size 160 or more" in lines[4]
    assert lines[-2].startswith("which network: ") and "-S" not in lines[-2]
    assert lines[-1] == "to train so:  dvc repro"

    card, params = card_of(workspace, flip_at_test=False), load_params(workspace / "params.yaml")
    conditions = conditions_of(params.train, 300, params.network, weights_digest(params.network))
    (workspace / "models").mkdir(exist_ok=True)
    (workspace / "models/model.keras").touch()
    write_card(workspace / "models/model.keras", card.model_copy(update={"conditions": conditions}))
    set_params(workspace, {"network.name": "fast", "prepare.image_size": 16, "train.flip_at_test": False})
    capsys.readouterr()
    line = pawline_here(workspace, "recipe", "--of", "models/model.keras")
    assert "-S network.name=pretrained" in line and "train.steps" not in line
    assert capsys.readouterr().err == "", "weights and precision are those of the model's network"
