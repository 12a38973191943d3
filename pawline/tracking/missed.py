"""What a tracking server missed: kept on disk below `.pawline/`, sent once by whoever next reaches a server.

A run goes to the server that missed it, into the run that it has there. When the model's test figures go to another
store, the whole run goes with them: the first server may never come back. A kill while it is sent repeats nothing:
epochs, model, data set and figures that are there stay.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from filelock import FileLock, Timeout
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Run

from pawline.addresses import public_address
from pawline.card import card_path, parse_card
from pawline.errors import PawlineError
from pawline.files import whole_folder, write_text
from pawline.runtime.export_card import export_card_path
from pawline.runtime.model import SUFFIX
from pawline.terminal import say
from pawline.tracking.logged_model import log_model, name_model
from pawline.tracking.metrics import log_metrics
from pawline.tracking.store import if_there, mirror, run_of, run_with_tag
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import LocalState

MISSED = "pawline.missed"  # a tag of a run that was made for what another server missed: the name of its folder
RECORD, MODEL, SPLIT, FILES = "record.json", "model", "split.parquet", "evaluate"


@dataclass(frozen=True)
class MissedRun:
    """A whole run. store: the digest of the address that missed it. figures: of the test part.
    digest, conditions: of its model. What later stages logged alone has neither run_id nor rows."""

    store: str
    run_id: str
    name: str
    tags: dict[str, str]
    params: dict[str, Any] = field(default_factory=dict)
    data_set: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    status: str = "FINISHED"
    digest: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float | None] = field(default_factory=dict)


def store_digest() -> str:
    """The digest of the address of the store in use, without its password, which may change."""
    return hashlib.sha256(public_address(mlflow.get_tracking_uri()).encode()).hexdigest()


def num_epochs(run: Run) -> int:
    """The epochs that a store has of a run."""
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val_loss")
    return max((metric.step for metric in history), default=0)


def keep_run(missed: MissedRun, split: pd.DataFrame) -> None:
    """Keep a run that ended while its server did not answer."""

    def fill(folder: Path) -> MissedRun:
        split.to_parquet(folder / SPLIT)
        return missed

    _keep(f"run-{missed.run_id}", fill)


def keep_export(digest: str, exported: Path, tags: dict[str, str]) -> None:
    """Keep an exported model, with the run of its training where that is kept too. digest: of the model."""

    def add(folder: Path, missed: MissedRun) -> MissedRun:
        for file in (exported, export_card_path(exported), card_path(exported)):
            shutil.copyfile(file, folder / MODEL / file.name)
        return missed

    _keep_with_run(digest, tags, MODEL, add)


def keep_evaluation(
    digest: str, figures: dict[str, float | None], files: list[Path], tags: dict[str, str]
) -> None:
    """Keep test figures, with the run of their model where that is kept too."""

    def add(folder: Path, missed: MissedRun) -> MissedRun:
        for file in files:
            shutil.copy(file, folder / FILES)
        return replace(missed, figures=figures)

    _keep_with_run(digest, tags, FILES, add)


def _keep_with_run(
    digest: str, tags: dict[str, str], part: str, add: Callable[[Path, MissedRun], MissedRun]
) -> None:
    """Keep what a later stage logs of a model, together with all that is kept of it. part: the folder for it."""
    of_model = [place for place, missed in _kept() if missed.digest == digest]
    kept = next((place for place in of_model if _read(place).run_id), of_model[0] if of_model else None)

    def fill(folder: Path) -> MissedRun:
        if kept:
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        (folder / part).mkdir(exist_ok=True)
        return add(folder, _read(kept) if kept else MissedRun(store_digest(), "", "", tags, digest=digest))

    _keep(kept.name if kept else f"model-{digest}", fill)


def send_missed(digest: str = "") -> None:
    """Send what the store in use has missed, and the run of the model with this digest wherever it was missed."""
    if mlflow.active_run() or not any(True for _ in _kept()):
        return
    try:
        with FileLock(_folder() / ".lock", timeout=0):
            for place, missed in list(_kept()):
                if missed.store == store_digest() or (digest and missed.digest == digest):
                    _send_and_forget(place, missed)
    except Timeout:  # somebody else sends it
        return


def _send_and_forget(place: Path, missed: MissedRun) -> None:
    if mirror(lambda: _send(place, missed)):
        shutil.rmtree(place)
        say(f"sent to MLflow what it had missed: {missed.name or missed.digest[:12]}")


def _send(place: Path, missed: MissedRun) -> None:
    run = _run_for(place, missed)
    status = missed.status if missed.run_id or not run else run.info.status
    name, tags = (None, None) if run else (missed.name or None, {**missed.tags, MISSED: place.name})
    mlflow.start_run(run.info.run_id if run else None, run_name=name, tags=tags)
    try:
        _send_contents(place, missed, run)
    finally:
        mlflow.end_run(status)


def _send_contents(place: Path, missed: MissedRun, run: Run | None) -> None:
    active = mlflow.active_run()
    assert active is not None
    run_id = active.info.run_id
    if missed.params and not (run and run.data.params):
        mlflow.log_params(missed.params)
    if missed.data_set and not (run and run.inputs and run.inputs.dataset_inputs):
        table = pd.read_parquet(place / SPLIT)
        mlflow.log_input(from_pandas(table, source="data/split.parquet", **missed.data_set), context="training")
    num_there = num_epochs(run) if run else 0
    for row in missed.rows:
        if row["epoch"] > num_there:
            figures = {name: value for name, value in row.items() if name != "epoch"}
            log_metrics(run_id, figures, step=int(row["epoch"]))
    if missed.digest:
        name_model(missed.digest, missed.conditions)
    if (exported := place / MODEL / f"model{SUFFIX}").exists():
        log_model(exported, parse_card(card_path(exported)))
    if (place / FILES).exists():
        mlflow.log_artifacts(str(place / FILES), FILES)
    there = run.data.metrics if run else {}
    log_metrics(run_id, {name: value for name, value in missed.figures.items() if there.get(name) != value})


def _run_for(place: Path, missed: MissedRun) -> Run | None:
    """The run that this store has of it: its own, one that a killed sending began, or that of its model."""
    run = None
    if missed.run_id and missed.store == store_digest():
        run = if_there(lambda: mlflow.get_run(missed.run_id))
    return run or run_with_tag(MISSED, place.name) or (run_of(missed.digest) if missed.digest else None)


def _folder() -> Path:
    return LocalState(main_checkout()).missed


def _kept() -> Iterator[tuple[Path, MissedRun]]:
    for record in sorted(_folder().glob(f"*/{RECORD}")):
        if record.parent.suffix == ".partial":  # left by a kill
            continue
        try:
            yield record.parent, _read(record.parent)
        except (OSError, ValueError, TypeError) as error:
            say(f"warning: {record}: cannot be read, so not sent to MLflow: {error}")


def _read(place: Path) -> MissedRun:
    return MissedRun(**json.loads((place / RECORD).read_text(encoding="utf-8")))


def _keep(name: str, fill: Callable[[Path], MissedRun]) -> None:
    place = _folder() / name
    try:
        with whole_folder(place) as folder:
            write_text(folder / RECORD, json.dumps(asdict(fill(folder)), default=float))  # NaN and all letters too
    except (OSError, ValueError, TypeError, PawlineError) as error:  # a training is worth more than its mirror
        say(f"warning: {place}: not kept for MLflow: {error}")
        return
    say("what MLflow missed is kept; the next stage that reaches it sends it")
