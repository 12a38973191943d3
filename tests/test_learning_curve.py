"""The learning curve draws nested shares, recovers a known power law and says honestly whether more data would help."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pawline.cli import learning_curve as command
from pawline.errors import DatasetError
from pawline.learning_curve import WHOLE, CurvePlan, MeasuredCurve, PowerLaw, answer, fit_power_law
from pawline.learning_curve_page import curve_lines, curve_page
from pawline.params.whole import load_params
from pawline.series import OneTraining, Series
from pawline.tracking.series_run import SERIES
from pawline.tracking.store import run_with_tag, use_store
from tests.prepared_workspace import prepared_workspace
from tests.recipes import some_recipe
from tests.source import ROOT

PARAMS = load_params(ROOT / "params.yaml").train
SIZES = np.array([100.0] * 3 + [250] * 3 + [500] * 3 + [1000])


def split_of(num_train: int, copies: int = 1, num_test: int = 10) -> pd.DataFrame:
    """Cats and dogs in turn; `copies` near-duplicates of each picture of train."""
    names = [f"{number:05}" for number in range(num_train + num_test)]
    groups = [f"{number // copies:05}" for number in range(num_train)] + names[num_train:]
    label = [number // copies % 2 for number in range(num_train)] + [number % 2 for number in range(num_test)]
    parts = ["train"] * num_train + ["test"] * num_test
    return pd.DataFrame({"path": names, "digest": names, "label": label, "group": groups, "split": parts})


def measured(law: PowerLaw, num_test: int, spread: float = 0.0) -> MeasuredCurve:
    """Trainings that name the expected share of the test pictures right; each picture has its own difficulty."""
    rng = np.random.default_rng(1)
    difficulty = rng.permutation((np.arange(num_test) + 0.5) / num_test)
    accuracies = law.accuracy(SIZES) + rng.normal(0, spread, len(SIZES))
    return MeasuredCurve(SIZES, difficulty < accuracies[:, None], np.arange(num_test))


def quick(measured: MeasuredCurve) -> dict[str, Any]:
    return answer(measured, num_replicates=60)


def test_a_power_law_is_recovered() -> None:
    law = PowerLaw(floor=0.03, amount=0.05, power=0.4, whole=1000)
    sizes = np.array([100.0, 250, 500, 1000])
    found = fit_power_law(sizes, law.accuracy(sizes), np.full(4, 0.01))
    assert found.accuracy(4000) == pytest.approx(1 - 0.03 - 0.05 * 4**-0.4, abs=1e-4)


def test_data_that_are_short_are_told_with_the_gain_that_was_built_in() -> None:
    law = PowerLaw(floor=0.02, amount=0.1, power=0.5, whole=1000)
    found = quick(measured(law, 5000))
    twice = found["ahead"][0]
    assert found["verdict"] == "yes" and found["answer"].startswith("yes, more data would help: twice as many")
    assert twice["gain"] == pytest.approx(0.1 * (1 - 2**-0.5), abs=0.005)
    assert twice["gain_low"] < 0.1 * (1 - 2**-0.5) < twice["gain_high"]
    assert twice["accuracy_low"] < 1 - 0.02 - 0.1 * 2**-0.5 < twice["accuracy_high"]


def test_a_flat_curve_says_hardly() -> None:
    found = quick(measured(PowerLaw(floor=0.1, amount=0.0, power=0.5, whole=1000), 5000, spread=0.0005))
    assert found["verdict"] == "hardly" and found["ahead"][0]["gain_high"] < 0.005


def test_few_test_pictures_and_draws_that_differ_say_cannot_tell() -> None:
    found = quick(measured(PowerLaw(floor=0.05, amount=0.05, power=0.3, whole=1000), 60, spread=0.02))
    assert found["verdict"] == "can't tell"


def test_a_measured_point_has_the_interval_of_the_test_pictures_whatever_small_shares_do() -> None:
    """44 of 45 right is 0.884 to 0.996 by Wilson (1927); trainings on a tenth differ by half of the test part."""
    num_right = [10, 25, 35, 38, 39, 40, 42, 42, 43, 44]
    found = quick(MeasuredCurve(SIZES, np.arange(45) < np.array(num_right)[:, None], np.arange(45)))
    whole = found["points"][-1]
    assert (whole["accuracy_low"], whole["accuracy_high"]) == pytest.approx((0.884, 0.996), abs=5e-4)
    lines = curve_lines(found)
    assert lines[1].endswith("; trainings 0.222 to 0.778)")
    assert " ".join(lines[4].split()) == "1,000 1 0.978 (95 % interval 0.884 to 0.996)"
    assert lines[7].startswith("The interval of a measured row holds what other test pictures would change")


def test_trainings_without_a_mistake_are_no_error() -> None:
    found = quick(MeasuredCurve(SIZES, np.ones((10, 50), bool), np.arange(50)))
    assert found["points"][0]["accuracy"] == 1.0 and found["verdict"] == "hardly"


def test_shares_are_nested_by_group_and_hold_every_class() -> None:
    split = split_of(400, copies=4)
    plan = CurvePlan.of(split, PARAMS, seed=1)
    for draw in (1, 2, 3):
        tenth, quarter, half = (plan.drawn(share, draw) for share in (0.1, 0.25, 0.5))
        assert (tenth <= quarter).all() and (quarter <= half).all()
        assert [mask.sum() for mask in (tenth, quarter, half)] == [40, 104, 200]  # of 50 groups a class: 5, 13, 25
        assert (pd.Series(half).groupby(split["group"]).nunique() == 1).all()
        assert not half[-10:].any()  # test
    assert (plan.drawn(0.1, 1) != plan.drawn(0.1, 2)).any()
    rare = split_of(100).assign(label=[1] * 1 + [0] * 109)
    assert CurvePlan.of(rare, PARAMS, seed=1).drawn(0.1, 2)[0]


def test_every_share_trains_the_same_number_of_steps_and_has_the_same_patience(tmp_path: Path) -> None:
    plan = CurvePlan.of(split_of(640), PARAMS, seed=1)
    recipe = some_recipe(steps=1200, batch_size=16, patience=10).model_dump_json()
    pd.DataFrame({"recipe": [recipe]}).to_parquet(tmp_path / f"{WHOLE}.parquet")
    training = plan.training("25%-draw-2", Series(tmp_path, "key", None, None))  # type: ignore[arg-type]
    assert (training.split["split"] == "train").sum() == 160
    # 40 steps an epoch became 10: forty short epochs are ten long ones.
    assert (training.params.steps, training.params.patience) == (1200, 40)
    assert (training.split["split"] == "test").sum() == 10


def test_bad_input_is_refused() -> None:
    with pytest.raises(DatasetError, match="the test part is empty"):
        CurvePlan.of(split_of(100, num_test=0), PARAMS, seed=1)
    with pytest.raises(DatasetError, match="train has 25 different pictures .* needs 40; add pictures"):
        CurvePlan.of(split_of(100, copies=4), PARAMS, seed=1)


def test_the_page_needs_no_network_and_says_the_answer() -> None:
    found = quick(measured(PowerLaw(floor=0.02, amount=0.1, power=0.5, whole=1000), 2000))
    page = curve_page(found)
    assert "More data would help" in page and page.count("<circle") == 10
    assert "<script" not in page and re.findall(r"(?:src|href)=", page) == []
    assert "default-src 'none'" in page
    assert json.dumps(found, allow_nan=False)
    assert curve_lines(found)[-1] == f"would more data help? {found['answer']}"


def played_trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let each training of a series give invented answers at once. Returns their names; the fourth is killed."""
    trained: list[str] = []

    def played(self: Series, training: OneTraining) -> pd.DataFrame:
        if (done := self.finished(training.name)) is not None:
            return done
        trained.append(training.name)
        if len(trained) == 4:
            raise KeyboardInterrupt
        test = training.split[training.split["split"] == "test"].sort_values(["digest", "path"])
        right = (np.arange(len(test)) + 0.5) / len(test) < 1 - 3 / (training.split["split"] == "train").sum()
        first = np.where(right, test["label"] == 0, test["label"] != 0).astype(float)
        table = test[["path", "digest", "group", "label"]].assign(
            probability_horizontal=first,
            probability_vertical=1 - first,
            num_steps=6,
            recipe=some_recipe(steps=6).model_dump_json(),
            seconds=1.0,
        )
        self.folder.mkdir(exist_ok=True)
        table.to_parquet(self._file(training.name))
        return table

    monkeypatch.setattr(Series, "run", played)
    return trained


