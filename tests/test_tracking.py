"""MLflow mirrors a training as it goes, and no server of it can cost one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from pawline.errors import BusyError, ModelError
from pawline.params.whole import load_params
from pawline.tracking import store
from pawline.tracking import training_run as tracking
from pawline.training.checkpoint import Checkpoint, Progress
from pawline.workspace.kept_training import KeptTraining
from tests.background import answers, background, free_port, wait_for
from tests.conftest import run as run_command
from tests.source import ROOT

PARAMS = load_params(ROOT / "params.yaml")
SPLIT = pd.DataFrame({"path": ["cat/1.jpg"], "digest": ["0" * 64], "label": [0], "split": ["train"]})


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "PAUSE_SECONDS", 0)
    return tmp_path


@pytest.fixture
def port() -> str:
    return free_port()


@contextmanager
def mlflow_server(folder: Path, port: str) -> Iterator[None]:
    store = ("--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--workers", "1")
    lean = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with background(folder, "mlflow", "server", "--port", port, *store, **lean):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"))
        yield


def epoch(number: int) -> dict[str, float]:
    return {"epoch": number, "loss": 1 / number, "val_loss": 2 / number}


def start(training: str = "this one", continued: bool = False) -> AbstractContextManager[tracking.TrainingRun]:
    checkpoint = Checkpoint(Path.cwd() / ".pawline/training/state.npz", training)
    checkpoint.remove()
    if continued:
        checkpoint.save(Progress(num_steps=1), variables=[], best=[])
    return tracking.training_run(PARAMS, SPLIT, KeptTraining(checkpoint, "d" * 64))


def all_runs(store: str) -> list[Run]:
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("pawline")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def the_run(store: str) -> tuple[Run, list[tuple[int, float]]]:
    """The only run of a store, and the steps of its loss."""
    [found] = all_runs(store)
    history = MlflowClient(store).get_metric_history(found.info.run_id, "loss")
    return found, [(point.step, point.value) for point in history]


def test_each_epoch_is_there_before_the_next(checkout: Path) -> None:
    store = f"sqlite:///{checkout / 'mlflow.db'}"
    with start() as run:
        for number in (1, 2):
            run.log_epoch(epoch(number))
            assert the_run(store)[1][-1] == (number, 1 / number)
        assert the_run(store)[0].info.status == "RUNNING"
    found, _ = the_run(store)
    assert found.info.status == "FINISHED"
    assert found.data.params["train.epochs"] == str(PARAMS.train.epochs)
    assert found.inputs.dataset_inputs[0].dataset.digest == "d" * 32


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(143), "KILLED")]
)
def test_a_training_that_ends_early_says_how(checkout: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), start():
        raise error
    assert the_run(f"sqlite:///{checkout / 'mlflow.db'}")[0].info.status == status


def test_a_training_that_goes_on_does_so_in_the_same_run(checkout: Path) -> None:
    """It offers its earlier epochs again."""
    with pytest.raises(KeyboardInterrupt), start() as run:
        run.log_epoch(epoch(1))
        raise KeyboardInterrupt
    with start(continued=True) as run:
        for number in (1, 2):
            run.log_epoch(epoch(number))
    found, losses = the_run(f"sqlite:///{checkout / 'mlflow.db'}")
    assert found.info.status == "FINISHED"
    assert losses == [(1, 1), (2, 1 / 2)]


def test_a_kill_while_the_store_is_created_leaves_none(checkout: Path) -> None:
    """A store half made is one that MLflow refuses for ever."""
    half_made = checkout / ".pawline/mlflow.partial/mlflow.db"
    with background(
        checkout, "python", "-c", "from pawline.tracking.store import use_store; use_store()"
    ) as process:
        wait_for(lambda: half_made.exists() and half_made.stat().st_size > 0)
        process.kill()
        process.wait()
    assert half_made.exists()
    assert not (checkout / "mlflow.db").exists()
    with start() as run:
        run.log_epoch(epoch(1))
    assert the_run(f"sqlite:///{checkout / 'mlflow.db'}")[1] == [(1, 1)]
    assert not half_made.parent.exists()


def test_a_damaged_store_is_named_with_what_to_do(checkout: Path) -> None:
    (checkout / "mlflow.db").write_bytes(b"no database" * 100)
    answer = r"mlflow\.db does not answer: file is not a database; move that file away to begin a new one$"
    with pytest.raises(BusyError, match=answer), start():
        pytest.fail("it started")
    assert (checkout / "mlflow.db").read_bytes() == b"no database" * 100


@pytest.mark.parametrize("old_one_stays", [True, False])
def test_a_moved_or_copied_checkout_says_where_models_go_and_the_advice_works(
    tmp_path: Path, old_one_stays: bool
) -> None:
    def warning(place: Path) -> str:
        code = "from pawline.tracking import store; store.use_store(); store.warn_of_old_place()"
        return run_command(place, "python", "-c", code, PYTHONPATH=str(ROOT)).stderr

    old, new = tmp_path / "an old place", tmp_path / "a new place"
    old.mkdir()
    (old / "dvc.yaml").touch()
    assert warning(old) == ""
    shutil.copytree(old, new)
    if not old_one_stays:
        shutil.rmtree(old)
    line = warning(new)
    begin = f"pawline: warning: MLflow logs models to {old / 'mlartifacts'}, the place before a move or copy; "
    assert line.startswith(begin)
    if old_one_stays:
        assert line == begin + "move mlflow.db and mlartifacts/ away to begin a new store here\n"
        (new / "mlflow.db").rename(tmp_path / "mlflow.db")
    else:
        run_command(new, "sh", "-c", line[line.index("(") + 1 : line.index(")")])
        assert old.resolve() == new
    assert warning(new) == ""


def test_params_and_data_set_lost_by_a_kill_are_logged_later(checkout: Path) -> None:
    store.use_store()
    mlflow.start_run(tags={tracking.TRAINING: "this one"})  # and killed
    mlflow.end_run("KILLED")
    for _ in range(2):
        with start(continued=True):
            pass
    found, _ = the_run(f"sqlite:///{checkout / 'mlflow.db'}")
    assert found.data.params["train.epochs"] == str(PARAMS.train.epochs)
    assert len(found.inputs.dataset_inputs) == 1


@pytest.mark.parametrize(
    ("num_epochs", "training", "continued", "num_runs"),
    [
        (0, "this one", False, 1),  # killed before its state was kept
        (1, "this one", False, 2),  # its state is lost: it starts over
        (1, "another one", True, 2),
    ],
)
def test_a_training_that_starts_over_has_its_own_run(
    checkout: Path, num_epochs: int, training: str, continued: bool, num_runs: int
) -> None:
    with pytest.raises(KeyboardInterrupt), start() as run:
        for number in range(1, num_epochs + 1):
            run.log_epoch(epoch(number))
        raise KeyboardInterrupt
    with start(training, continued):
        pass
    assert len(all_runs(f"sqlite:///{checkout / 'mlflow.db'}")) == num_runs


def test_the_run_of_an_equal_training_on_another_machine_is_left_alone(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may live: only its own machine's lock can say."""
    monkeypatch.setattr("platform.node", lambda: "another machine")
    first = start()
    first.__enter__().log_epoch(epoch(1))
    mlflow.end_run("RUNNING")
    monkeypatch.setattr("platform.node", lambda: "this machine")
    with start():
        pass
    assert len(all_runs(f"sqlite:///{checkout / 'mlflow.db'}")) == 2


