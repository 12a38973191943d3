"""One MLflow run per training, found by its model's digest: live epochs, params, data set, model, test figures."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.data.pandas_dataset import PandasDataset, from_pandas
from mlflow.entities import Run
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from pawline.card import Card, card_path
from pawline.params.whole import Params, dotted
from pawline.tracking.store import (
    EXPERIMENT,
    MODEL_DIGEST,
    busy_unless_it_answers,
    mirror,
    run_of,
    use_store,
    warn_of_old_place,
)
from pawline.workspace.checkout import ask_git
from pawline.workspace.kept_training import KeptTraining
from pawline.workspace.lock import LOCK

TRAINING = "pawline.training"
PLACE = "pawline.training_place"  # whose state: another machine may train the same at the same time
SERVED_MODEL = Path(__file__).with_name("served_model.py")
SERVED_WITH = [
    "keras", "numpy", "opencv-python-headless", "pandas", "pillow", "pydantic", "ruamel.yaml", "scipy", "tensorflow"
]  # fmt: skip
# How long a server that did not answer is left alone: asking costs seconds, and epochs may be short.
PAUSE_SECONDS = 60

Row = dict[str, float]


class TrainingRun:
    """The MLflow run of one training, while it is under way. Epochs that a server missed are sent again later."""

    def __init__(self, num_logged: int = 0, curves: Callable[[Row], object] | None = None) -> None:
        self._num_logged = num_logged  # epochs, before a kill
        self._curves = curves  # for TensorBoard
        self._missed: list[Row] = []
        self._pause_ends = -math.inf

    def log_epoch(self, row: Row) -> None:
        """Send an epoch's figures, or keep them for later."""
        if self._curves:
            self._curves(row)
        if row["epoch"] <= self._num_logged:
            return
        self._missed.append(row)
        if time.monotonic() > self._pause_ends and not mirror(self._send):
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
            active = mlflow.active_run()
            if active and active.data.tags.get(MODEL_DIGEST) == card.digest:
                return  # it was logged before a kill
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL),
                artifacts={"model": str(model), "card": str(card_path(model))},
                code_paths=[str(SERVED_MODEL.parents[1])],
                pip_requirements=[f"{package}=={version(package)}" for package in SERVED_WITH],
                signature=_signature(card),
            )
            mlflow.log_params(dotted({"conditions": card.conditions.model_dump()}))
            mlflow.set_tag(MODEL_DIGEST, card.digest)

        mirror(log)


@contextmanager
def training_run(params: Params, split: pd.DataFrame, training: KeptTraining) -> Iterator[TrainingRun]:
    """An MLflow run that ends FINISHED, FAILED or KILLED with the block; the run of a stopped training goes on.

    Raises BusyError when the tracking server does not answer: better before the training than after it."""
    use_store()
    key = training.checkpoint.key
    with busy_unless_it_answers():
        warn_of_old_place()
        stopped = _stopped_run(training, continued=training.checkpoint.load() is not None)
        run_id, name = (stopped.info.run_id, None) if stopped else (None, run_name(params))
        mlflow.start_run(run_id, run_name=name, tags={**_origin(), TRAINING: key, PLACE: training.place})
    # What a kill left out; what is there stays, since MLflow lets no param change.
    if not (stopped and stopped.data.params):
        mirror(lambda: mlflow.log_params(dotted(params.model_dump())))
    if not (stopped and stopped.inputs and stopped.inputs.dataset_inputs):
        mirror(lambda: mlflow.log_input(_dataset(params, split, training.data_digest), context="training"))
    status = "FINISHED"
    try:
        yield TrainingRun(_num_epochs(stopped) if stopped else 0, _curves(params, training))
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        mirror(lambda: mlflow.end_run(status))


def log_evaluation(digest: str, metrics: dict[str, Any], files: list[Path]) -> None:
    """Put the test figures into the MLflow run whose training made the model with this digest. Where there
    is none (the model came from DVC's cache, the store is new) one is made, so that nothing goes missing."""

    def log() -> None:
        use_store()
        run = run_of(digest)
        run_id = run.info.run_id if run else None
        with mlflow.start_run(run_id, tags=None if run else {**_origin(), MODEL_DIGEST: digest}):
            mlflow.log_metrics(
                {f"test_{name}": value for name, value in dotted(metrics).items() if value is not None}
            )
            for file in files:
                mlflow.log_artifact(str(file), "evaluate")

    mirror(log)


def run_name(params: Params) -> str:
    """What ran, in a few words: "fast rgb 72px 10min"."""
    train = params.train
    budget = f"{train.epochs}ep"
    if train.minutes is not None:
        budget = f"{train.minutes:g}min"
    if train.steps is not None:
        budget = f"{train.steps}steps"
    return f"{params.network.name} {params.prepare.color} {params.prepare.image_size}px {budget}"


def _stopped_run(training: KeptTraining, continued: bool) -> Run | None:
    """The newest MLflow run of this very training on this machine, which may have ended before its files were safe. If
    the training starts over, reuse the run only when it is unfinished and has no epochs."""
    runs = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{TRAINING}` = '{training.checkpoint.key}'",
        max_results=100,
        output_format="list",
    )
    runs = [run for run in runs if run.data.tags.get(PLACE, training.place) == training.place]
    if runs and not continued and (runs[0].info.status == "FINISHED" or _num_epochs(runs[0])):
        return None
    return runs[0] if runs else None


def _num_epochs(run: Run) -> int:
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    return max((metric.step for metric in history), default=0)


def _curves(params: Params, training: KeptTraining) -> Callable[[Row], object] | None:
    if not params.train.tensorboard:
        return None
    from pawline.training.tensorboard import curve_writer

    return curve_writer(training.curves)


def _dataset(params: Params, split: pd.DataFrame, digest: str) -> PandasDataset:
    name = Path(params.ingest.source).name
    return from_pandas(split, source="data/split.parquet", name=name, digest=digest[:32])


def _origin() -> dict[str, str]:
    """The origin of an MLflow run, as tags: none of it may change an output."""
    tags = {
        "mlflow.source.git.commit": ask_git(Path.cwd(), "rev-parse", "HEAD"),
        # As it is while this stage runs: the stages before it are in, its own outputs are not.
        "pawline.dvc_lock_digest": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else "",
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
