"""MLflow mirrors a training as it goes, and no server of it can cost one."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, chdir, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import mlflow
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.utils import validation

from pawline.addresses import public_address, without_secrets
from pawline.card import Card, Conditions, write_card
from pawline.errors import BusyError, DatasetError, ModelError, ParamsError, PawlineError
from pawline.files import file_digest
from pawline.params.whole import load_params
from pawline.process import _end_in_one_line, end_with
from pawline.tracking import store
from pawline.tracking import training_run as tracking
from pawline.tracking.names import mlflow_name, original_name
from pawline.training.checkpoint import Checkpoint, Progress
from pawline.workspace.dvc_command import dvc_failure
from pawline.workspace.kept_training import KeptTraining
from tests.background import answers, background, free_port, wait_for
from tests.conftest import run as run_command
from tests.source import ROOT
from tests.test_runtime import write_brightness

CREATE_STORE = store._create_store
PARAMS = load_params(ROOT / "params.yaml")
SPLIT = pd.DataFrame({"path": ["cat/1.jpg"], "digest": ["0" * 64], "label": [0], "split": ["train"]})


@pytest.fixture
def checkout(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "_create_store", lambda at: shutil.copy(empty_store, at.store))
    shutil.copy(empty_store, tmp_path / "server.db")
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
        checkpoint.save(Progress(num_steps=1), variables=[], best=[], kept={})
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


@pytest.mark.parametrize(
    ("network", "train", "name"),
    [
        ("fast", {}, "fast grayscale 96px 30ep"),
        ("classic", {"minutes": 2.5}, "classic grayscale 96px 2.5min"),
        ("fast", {"minutes": 2.5, "steps": 500}, "fast grayscale 96px 500steps"),
        ("pretrained", {"minutes": 2.5}, "pretrained grayscale 96px frozen"),
    ],
)
def test_a_run_is_named_after_network_pictures_and_budget(network: str, train: dict[str, Any], name: str) -> None:
    update = {
        "network": PARAMS.network.model_copy(update={"name": network}),
        "train": PARAMS.train.model_copy(update=train),
    }
    assert tracking.run_name(PARAMS.model_copy(update=update)) == name


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


def test_the_run_of_a_training_says_how_many_labels_people_corrected(checkout: Path) -> None:
    """The only picture of train was given as a dog; two more pictures were left out."""
    index = pd.DataFrame({"path": ["cat/1.jpg"], "class_name": ["cat"], "given_class": ["dog"]})
    for folder in ("data", "metrics"):
        (checkout / folder).mkdir()
    (checkout / "metrics/ingest.json").write_text('{"num_removed": 2}')
    index.to_parquet(checkout / "data/index.parquet")
    with start():
        pass
    params = the_run(f"sqlite:///{checkout / 'mlflow.db'}")[0].data.params
    assert {key: value for key, value in params.items() if key.startswith("relabel.")} == {
        "relabel.num_corrected_train": "1",
        "relabel.num_corrected_val": "0",
        "relabel.num_corrected_test": "0",
        "relabel.num_left_out": "2",
    }
    index.assign(given_class="cat").to_parquet(checkout / "data/index.parquet")
    (checkout / "metrics/ingest.json").write_text("{}")
    assert tracking.decided_labels(SPLIT) == {}, "nothing was decided, so nothing is said"
    index.drop(columns="given_class").to_parquet(checkout / "data/index.parquet")
    assert tracking.decided_labels(SPLIT) == {}, "an index of before"


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


def test_a_kill_while_the_store_is_created_leaves_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store half made is one that MLflow refuses for ever."""
    monkeypatch.setattr(store, "_create_store", CREATE_STORE)
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
    answer = r"mlflow\.db cannot be used: file is not a database; move that file away to begin a new one$"
    with pytest.raises(DatasetError, match=answer), start():
        pytest.fail("it started")
    assert (checkout / "mlflow.db").read_bytes() == b"no database" * 100


