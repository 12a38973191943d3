"""A training that was killed goes on under the same command, in the same MLflow run, to the same bytes."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pawline.model.saved import save_model
from pawline.params.whole import load_params
from pawline.prepared import PreparedImages
from pawline.train import train
from pawline.training.checkpoint import Checkpoint
from pawline.workspace import kept_training
from tests.background import background, commands_in, kill_group, saved_step, wait_for
from tests.conftest import dvc_here, run, set_params

EPOCHS = 80  # so that the state has been kept, and more is to come


def logged_epochs(workspace: Path) -> list[int]:
    with sqlite3.connect(workspace / "mlflow.db") as store:
        newest = "select run_uuid from runs order by start_time desc limit 1"
        found = store.execute(f"select step from metrics where key = 'val_loss' and run_uuid = ({newest})")
        return sorted(step for (step,) in found)


def num_runs(workspace: Path) -> int:
    with sqlite3.connect(workspace / "mlflow.db") as store:
        return int(store.execute("select count(*) from runs").fetchone()[0])


def test_a_killed_training_goes_on_in_the_same_mlflow_run(finished: Path) -> None:
    set_params(finished, {"train.epochs": EPOCHS, "train.patience": 1000})
    before = num_runs(finished)
    with background(finished, "dvc", "repro", "train") as dvc:
        wait_for(
            lambda: num_runs(finished) > before and saved_step(finished) > 0 and logged_epochs(finished) != []
        )
        kill_group(dvc)
    wait_for(lambda: not commands_in(finished))
    at_kill = logged_epochs(finished)
    assert at_kill[-1] < EPOCHS
    (finished / "pawline/report.py").open("a").write("# What a training does not use costs it nothing.\n")

    output = run(finished, "dvc", "repro", "train")
    assert "Running stage 'train'" in output.stdout
    assert num_runs(finished) == before + 1
    assert logged_epochs(finished) == list(range(1, EPOCHS + 1))
    assert saved_step(finished) == 0
    params = load_params(finished / "params.yaml")
    split = pd.read_parquet(finished / "data/split.parquet")
    uninterrupted = train(PreparedImages(finished / "data/prepared"), split, params.network, params.train)
    save_model(uninterrupted.model, finished / "uninterrupted.keras")
    assert (finished / "models/model.keras").read_bytes() == (finished / "uninterrupted.keras").read_bytes()


def test_a_kill_before_dvc_has_locked_the_model_costs_no_training(finished: Path) -> None:
    set_params(finished, {"train.epochs": 3})
    before, model = num_runs(finished), finished / "models/model.keras"
    run(finished, "python", "-m", "tasks.train", DVC_STAGE="train")  # all that DVC lived to see
    trained = model.read_bytes()
    model.unlink()

    dvc_here(finished, "repro", "train")
    assert num_runs(finished) == before + 1
    assert logged_epochs(finished) == [1, 2, 3]
    assert model.read_bytes() == trained

    lock = (finished / "dvc.lock").read_bytes()
    # Nothing was lost: this asks for a training.
    dvc_here(finished, "repro", "--force", "--single-item", "train")
    assert num_runs(finished) == before + 2
    assert logged_epochs(finished) == [1, 2, 3]
    assert model.read_bytes() == trained
    assert (finished / "dvc.lock").read_bytes() == lock


def test_no_state_of_a_training_under_way_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight trainings at once are more than the states that are kept of those given up."""
    monkeypatch.chdir(tmp_path)
    states = [tmp_path / f"{number}.npz" for number in range(8)]
    for number, state in enumerate(states):
        state.write_bytes(b"")
        os.utime(state, (number, number))
    with kept_training.lock_of(states[0]):
        kept_training._delete_given_up(tmp_path, Checkpoint(states[7], "key"))
        assert sorted(tmp_path.glob("*.npz")) == [states[0], *states[2:]]
    kept_training._delete_given_up(tmp_path, Checkpoint(states[7], "key"))
    assert sorted(tmp_path.glob("*.npz")) == states[2:]


def test_a_state_that_somebody_removed_fails_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "train")
    (tmp_path / "model").write_bytes(b"model")
    kept_training.KeptTraining(Checkpoint(tmp_path / "state.npz", "key"), "").finish(tmp_path / "model")


PRETRAINED = {
    "network.name": "pretrained",
    "network.pretrained.architecture": "MobileNetV3Small",
    "network.pretrained.weights": "some.weights.h5",
}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (
            {"train.precision": "bfloat16"},
            "train.precision is bfloat16, which this machine cannot compute in",
        ),
        (
            PRETRAINED | {"prepare.image_size": 32},
            "network.pretrained.weights: some.weights.h5: No such file or directory; name a file by its",
        ),
        (
            PRETRAINED | {"prepare.image_size": 32, "network.pretrained.sha256": "0" * 64},
            "network.pretrained.weights: some.weights.h5: its SHA-256 is d9298a10d1b0",
        ),
    ],
)
def test_impossible_params_are_refused_before_tensorflow_loads(
    finished: Path, params: dict[str, Any], says: str
) -> None:
    set_params(finished, params)
    if params.get("network.pretrained.sha256"):
        (finished / "some.weights.h5").write_bytes(b"other")
    code = (
        "import runpy, sys; sys.modules['tensorflow'] = None; from pawline.model import machine; "
        "machine._features = lambda: frozenset(); runpy.run_module('tasks.train', run_name='__main__')"
    )
    output = run(finished, "python", "-c", code, expect=2)
    assert output.stderr.startswith(f"pawline: {says}")
    assert output.stderr.count("\n") == 1
