"""MLflow as a mirror of the pipeline's files: one MLflow run per training, found by its model's digest.

Files are the truth. A tracking server that stops answering half-way costs a warning, not the training.
"""

import hashlib
import logging
import math
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from filelock import FileLock
from mlflow.data.pandas_dataset import PandasDataset, from_pandas
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from pawline.card import Card, card_path
from pawline.errors import BusyError, ModelError, innermost
from pawline.params import Params
from tasks.dotted import dotted
from tasks.workspace import git, local_store, main_checkout

logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would announce each of its attempts

EXPERIMENT = "pawline"
MODEL_DIGEST = "pawline.model_digest"
TRAINING = "pawline.training"
SERVED_MODEL = Path(__file__).with_name("served_model.py")
SERVED_WITH = [
    "keras", "numpy", "opencv-python-headless", "pandas", "pillow", "pydantic", "ruamel.yaml", "tensorflow"
]  # fmt: skip


# How long a server that did not answer is left alone: asking costs seconds, and epochs may be short.
PAUSE_SECONDS = 60


class TrainingRun:
    """The MLflow run of one training, while it is under way. Epochs that a server missed are sent again later."""

    def __init__(self, num_logged: int = 0) -> None:
        self._num_logged = num_logged  # epochs, before a kill
        self._missed: list[dict[str, float]] = []
        self._pause_ends = -math.inf

    def log_epoch(self, row: dict[str, float]) -> None:
        if row["epoch"] <= self._num_logged:
            return
        self._missed.append(row)
        if time.monotonic() > self._pause_ends and not _mirror(self._send):
            self._pause_ends = time.monotonic() + PAUSE_SECONDS

    def _send(self) -> None:
        while self._missed:
            metrics = {name: value for name, value in self._missed[0].items() if name != "epoch"}
            mlflow.log_metrics(metrics, step=int(self._missed[0]["epoch"]))
            del self._missed[0]

    def log_model(self, model: Path, card: Card) -> None:
        """The model as a pyfunc that takes raw image bytes, through the project's own decoder."""

        def log() -> None:
            self._send()
            if mlflow.active_run().data.tags.get(MODEL_DIGEST) == card.digest:
                return  # it was logged before a kill
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL),
                artifacts={"model": str(model), "card": str(card_path(model))},
                code_paths=[str(SERVED_MODEL.parents[1] / "pawline")],
                pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
                signature=_signature(card),
            )
            mlflow.log_params(dotted({"conditions": card.conditions.model_dump()}))
            mlflow.set_tag(MODEL_DIGEST, card.digest)

        _mirror(log)


@contextmanager
def training_run(
    params: Params, split: pd.DataFrame, digest: str, training: str, continued: bool
) -> Iterator[TrainingRun]:
    """An MLflow run that ends FINISHED, FAILED or KILLED with the block; that of a stopped training goes on.

    `training`: what tells this very training from all others; `continued`: whether its state was kept. Raises
    BusyError when the tracking server does not answer: better before the training than after it."""
    use_store()
    mlflow.enable_system_metrics_logging()
    mlflow.set_system_metrics_sampling_interval(5)
    with _busy_unless_it_answers():
        stopped = _stopped_run(training, continued)
        mlflow.start_run(stopped.info.run_id if stopped else None, tags={**_origin(), TRAINING: training})
    # What a kill left out; what is there stays, since MLflow lets no param change.
    if not (stopped and stopped.data.params):
        _mirror(lambda: mlflow.log_params(dotted(params.model_dump())))
    if not (stopped and stopped.inputs.dataset_inputs):
        _mirror(lambda: mlflow.log_input(_dataset(params, split, digest), context="training"))
    status = "FINISHED"
    try:
        yield TrainingRun(_num_epochs(stopped) if stopped else 0)
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        _mirror(lambda: mlflow.end_run(status))


def log_evaluation(digest: str, metrics: dict[str, Any], files: list[Path]) -> None:
    """Put the test figures into the MLflow run whose training made the model with this digest. Where there
    is none (the model came from DVC's cache, the store is new) one is made, so that nothing goes missing."""

    def log() -> None:
        use_store()
        found = _run_of(digest)
        run_id = found.info.run_id if found else None
        with mlflow.start_run(run_id, tags=None if found else {**_origin(), MODEL_DIGEST: digest}):
            mlflow.log_metrics(
                {f"test_{name}": value for name, value in dotted(metrics).items() if value is not None}
            )
            for file in files:
                mlflow.log_artifact(str(file), "evaluate")

    _mirror(log)


def find_run(digest: str) -> Run | None:
    """The newest MLflow run whose training made the model with this digest."""
    use_store()
    return _run_of(digest)