def test_the_command_keeps_what_is_finished_and_logs_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trainings are played: what trains is tested with the folds."""
    workspace = prepared_workspace(tmp_path / "a work space", num_pictures=60)
    trained = played_trainings(monkeypatch)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(workspace)
    options = argparse.Namespace(json=True, out=tmp_path / "page.html")
    with pytest.raises(KeyboardInterrupt):
        command.run(options)
    assert not (tmp_path / "page.html").exists()
    assert "pawline: 1 of 10 trainings done: all; about 9.0 s left\n" in capsys.readouterr().err
    for _ in range(2):
        assert command.run(options) == 0
    said = capsys.readouterr()
    assert "pawline: 10 of 10 trainings done: 10%-draw-3\n" in said.err
    found = json.loads(said.out.partition("}\n{")[0] + "}")
    assert len(trained) == 11 and trained[0] == WHOLE  # ten, and the killed one again
    assert [point["num_trainings"] for point in found["points"]] == [3, 3, 3, 1]
    use_store()
    run = run_with_tag(SERIES, found["key"])
    assert run is not None and run.data.metrics["learning_curve_num_test_images"] == found["num_test_images"]
    [folder] = Path(".pawline/learning_curve").iterdir()
    assert (folder / "learning_curve.html").read_text() == (tmp_path / "page.html").read_text()
    assert command.run(argparse.Namespace(json=False, out=tmp_path / "page.html")) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"page: {tmp_path / 'page.html'}"