@pytest.mark.parametrize("old_one_stays", [True, False])
def test_a_moved_or_copied_checkout_says_where_models_go_and_the_advice_works(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old_one_stays: bool
) -> None:
    def warning(place: Path) -> str:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # where MLflow itself notes the store before
        with chdir(place):
            store.use_store()
            store.warn_of_old_place()
        return capsys.readouterr().err

    old, new = checkout / "an old place", checkout / "a new place"
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
        (new / "mlflow.db").rename(checkout / "mlflow.db")
        code = "from pawline.tracking import store; store.use_store(); store.warn_of_old_place()"
        # In another process: MLflow keeps the moved file open in this one.
        assert run_command(new, "python", "-c", code, PYTHONPATH=str(ROOT)).stderr == ""
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
    refused = f"not logged to MLflow: MLflow at http://127.0.0.1:{port} does not answer: Connection refused"
    assert f"pawline: warning: {refused}; start it" in capsys.readouterr().err


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


NAMES = [
    "a,b",
    "[x](y)",
    "50 %",
    "#1",
    '"quoted"',
    "two\nlines",
    "back\\slash",
    "a/b",
    "\udce9t\udce9",
    "Übung 😀",
]


def test_test_figures_of_any_class_names_arrive_all_and_fail_no_run(checkout: Path) -> None:
    with start() as run:
        run.log_epoch(epoch(1))
    mlflow.set_experiment("pawline")
    client = MlflowClient()
    [found] = all_runs(f"sqlite:///{checkout / 'mlflow.db'}")
    client.set_tag(found.info.run_id, store.MODEL_DIGEST, "e" * 64)
    per_class = {name: {"recall": number / 10, "precision": None} for number, name in enumerate(NAMES)}
    tracking.log_evaluation("e" * 64, {"accuracy": 0.5, "per_class": per_class}, [])
    found, _ = the_run(f"sqlite:///{checkout / 'mlflow.db'}")
    test = {original_name(name): value for name, value in found.data.metrics.items() if name.startswith("test_")}
    recalls = {f"test_per_class.{name}.recall": number / 10 for number, name in enumerate(NAMES)}
    assert (found.info.status, test) == ("FINISHED", {"test_accuracy": 0.5, **recalls})


def test_an_evaluation_leaves_the_end_of_its_run_as_it_was(checkout: Path) -> None:
    with pytest.raises(ValueError, match="after the model"), start():
        mlflow.set_tag(store.MODEL_DIGEST, "e" * 64)
        raise ValueError("after the model")
    tracking.log_evaluation("e" * 64, {"accuracy": 0.5}, [])
    found, _ = the_run(f"sqlite:///{checkout / 'mlflow.db'}")
    assert (found.info.status, found.data.metrics) == ("FAILED", {"test_accuracy": 0.5})