@contextmanager
def downloaded_model(uri: str) -> Iterator[Path]:
    """The file of a model in MLflow, with its card beside it, for the length of the block."""
    use_store()
    with TemporaryDirectory() as folder:
        try:
            logged = mlflow.artifacts.download_artifacts(uri, dst_path=folder)
        except Exception as error:  # MLflow lets through whatever its HTTP and SQL libraries raise
            store = mlflow.get_tracking_uri()
            raise ModelError(f"{uri}: cannot be had from MLflow at {store}: {innermost(error)}") from None
        yield Path(logged, "artifacts", "model.keras")


def _stopped_run(training: str, continued: bool) -> Run | None:
    """The newest MLflow run of this very training, which may have ended before its files were safe. For a training
    that has to start over it must neither have ended nor have epochs."""
    found = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{TRAINING}` = '{training}'",
        max_results=1,
        output_format="list",
    )
    if found and not continued and (found[0].info.status == "FINISHED" or _num_epochs(found[0])):
        return None
    return found[0] if found else None


def _num_epochs(run: Run) -> int:
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    return max((metric.step for metric in history), default=0)


def run_link(digest: str) -> str | None:
    """Where to look at the MLflow run of the model with this digest: an address, or the store and the run's id."""
    if not (found := find_run(digest)):
        return None
    store = mlflow.get_tracking_uri()
    if store.startswith("http"):
        return f"{store}/#/experiments/{found.info.experiment_id}/runs/{found.info.run_id}"
    return f"{found.info.run_name} ({found.info.run_id}) in {store}"


def _run_of(digest: str) -> Run | None:
    found = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{MODEL_DIGEST}` = '{digest}'",
        max_results=1,
        output_format="list",
    )
    return found[0] if found else None


def use_store() -> None:
    """Point MLflow at the user's MLFLOW_TRACKING_URI, else at one SQLite file that every worktree and DVC
    experiment of this checkout shares."""
    home = main_checkout()
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or local_store(home))
    local = mlflow.get_tracking_uri() == local_store(home)
    # Several processes that create the tables of a fresh SQLite file at once break each other.
    with _busy_unless_it_answers(), FileLock(home / ".mlflow.lock", timeout=120):
        if local and not (home / "mlflow.db").exists():
            _create_store(home)
        _experiment(home, local)


@contextmanager
def _busy_unless_it_answers() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow lets through whatever its HTTP and SQL libraries raise
        store = mlflow.get_tracking_uri()
        mend = "start it, or unset MLFLOW_TRACKING_URI to use the local store"
        if store == local_store(main_checkout()):
            mend = "move that file away to begin a new one"
        raise BusyError(f"MLflow at {store} does not answer: {innermost(error)}; {mend}") from None


def _create_store(home: Path) -> None:
    """MLflow's tables take it a second, change by change, and one killed in between is no use to it ever after. So
    they are made elsewhere; in a folder, since SQLite keeps a journal beside."""
    partial = home / ".pawline/mlflow.partial"
    shutil.rmtree(partial, ignore_errors=True)  # left by a kill
    partial.mkdir(parents=True)
    mlflow.MlflowClient(f"sqlite:///{partial / 'mlflow.db'}").search_experiments()
    (partial / "mlflow.db").rename(home / "mlflow.db")
    partial.rmdir()


def _experiment(home: Path, local: bool) -> None:
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        # A server keeps artifacts where it was told to; the local store keeps them beside it.
        mlflow.create_experiment(EXPERIMENT, artifact_location=(home / "mlartifacts").as_uri() if local else None)
    mlflow.set_experiment(EXPERIMENT)


def _dataset(params: Params, split: pd.DataFrame, digest: str) -> PandasDataset:
    name = Path(params.ingest.source).name
    return from_pandas(split, source="data/split.parquet", name=name, digest=digest[:32])


def _mirror(log: Callable[[], object]) -> bool:
    """Do it, or warn; returns whether it was done."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hints on integer columns and input examples
            log()
    except (MlflowException, BusyError, OSError) as error:
        print(f"pawline: warning: not logged to MLflow: {innermost(error)}", file=sys.stderr)
        return False
    return True


def _origin() -> dict[str, str]:
    """Where the run came from: tags only, since none of it may change an output."""
    lock = Path("dvc.lock")
    tags = {
        "mlflow.source.git.commit": git(Path.cwd(), "rev-parse", "HEAD"),
        # As it is while this stage runs: the stages before it are in, its own outputs are not.
        "pawline.dvc_lock_digest": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else "",
        "pawline.dvc_experiment": os.environ.get("DVC_EXP_NAME", ""),
        "prefect.flow_run": os.environ.get("PAWLINE_FLOW_RUN", ""),  # its name and id
    }
    return {key: value for key, value in tags.items() if value}


def _signature(card: Card) -> ModelSignature:
    probabilities = [ColSpec("double", f"probability_{name}") for name in card.class_names]
    return ModelSignature(
        inputs=Schema([ColSpec("binary", "image")]),
        outputs=Schema([ColSpec("string", "label"), *probabilities, ColSpec("string", "error", required=False)]),
    )
