"""What `pawline compare` reads of an MLflow run: its params, its split and its predictions of the test part."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pawline.card import read_card
from pawline.compare import JudgedModel
from pawline.errors import DatasetError, ParamsError, PawlineError
from pawline.judging.predictions import classes_of, read_predictions
from pawline.params.whole import load_params
from pawline.parts import data_digest, digests_learned
from pawline.terminal import listed
from pawline.tracking.logged_model import conditions_of_card
from pawline.tracking.missed import send_missed
from pawline.tracking.store import (
    MODEL_DIGEST,
    busy_unless_it_answers,
    experiment_id,
    if_there,
    mirror,
    run_of,
    use_store,
)
from pawline.tracking.training_run import DECIDED, DVC_EXPERIMENT, shown_params
from pawline.workspace.checkout import is_checkout, main_checkout
from pawline.workspace.layout import Layout, LocalState, local_store, store_address

WORKSPACE_NAME = "workspace"  # the outputs as they are in this checkout
EVALUATED = "evaluate"  # the folder of an MLflow run in which `evaluate` puts its files
RUN_ID, MIN_PREFIX = re.compile(r"[0-9a-f]{32}"), 4
NUM_LISTED = 5
# Params of a run that are no settings: the machine, and counts of corrected labels, which are counted in the splits.
NOT_COMPARED = ("conditions.", f"{DECIDED}.")


@dataclass(frozen=True)
class ComparedRun:
    """A run's part in a comparison, and the id of its MLflow run; "" where there is none."""

    judged: JudgedModel
    run_id: str


def find_compared(named: str) -> ComparedRun:
    """Find a run by its id, the beginning of its id, its name, the name of the DVC experiment that made it, a
    `models:/` or `runs:/` address, or "workspace".

    Raises ParamsError where no run, or more than one, is meant, DatasetError where it lacks what a comparison needs."""
    if named == WORKSPACE_NAME:
        return _workspace()
    with busy_unless_it_answers():
        run = _find(named)
        name = f"{_names(run)} ({run.info.run_id[:8]})"
        predictions, split = _downloaded(run, Layout().predictions.name), _downloaded(run, Layout().split.name)
    if predictions is None:
        raise DatasetError(
            f"the run {name} has no predictions of test pictures: its training did not reach the stage evaluate, or "
            "it is no training; compare runs that have the figure test_accuracy"
        )
    if split is None:
        split = _split_of_old_run(run, name)
    model = {
        "model_digest": run.data.tags.get(MODEL_DIGEST, ""),
        "temperature": run.data.metrics.get("test_temperature"),
    }
    return ComparedRun(_judged(name, predictions, split, _compared(run.data.params), **model), run.info.run_id)


def log_comparison(run_id: str, file: Path, folder: str) -> None:
    """Put a page into an MLflow run; where the store cannot be written, say so in one line."""
    mirror(lambda: mlflow.MlflowClient().log_artifact(run_id, str(file), folder))


def _find(named: str) -> Run:
    if store_address() == local_store() and not LocalState(main_checkout()).store.exists():
        raise ParamsError(f"no MLflow run yet, so none is called {named}; train first: `dvc repro`")
    use_store()
    send_missed()
    client = mlflow.MlflowClient()
    if named.startswith("models:/"):
        return client.get_run(_run_of_model(named))
    named = named.removeprefix("runs:/").partition("/")[0] if named.startswith("runs:/") else named
    if RUN_ID.fullmatch(named):
        if run := if_there(lambda: client.get_run(named)):
            return run
        raise _unknown(named, _all_runs())
    runs = _all_runs()
    found = [run for run in runs if named in (run.info.run_name, run.data.tags.get(DVC_EXPERIMENT))]
    if not found and len(named) >= MIN_PREFIX:
        found = [run for run in runs if run.info.run_id.startswith(named.lower())]
    if not found:
        raise _unknown(named, runs)
    if len(found) > 1:
        raise ParamsError(f"{len(found)} runs are meant by '{named}': {_listed(found)}; give the id of one")
    return found[0]


def _run_of_model(address: str) -> str:
    """The run that made a model of MLflow: of a version, an alias or a logged model."""
    try:
        run_id = mlflow.models.get_model_info(address).run_id
    except MlflowException as error:
        said = str(error).splitlines()[0]
        raise ParamsError(f"{address}: MLflow knows no such model ({said}); give a run's id or name") from None
    if not run_id:
        raise ParamsError(f"{address}: no run made this model; give a run's id or name")
    return str(run_id)


def _all_runs() -> list[Run]:
    """The runs of the experiment, the newest first."""
    runs: list[Run] = mlflow.search_runs([experiment_id()], output_format="list")
    return runs


def _unknown(named: str, runs: list[Run]) -> ParamsError:
    there = f"the newest are {_listed(runs)}" if runs else "there is none yet"
    return ParamsError(f"no MLflow run has the id, the name or the DVC experiment '{named}'; {there}")


