"""One MLflow run per training, found by its model's digest: live epochs, params, data set, model, test figures."""

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow.parquet as pq
from mlflow.data.pandas_dataset import PandasDataset, from_pandas
from mlflow.entities import Run
from mlflow.tracking import get_tracking_uri
from mlflow.tracking.context.registry import resolve_tags

from pawline.addresses import is_address, public_address, without_secrets
from pawline.card import Card
from pawline.params.whole import Params, dotted
from pawline.relabelled import num_relabelled
from pawline.tracking.logged_model import conditions_of_card, log_model, name_model
from pawline.tracking.metrics import log_metrics
from pawline.tracking.missed import (
    MissedRun,
    keep_evaluation,
    keep_export,
    keep_run,
    num_epochs,
    send_missed,
    store_digest,
)
from pawline.tracking.store import (
    EXPERIMENT,
    MODEL_DIGEST,
    busy_unless_it_answers,
    experiment_id,
    mirror,
    run_address,
    run_of,
    use_store,
    warn_of_old_place,
)
from pawline.training.checkpoint import EpochRow
from pawline.workspace.checkout import ask_git
from pawline.workspace.kept_training import KeptTraining
from pawline.workspace.layout import Layout
from pawline.workspace.lock import LOCK

TRAINING = "pawline.training"
PLACE = "pawline.training_place"  # whose state: another machine may train the same at the same time
DVC_EXPERIMENT = "pawline.dvc_experiment"  # a tag: its name
DECIDED = "relabel"  # params of the run: what data/relabel.csv changed
# How long a server that did not answer is left alone: asking costs seconds, and epochs may be short.
PAUSE_SECONDS = 60


class TrainingRun:
    """The MLflow run of one training, while it is under way. Epochs that a server missed are sent again later."""

    def __init__(
        self, run_id: str, num_logged: int = 0, curves: Callable[[EpochRow], object] | None = None
    ) -> None:
        self._run_id = run_id
        self._num_logged = num_logged  # epochs, before a kill
        self._curves = curves  # for TensorBoard
        self._rows: list[EpochRow] = []  # of all epochs
        self._missed: list[EpochRow] = []
        self.digest = ""  # of the model, once there is one
        self.conditions: dict[str, object] = {}
        self._is_model_named = True
        self._pause_ends = -math.inf

    def log_epoch(self, row: EpochRow) -> None:
        """Send an epoch's figures, or keep them for later."""
        if self._curves:
            self._curves(row)
        self._rows.append(row)
        if row["epoch"] <= self._num_logged:
            return
        self._missed.append(row)
        if time.monotonic() > self._pause_ends and not mirror(self._send):
            self._pause_ends = time.monotonic() + PAUSE_SECONDS

    @property
    def is_logged(self) -> bool:
        """Whether MLflow has all that was offered."""
        return self._is_model_named and not self._missed

    @property
    def rows(self) -> list[EpochRow]:
        return self._rows

    def _send(self) -> None:
        while self._missed:
            metrics = {name: value for name, value in self._missed[0].items() if name != "epoch"}
            log_metrics(self._run_id, metrics, step=int(self._missed[0]["epoch"]))
            del self._missed[0]

    def name_model(self, card: Card) -> None:
        """Note which model the training made. The stage `export` logs the model itself."""
        self.digest, self.conditions = card.digest, conditions_of_card(card)

        def name() -> None:
            self._send()
            name_model(self.digest, self.conditions)

        self._is_model_named = mirror(name)


@contextmanager
def training_run(params: Params, split: pd.DataFrame, training: KeptTraining) -> Iterator[TrainingRun]:
    """An MLflow run that ends FINISHED, FAILED or KILLED with the block; the run of a stopped training goes on.

    Raises BusyError when the tracking server does not answer: better before the training than after it."""
    use_store()
    send_missed()
    key = training.checkpoint.key
    tags = {**run_origin(), TRAINING: key, PLACE: training.place}
    with busy_unless_it_answers():
        warn_of_old_place()
        stopped = _stopped_run(training, continued=training.checkpoint.load() is not None)
        run_id, name = (stopped.info.run_id, None) if stopped else (None, run_name(params))
        active = mlflow.start_run(run_id, run_name=name, tags=tags)
    shown = shown_params(params) | decided_labels(split)
    data_set = data_set_of(params, split, training.data_digest)
    is_whole = _log_begin(stopped, shown, data_set)
    run = TrainingRun(active.info.run_id, num_epochs(stopped) if stopped else 0, _curves(params, training))
    status = "FINISHED"
    try:
        yield run
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        is_ended = mirror(lambda: mlflow.end_run(status))
        if is_ended:
            print(f"MLflow run: {_shown_address(active)}")
        if not (is_whole and is_ended and run.is_logged):
            missed = MissedRun(
                store_digest(),
                active.info.run_id,
                run_name(params),
                tags,
                params=shown,
                data_set={"name": data_set.name, "digest": data_set.digest},
                rows=run.rows,
                status=status,
                digest=run.digest,
                conditions=run.conditions,
            )
            keep_run(missed, split)


def _shown_address(run: Run) -> str:
    """The address of a run on a server, which a click opens; of one in the local store what `pawline compare` takes."""
    is_served = get_tracking_uri().startswith("http")
    return run_address(run) if is_served else f"{run.info.run_name} ({run.info.run_id[:8]})"