@pytest.mark.parametrize(("continued", "num_runs"), [(True, 1), (False, 2)])
def test_a_finished_run_is_continued_only_with_its_state(checkout: Path, continued: bool, num_runs: int) -> None:
    """Either the training's files were not safe yet, or somebody trains again."""
    for state in (False, continued):
        with start(continued=state) as run:
            run.log_epoch(epoch(1))
    runs = all_runs(f"sqlite:///{checkout / 'mlflow.db'}")
    assert [run.info.status for run in runs] == ["FINISHED"] * num_runs
    client = MlflowClient()
    assert [len(client.get_metric_history(run.info.run_id, "loss")) for run in runs] == [1] * num_runs


def test_missed_epochs_are_sent_later_and_a_dead_server_costs_warnings_only(
    checkout: Path, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with mlflow_server(checkout, port):
        first = start()
        run = first.__enter__()
        run.log_epoch(epoch(1))
    run.log_epoch(epoch(2))
    assert "pawline: warning: not logged to MLflow: Connection refused" in capsys.readouterr().err
    with mlflow_server(checkout, port):
        run.log_epoch(epoch(3))
        first.__exit__(None, None, None)
        found, loss = the_run(f"sqlite:///{checkout / 'server.db'}")
        assert (found.info.status, loss) == ("FINISHED", [(number, 1 / number) for number in (1, 2, 3)])
        second = start("another one")
        run = second.__enter__()
    monkeypatch.setattr(tracking, "PAUSE_SECONDS", 3600)
    for number in range(1, 100):  # asked once: a hundred times would take minutes
        run.log_epoch(epoch(number))
    second.__exit__(None, None, None)
    assert capsys.readouterr().err.count("pawline: warning: not logged to MLflow") == 2  # an epoch, and the end
    assert mlflow.active_run() is None


def test_an_evaluation_without_a_server_costs_a_warning_only(
    checkout: Path, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    tracking.log_evaluation("d" * 64, {"accuracy": 0.5}, [])
    assert capsys.readouterr().err.endswith("pawline: warning: not logged to MLflow: Connection refused\n")


def test_no_server_at_all_stops_the_training_before_it_starts(
    checkout: Path, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    refused = f"MLflow at http://127.0.0.1:{port} does not answer: Connection refused; start it, or unset"
    with pytest.raises(BusyError, match=refused), start():
        pytest.fail("it started")


def test_a_model_that_mlflow_does_not_have_is_named(checkout: Path) -> None:
    missing = "models:/nobody@champion: cannot be downloaded from MLflow at sqlite"
    with pytest.raises(ModelError, match=missing), store.downloaded_model("models:/nobody@champion"):
        pytest.fail("it is there")