def _listed(runs: list[Run]) -> str:
    return listed([f"{run.info.run_id[:8]} ({_names(run)})" for run in runs], NUM_LISTED)


def _names(run: Run) -> str:
    """The name of a run, and of the DVC experiment that made it."""
    experiment = run.data.tags.get(DVC_EXPERIMENT)
    return f"{run.info.run_name}, {experiment}" if experiment else str(run.info.run_name)


def _downloaded(run: Run, file: str) -> pd.DataFrame | None:
    """A table that `evaluate` put into the run; None where it is not there."""
    client = mlflow.MlflowClient()
    if f"{EVALUATED}/{file}" not in {entry.path for entry in client.list_artifacts(run.info.run_id, EVALUATED)}:
        return None
    with TemporaryDirectory() as folder:
        return _read(Path(client.download_artifacts(run.info.run_id, f"{EVALUATED}/{file}", folder)))


def _read(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file) if file.suffix == ".parquet" else read_predictions(file)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{file.name}: cannot be read: {str(error).splitlines()[0]}; evaluate again") from None


def _split_of_old_run(run: Run, name: str) -> pd.DataFrame:
    """Runs of older versions carry no split: the present one serves where it is the same."""
    at = Layout()
    present = pd.read_parquet(at.split) if at.split.exists() else None
    if present is not None:
        digest = data_digest(present)
        inputs = run.inputs.dataset_inputs if run.inputs else []
        if any(digest.startswith(one.dataset.digest) for one in inputs):
            return present
        trained_here = at.model.exists() and run.data.tags.get(MODEL_DIGEST) == read_card(at.model).digest
        if trained_here and read_card(at.model).training_data_digest == digest:
            return present
    raise DatasetError(
        f"the run {name} carries no table of its split (an older version of Pawline made it), and the present split "
        "is another one, so its pictures cannot be found by content; train and evaluate it again"
    )


def _workspace() -> ComparedRun:
    at = Layout()
    for file in (at.predictions, at.split, at.model):
        if not file.exists():
            make = "make the present outputs first: `dvc repro`"
            raise DatasetError(f"{file}: not there; {make if is_checkout() else '`cd` into a checkout'}")
    split, card = pd.read_parquet(at.split), read_card(at.model)
    if card.training_data_digest != data_digest(split):
        raise DatasetError(
            f"{at.model}: trained on another split than {at.split}; bring both up to date: `dvc repro`"
        )
    params = _compared(shown_params(load_params(at.params)) | conditions_of_card(card))
    return ComparedRun(
        _judged(
            WORKSPACE_NAME,
            _read(at.predictions),
            split,
            params,
            model_digest=card.digest,
            temperature=card.temperature,
        ),
        _run_id_of_model(card.digest),
    )


def _compared(params: Mapping[str, object]) -> dict[str, str]:
    """The settings among all params of a run, as MLflow writes them."""
    return {key: str(value) for key, value in params.items() if not key.startswith(NOT_COMPARED)}


def _run_id_of_model(digest: str) -> str:
    try:
        use_store()
        run = run_of(digest)
    except PawlineError:  # the comparison will say that it was not logged
        return ""
    return run.info.run_id if run else ""


def _judged(
    name: str, predictions: pd.DataFrame, split: pd.DataFrame, params: dict[str, str], **model: Any
) -> JudgedModel:
    """The model as a comparison needs it. model: model_digest and temperature."""
    if "digest" not in predictions:
        of_path = split.set_index("path")["digest"]
        unknown = ~predictions["path"].isin(of_path.index)
        if unknown.any():
            raise DatasetError(
                f"the run {name}: {int(unknown.sum())} of its predictions name pictures that its split does not know, "
                f"such as '{predictions.loc[unknown, 'path'].iloc[0]}'; evaluate it again"
            )
        predictions = predictions.assign(digest=of_path.loc[predictions["path"]].to_numpy())
    if "group" not in predictions:
        of_digest = split.drop_duplicates("digest").set_index("digest")["group"]
        predictions = predictions.assign(group=of_digest.reindex(predictions["digest"]).to_numpy())
        predictions["group"] = predictions["group"].fillna(predictions["digest"])
    if predictions.empty:
        raise DatasetError(f"the run {name} has an empty test part; raise split.test_fraction")
    return JudgedModel(
        name=name,
        predictions=predictions,
        learned_from=digests_learned(split),
        num_images={str(part): int(count) for part, count in split["split"].value_counts().items()},
        params=params,
        data_digest=data_digest(split),
        labels=_labels(split, classes_of(predictions)),
        **model,
    )


def _labels(split: pd.DataFrame, class_names: list[str]) -> pd.DataFrame:
    """The class of each content in use: digest, label (a class name) and split."""
    once = split.drop_duplicates("digest")[["digest", "label", "split"]].reset_index(drop=True)
    names = dict(enumerate(class_names))
    return once.assign(label=[names.get(label, "") for label in once["label"]])