def test_a_figure_that_mlflow_refuses_takes_no_other_along(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {f"class {number}": 0.5 for number in range(1200)}  # more than MLflow takes at once
    tracking.log_evaluation("d" * 64, {"loss": "many", **figures}, [])
    found, _ = the_run(f"sqlite:///{checkout / 'mlflow.db'}")
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {f"test_{name}": 0.5 for name in figures}
    assert "pawline: warning: MLflow refuses the figure test_loss: " in capsys.readouterr().err


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Po", "Sm"])) | st.text("_x2CF5,. /\n"))
@example("")
@example("..")
@example("a\n")  # passes MLflow's own check, which ends in `$`
def test_any_name_becomes_one_that_mlflow_takes_and_back(name: str) -> None:
    encoded = mlflow_name(name)
    for check in (
        validation._validate_metric_name,
        validation._validate_param_name,
        validation._validate_tag_name,
    ):
        check(encoded)
    assert encoded.splitlines() == [encoded]
    if len(name) < 25:  # of a letter there are 10 at most: _x10FFFF_
        assert original_name(encoded) == name


def test_ordinary_names_stay_and_long_ones_stay_different() -> None:
    for name in ("cat", "Golden Retriever", "chest_xray", "class-1.5", "Übung"):
        assert mlflow_name(name) == name
    long = [mlflow_name("x" * 300), mlflow_name("x" * 301)]
    assert (len(set(long)), {len(name) for name in long}) == (2, {250})
    with pytest.raises(ValueError, match="too long for MLflow"):
        original_name(long[0])


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.text(), min_size=2, max_size=4, unique=True))
def test_columns_of_the_model_hold_any_name_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    file = tmp_path_factory.mktemp("model") / "MLmodel"
    columns: list[ColSpec | TensorSpec] = [ColSpec("double", f"probability_{name}") for name in names]
    Model(signature=ModelSignature(outputs=Schema(columns))).save(file)
    assert Model.load(file).signature.outputs.input_names() == [column.name for column in columns]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("./mlruns", r"is \./mlruns, a folder, .*; set it to sqlite:////.*/mlflow\.db"),
        ("mlruns", "a folder, .*; set it to sqlite:////"),
        ("file:///data/mlruns", r"is file:///data/mlruns, a folder, .*; set it to sqlite:////"),
        ("databricks", "is databricks, but Databricks takes"),
        ("databricks://profile", "but Databricks takes"),
        ("localhost:5000", "is localhost:5000, without a scheme; set it to http://localhost:5000$"),
        ("ftp://host/x", "has the scheme 'ftp', which MLflow does not know; set it to an address of"),
        ("s3://bucket/runs", "has the scheme 's3'"),
        ("http:/host", "which names no server; set it to http://HOST:PORT"),
        ("http://", "which names no server"),
        ("http://host:port", "is no valid address"),
        ("http://[host", "is no valid address"),
        ("sqlite:x.db", "has the scheme 'sqlite'"),
        ("mysql://host/x", "cannot be used: No module named 'MySQLdb'; install the package"),
    ],
)
def test_an_address_that_cannot_be_a_store_is_refused_as_a_wrong_setting(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, address: str, says: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(ParamsError, match=says):
        store.use_store()
    assert not (checkout / "mlruns").exists()


@contextmanager
def answering(status: int, body: bytes, kind: str = "text/html") -> Iterator[str]:
    """The address of a server that answers everything so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (
            401,
            b"who are you?",
            2,
            "answers 401 Unauthorized: it wants a user's name and password; set MLFLOW_TRACKIN",
        ),
        (
            401,
            b'{"message": "of a proxy"}',
            2,
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_",
        ),
        (403, b"no", 2, "answers 403 Forbidden: .*MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN$"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', 2, "answers 403 Forbidden"),
        (404, b"<html>", 2, "is no MLflow server: it answers 404 Not Found; correct MLFLOW_TRACKING_URI"),
        (200, b"<html>log in, please", 2, "is no MLflow server: it answers 200 OK"),
        (500, b"oh", 75, "answers 500 Internal Server Error; try again later"),
        (503, b"", 75, "try again later"),
    ],
)
def test_each_answer_of_a_server_has_its_line_and_exit_code(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, code: int, says: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # between MLflow's attempts
    with answering(status, body) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hunter2secret@{address}")
        with pytest.raises(PawlineError, match=says) as raised:
            store.use_store()
    assert (raised.value.exit_code, "hunter2" in str(raised.value)) == (code, False)
    assert f"MLflow at http://{address} " in str(raised.value)


def test_a_deleted_experiment_comes_back_with_the_printed_line(checkout: Path) -> None:
    store.use_store()
    MlflowClient().delete_experiment(store.experiment_id())
    with pytest.raises(ParamsError, match="the experiment pawline was deleted") as raised:
        store.use_store()
    subprocess.run(str(raised.value).split("bring it back with: ")[1], shell=True, check=True, capture_output=True)
    store.use_store()


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        (
            "mode=ro",
            2,
            "attempt to write a readonly database; make it and its folder writable: chmod u.w .*old.db",
        ),
        ("mode=rw&timeout=0.1", 75, "database is locked; another process is busy with it; try again"),
    ],
)
def test_a_database_that_cannot_be_written_is_not_advised_away(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, query: str, code: int, says: str
) -> None:
    file = checkout / "old.db"
    store.use_store()
    (checkout / "mlflow.db").rename(file)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///file:{file}?{query}&uri=true")
    with sqlite3.connect(file, isolation_level=None) as other:
        if "timeout" in query:
            other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PawlineError, match=says) as raised, start():
            pytest.fail("it started")
    assert raised.value.exit_code == code


def test_a_store_where_no_file_can_be_is_a_wrong_setting(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{checkout}/file/mlflow.db")
    with pytest.raises(
        ParamsError, match=r"/file/mlflow\.db cannot be used: File exists; its folder cannot be used: mend"
    ):
        store.use_store()


def test_eight_planted_secrets_are_nowhere(
    checkout: Path, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = [f"s3cr3t-{number}-{number:x}" for number in range(8)]
    tracking_uri = f"http://me:{secrets[0]}@127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secrets[1])
    source = f"https://me:{secrets[2]}@host/data/pets.zip?X-Amz-Signature={secrets[3]}#{secrets[3]}"
    params = PARAMS.model_copy(update={"ingest": PARAMS.ingest.model_copy(update={"source": source})})
    training = KeptTraining(Checkpoint(checkout / ".pawline/training/state.npz", "this one"), "d" * 64)
    said = []
    with mlflow_server(checkout, port):
        with tracking.training_run(params, SPLIT, training) as run:
            mlflow.set_tag(store.MODEL_DIGEST, "e" * 64)
            run.log_epoch(epoch(1))
        tracking.log_evaluation("e" * 64, {"accuracy": 0.5}, [])
        link = store.run_link("e" * 64)
        found, _ = the_run(f"sqlite:///{checkout / 'server.db'}")
    assert found.data.params["ingest.source"] == "https://host/data/pets.zip"
    assert found.inputs.dataset_inputs[0].dataset.name == "pets.zip"
    assert link == f"http://127.0.0.1:{port}/#/experiments/{found.info.experiment_id}/runs/{found.info.run_id}"
    with pytest.raises(BusyError) as refused:
        store.use_store()
    with pytest.raises(BusyError) as summary:
        store.run_link("e" * 64)
    said += [link, str(refused.value), str(summary.value), run_by_prefect(refused.value)]
    quoted = [
        f"cannot open postgresql://me:{secrets[4]}/with#slash@host/db?password={secrets[4]}",
        f"zip://a.jpg::https://me:{secrets[5]}@host/a.zip?sig={secrets[5]}, (caused by {secrets[1]})",
        f"Authorization: Bearer {secrets[6]}",
    ]
    for text in quoted:
        store.mirror(lambda text=text: raises(OSError(text)))
        with pytest.raises(SystemExit):
            end_with(lambda text=text: raises(PawlineError(text)))
    _end_in_one_line(OSError, OSError(quoted[0]), None)
    said += [str(dvc_failure(f"ERROR: failed to get 'https://me:{secrets[7]}@host/x'", 255)), *capsys.readouterr()]
    stored = {str(path): path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    assert "server.db" in {Path(path).name for path in stored}
    for secret in secrets:
        assert [text for text in said if secret in text] == []
        assert [path for path, content in stored.items() if secret.encode() in content] == []


def raises(error: Exception) -> None:
    raise error


def run_by_prefect(error: PawlineError) -> str:
    """The message of the state, which Prefect keeps in its database."""
    from prefect.states import Failed

    return str(Failed(message=str(error)))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:pass@host:80/x.zip?sig=1#f", "https://host:80/x.zip"),
        ("https://token@host/x", "https://host/x"),
        ("https://me:pa/ss@host/x", "https://host/x"),
        ("https://me:pa@ss#?@host/x", "https://host/x"),
        ("https://host/@scope/x.zip", "https://host/@scope/x.zip"),
        ("s3://bucket/key with space", "s3://bucket/key with space"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("postgresql+psycopg2://me:pass@[::1]:5432/db?password=1", "postgresql+psycopg2://[::1]:5432/db"),
        ("zip://a.jpg::https://me:pass@host/a.zip?sig=1", "zip://a.jpg::https://host/a.zip"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(address: str, shown: str) -> None:
    assert public_address(address) == shown


def train_while_the_server_dies(checkout: Path, port: str) -> str:
    """A training whose server goes away after the first epoch; the digest of its model."""
    model = checkout / "models/model.keras"
    model.parent.mkdir()
    model.write_bytes(b"a model")
    digest = file_digest(model)
    versions = {"tensorflow": "2", "keras": "3", "precision": "float32", "processor": "one"}
    switches = {"flip_at_test": False, "one_dnn": True, "deterministic": True, "num_steps": 2, "num_threads": 2}
    card = Card(
        digest=digest, class_names=NAMES[:8], form=PARAMS.prepare.form, network="fast", num_weights=1,
        training_data_digest="d" * 64, decoder="one", conditions=Conditions(**versions, **switches),
    )  # fmt: skip
    write_card(model, card)
    exported = write_brightness(model.parent)
    with mlflow_server(checkout, port):
        training = start()
        run = training.__enter__()
        run.log_epoch(epoch(1))
    run.log_epoch(epoch(2))
    run.name_model(card)
    training.__exit__(None, None, None)
    assert mlflow.active_run() is None
    tracking.log_export(exported, card)
    return digest


def assert_whole(store_address: str) -> None:
    found, losses = the_run(store_address)
    assert (found.info.status, losses) == ("FINISHED", [(1, 1), (2, 1 / 2)])
    assert found.data.params["train.epochs"] == str(PARAMS.train.epochs)
    assert found.data.params["conditions.num_steps"] == "2"
    assert found.data.metrics["test_accuracy"] == 0.5
    assert [len(found.inputs.dataset_inputs), len(found.outputs.model_outputs)] == [1, 1]
    history = MlflowClient(store_address).get_metric_history(found.info.run_id, "test_accuracy")
    assert [point.value for point in history] == [0.5]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_what_a_dead_server_missed_is_sent_once_when_it_is_back(
    checkout: Path, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    digest = train_while_the_server_dies(checkout, port)
    tracking.log_evaluation(digest, {"accuracy": 0.5}, [])
    kept = checkout / ".pawline/mlflow_missed"
    assert "what MLflow missed is kept" in capsys.readouterr().err
    assert len(list(kept.glob("*/record.json"))) == 1
    shutil.copytree(kept, checkout / "again")
    with mlflow_server(checkout, port):
        assert store.find_run(digest) is not None
        assert "sent to MLflow what it had missed" in capsys.readouterr().err
        assert list(kept.glob("*/record.json")) == []
        assert_whole(f"http://127.0.0.1:{port}")
        shutil.copytree(checkout / "again", kept, dirs_exist_ok=True)  # as after a kill before it was removed
        assert store.find_run(digest) is not None
        assert_whole(f"http://127.0.0.1:{port}")


@pytest.mark.usefixtures("impatient")
def test_figures_that_go_to_another_store_take_the_whole_run_along(
    checkout: Path, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    digest = train_while_the_server_dies(checkout, port)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    tracking.log_evaluation(digest, {"accuracy": 0.5}, [])
    assert_whole(f"sqlite:///{checkout / 'mlflow.db'}")
    assert list((checkout / ".pawline/mlflow_missed").glob("*/record.json")) == []


def test_a_damaged_record_of_what_was_missed_stops_nothing(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = checkout / ".pawline/mlflow_missed/run-1"
    kept.mkdir(parents=True)
    (kept / "record.json").write_text("{")
    with start():
        pass
    assert "record.json: cannot be read, so not sent to MLflow" in capsys.readouterr().err
    assert kept.exists()


@pytest.mark.parametrize(
    "text", ["a.zip: bad signature: PK is missing", "unexpected token: x", "params.yaml: unknown key 'token'"]
)
def test_ordinary_messages_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text