def _log_begin(stopped: Run | None, shown: dict[str, Any], data_set: PandasDataset) -> bool:
    """Log params and data set into the active run; returns whether MLflow has both.

    Of a stopped run only what a kill left out: what is there stays, since MLflow lets no param change."""
    is_whole = True
    if not (stopped and stopped.data.params):
        is_whole &= mirror(lambda: mlflow.log_params(shown))
    if not (stopped and stopped.inputs and stopped.inputs.dataset_inputs):
        is_whole &= mirror(lambda: mlflow.log_input(data_set, context="training"))
    return is_whole


def log_export(exported: Path, card: Card) -> None:
    """Log the exported model into the MLflow run whose training made it; see log_evaluation."""

    def log() -> None:
        use_store()
        send_missed(card.digest)
        run = run_of(card.digest)
        found = run or _run_without_training(card.digest)
        mlflow.start_run(found.info.run_id)
        try:
            log_model(exported, card)
        finally:
            mlflow.end_run(run.info.status if run else "FINISHED")

    if not mirror(log):
        keep_export(card.digest, exported, run_origin())


def log_evaluation(digest: str, metrics: dict[str, Any], files: list[Path]) -> None:
    """Put the test figures into the MLflow run whose training made the model with this digest. Where there
    is none (the model came from DVC's cache, the store is new) one is made, so that nothing goes missing."""

    def log() -> None:
        use_store()
        send_missed(digest)
        # Not by start_run, whose end would call a run FINISHED that failed, and the other way round.
        client, run = mlflow.MlflowClient(), run_of(digest)
        found = run or _run_without_training(digest)
        for file in files:
            client.log_artifact(found.info.run_id, str(file), "evaluate")
        log_metrics(found.info.run_id, figures)
        if not run:
            client.set_terminated(found.info.run_id, "FINISHED")

    figures = {f"test_{name}": value for name, value in dotted(metrics).items()}
    if not mirror(log):
        keep_evaluation(digest, figures, files, run_origin())


def _run_without_training(digest: str) -> Run:
    tags = {**resolve_tags(), **run_origin(), MODEL_DIGEST: digest}
    return mlflow.MlflowClient().create_run(experiment_id(), tags=tags)


def run_name(params: Params) -> str:
    """What ran, in a few words: "fast rgb 72px 10min"."""
    train = params.train
    budget = f"{train.epochs}ep"
    if params.network.is_frozen:
        budget = "frozen"
    elif train.steps is not None:
        budget = f"{train.steps}steps"
    elif train.minutes is not None:
        budget = f"{train.minutes:g}min"
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
    if runs and not continued and (runs[0].info.status == "FINISHED" or num_epochs(runs[0])):
        return None
    return runs[0] if runs else None


def _curves(params: Params, training: KeptTraining) -> Callable[[EpochRow], object] | None:
    if not params.train.tensorboard:
        return None
    from pawline.training.tensorboard import curve_writer

    return curve_writer(training.curves)


def shown_params(params: Params) -> dict[str, Any]:
    """All params by their dotted names, their addresses without passwords and signatures."""
    return {key: _without_secrets(value) for key, value in dotted(params.model_dump()).items()}


def _without_secrets(value: Any) -> Any:
    if not (isinstance(value, str) and is_address(value)):
        return value
    try:
        return public_address(value)
    except ValueError:
        return without_secrets(value)


def decided_labels(split: pd.DataFrame) -> dict[str, int]:
    """What people's decisions changed in the data of this checkout, as params: pictures with a corrected label in each
    part, and pictures left out; empty where they changed nothing, or where the data does not say."""
    at = Layout()
    index, ingested = at.index, at.metrics_of("ingest")
    if not (index.exists() and ingested.exists()) or "given_class" not in pq.read_schema(index).names:
        return {}
    corrected = num_relabelled(pd.read_parquet(index, columns=["path", "class_name", "given_class"]), split)
    counts = {f"{DECIDED}.num_corrected_{part}": count for part, count in corrected.items()}
    counts[f"{DECIDED}.num_left_out"] = json.loads(ingested.read_text(encoding="utf-8")).get("num_removed", 0)
    return counts if any(counts.values()) else {}


def data_set_of(params: Params, split: pd.DataFrame, digest: str) -> PandasDataset:
    name = Path(_without_secrets(params.ingest.source)).name
    with warnings.catch_warnings():  # that two of MLflow's own classes may hold a file's path
        warnings.filterwarnings(
            "ignore", message="The specified dataset source can be interpreted in multiple ways"
        )
        return from_pandas(split, source="data/split.parquet", name=name, digest=digest[:32])


def run_origin() -> dict[str, str]:
    """The origin of an MLflow run, as tags: none of it may change an output."""
    tags = {
        "mlflow.source.git.commit": ask_git(Path.cwd(), "rev-parse", "HEAD"),
        # As it is while this stage runs: the stages before it are in, its own outputs are not.
        "pawline.dvc_lock_digest": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else "",
        DVC_EXPERIMENT: os.environ.get("DVC_EXP_NAME", ""),
        "prefect.flow_run": os.environ.get("PAWLINE_FLOW_RUN", ""),  # its name and id
    }
    return {key: value for key, value in tags.items() if value}
