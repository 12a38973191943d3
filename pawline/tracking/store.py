"""MLflow's store: found or made, and asked for runs and models.

Files are the truth. A tracking server that stops answering half-way costs a warning, not the training.
"""

import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from filelock import FileLock
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pawline.errors import BusyError, ModelError, root_cause
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import LocalState, local_store, store_address

logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would announce each of its attempts

EXPERIMENT = "pawline"
MODEL_DIGEST = "pawline.model_digest"


def use_store() -> None:
    """Point MLflow at the user's MLFLOW_TRACKING_URI, else at one SQLite file that every worktree and DVC
    experiment of this checkout shares."""
    at = LocalState(main_checkout())
    mlflow.set_tracking_uri(store_address())
    local = mlflow.get_tracking_uri() == local_store()
    # Several processes that create the tables of a fresh SQLite file at once break each other.
    with busy_unless_it_answers(), FileLock(at.store_lock, timeout=120):
        if local and not at.store.exists():
            _create_store(at)
        _set_experiment(None if mlflow.get_tracking_uri().startswith("http") else at)


def find_run(digest: str) -> Run | None:
    """The newest MLflow run whose training made the model with this digest."""
    use_store()
    return run_of(digest)


def run_of(digest: str) -> Run | None:
    """The same of the store in use."""
    runs = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{MODEL_DIGEST}` = '{digest}'",
        max_results=1,
        output_format="list",
    )
    return runs[0] if runs else None


def run_link(digest: str) -> str | None:
    """The place of the MLflow run of the model with this digest: an address, or the store and the run's id."""
    if not (run := find_run(digest)):
        return None
    store = mlflow.get_tracking_uri()
    if store.startswith("http"):
        return f"{store}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    return f"{run.info.run_name} ({run.info.run_id}) in {store}"


@contextmanager
def downloaded_model(uri: str) -> Iterator[Path]:
    """The file of a model in MLflow, with its card beside it, for the length of the block."""
    use_store()
    with TemporaryDirectory() as folder:
        try:
            logged = mlflow.artifacts.download_artifacts(uri, dst_path=folder)
        except Exception as error:  # MLflow lets through whatever its HTTP and SQL libraries raise
            store = mlflow.get_tracking_uri()
            raise ModelError(f"{uri}: cannot be downloaded from MLflow at {store}: {root_cause(error)}") from None
        yield Path(logged, "artifacts", "model.keras")


@contextmanager
def busy_unless_it_answers() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow lets through whatever its HTTP and SQL libraries raise
        store = mlflow.get_tracking_uri()
        mend = "start it, or unset MLFLOW_TRACKING_URI to use the local store"
        if store == local_store():
            mend = "move that file away to begin a new one"
        raise BusyError(f"MLflow at {store} does not answer: {root_cause(error)}; {mend}") from None


def _create_store(at: LocalState) -> None:
    """MLflow creates its tables in many migrations; a store killed half-way can never be opened again. So they are
    made elsewhere, in a folder, since SQLite keeps a journal beside the file."""
    partial = at.partial_store
    shutil.rmtree(partial, ignore_errors=True)  # left by a kill
    partial.mkdir(parents=True)
    mlflow.MlflowClient(f"sqlite:///{partial / at.store.name}").search_experiments()
    (partial / at.store.name).rename(at.store)
    partial.rmdir()


def _set_experiment(local: LocalState | None) -> None:
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        # A server decides where artifacts lie. For a database it would be the folder of this process, which may be
        # a workspace that is removed.
        mlflow.create_experiment(EXPERIMENT, artifact_location=local.artifacts.as_uri() if local else None)
    mlflow.set_experiment(EXPERIMENT)


def mirror(log: Callable[[], object]) -> bool:
    """Do it, or warn; returns whether it was done."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hints on integer columns and input examples
            log()
    except (MlflowException, BusyError, OSError) as error:
        print(f"pawline: warning: not logged to MLflow: {root_cause(error)}", file=sys.stderr)
        return False
    return True
