"""MLflow's store: found or made, and asked for runs and models.

Files are the truth. A tracking server that stops answering half-way costs a warning, not the training.
"""

import logging
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import mlflow
from filelock import FileLock
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pawline.addresses import public_address, without_secrets
from pawline.errors import ModelError, PawlineError, root_cause
from pawline.terminal import say
from pawline.tracking.answers import check_address, explain
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import LocalState, local_store, store_address

logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would announce each of its attempts

EXPERIMENT = "pawline"
MODEL_DIGEST = "pawline.model_digest"
EXPORT_DIGEST = "pawline.export_digest"  # of the file that the logged model asks

Answer = TypeVar("Answer")


def use_store() -> None:
    """Point MLflow at the user's MLFLOW_TRACKING_URI, else at one SQLite file that every worktree and DVC
    experiment of this checkout shares."""
    at = LocalState(main_checkout())
    if address := os.environ.get("MLFLOW_TRACKING_URI"):
        check_address(address)
    mlflow.set_tracking_uri(store_address())
    local = mlflow.get_tracking_uri() == local_store()
    # Several processes that create the tables of a fresh SQLite file at once break each other.
    with busy_unless_it_answers(), FileLock(at.store_lock, timeout=120):
        if local and not at.store.exists():
            _create_store(at)
        _set_experiment(None if mlflow.get_tracking_uri().startswith("http") else at)


def find_run(digest: str) -> Run | None:
    """The newest MLflow run whose training made the model with this digest."""
    from pawline.tracking.missed import send_missed  # it needs this module

    use_store()
    send_missed()
    return run_of(digest)


def run_of(digest: str) -> Run | None:
    """The same of the store in use."""
    return run_with_tag(MODEL_DIGEST, digest)


def run_with_tag(tag: str, value: str) -> Run | None:
    """The newest run with this value of a tag."""
    runs = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{tag}` = '{value}'",
        max_results=1,
        output_format="list",
    )
    return runs[0] if runs else None


def if_there(ask: Callable[[], Answer]) -> Answer | None:
    """What MLflow answers; None where it has no such run or model."""
    try:
        return ask()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def experiment_id() -> str:
    """The experiment of the store in use, which `use_store` has found or made."""
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise MlflowException(f"the experiment {EXPERIMENT} is gone")
    return str(experiment.experiment_id)


def run_link(digest: str) -> str | None:
    """The place of the MLflow run of the model with this digest: an address, or the store and the run's id."""
    run = find_run(digest)
    return run_address(run) if run else None


def run_address(run: Run) -> str:
    """The place of a run in the store in use, to be shown."""
    store = public_address(mlflow.get_tracking_uri())
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
            store, cause = public_address(mlflow.get_tracking_uri()), without_secrets(root_cause(error))
            raise ModelError(
                f"{without_secrets(uri)}: cannot be downloaded from MLflow at {store}: {cause}"
            ) from None
        file = Path(logged, "artifacts", "model.onnx")
        if not file.exists():
            store = public_address(mlflow.get_tracking_uri())
            raise ModelError(f"{without_secrets(uri)}: MLflow at {store} has no artifacts/{file.name} of it")
        yield file


def model_behind(uri: str) -> str:
    """The address that always means the version which `models:/NAME@ALIAS` or `models:/NAME/latest` means now; another
    address itself. Raises ModelError where there is none, BusyError where MLflow does not answer."""
    use_store()
    named = re.fullmatch(r"models:/+([^/@]+)(?:@([^/@]+)|/latest)", uri)
    if not named:
        return uri
    name, alias = named.groups()
    client = mlflow.MlflowClient()
    try:
        if alias:
            return f"models:/{name}/{client.get_model_version_by_alias(name, alias).version}"
        newest = max((int(one.version) for one in client.search_model_versions(f"name = '{name}'")), default=0)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise explain(error) from None
        newest = 0
    except Exception as error:  # MLflow lets through whatever its HTTP and SQL libraries raise
        raise explain(error) from None
    if not newest:
        store = public_address(mlflow.get_tracking_uri())
        raise ModelError(
            f"{without_secrets(uri)}: MLflow at {store} has no such model; `pawline register` makes one"
        )
    return f"models:/{name}/{newest}"


@contextmanager
def busy_unless_it_answers() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow lets through whatever its HTTP and SQL libraries raise
        raise explain(error) from None


def _create_store(at: LocalState) -> None:
    """MLflow creates its tables in many migrations; a store killed half-way can never be opened again. So they are
    made elsewhere, in a folder, since SQLite keeps a journal beside the file."""
    partial = at.partial_store
    shutil.rmtree(partial, ignore_errors=True)  # left by a kill
    partial.mkdir(parents=True)
    mlflow.MlflowClient(f"sqlite:///{partial / at.store.name}").search_experiments()
    shutil.rmtree(at.registered, ignore_errors=True)  # answers about models of another store
    (partial / at.store.name).rename(at.store)
    partial.rmdir()


def _set_experiment(local: LocalState | None) -> None:
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        # A server decides where artifacts lie. For a database it would be the folder of this process, which may be
        # a workspace that is removed.
        mlflow.create_experiment(EXPERIMENT, artifact_location=local.artifacts.as_uri() if local else None)
    mlflow.set_experiment(EXPERIMENT)


def warn_of_old_place() -> None:
    """Say where the local store still puts artifacts, if its checkout has been moved or copied since: MLflow notes an
    experiment's place once, absolute."""
    at, experiment = LocalState(main_checkout()), mlflow.get_experiment_by_name(EXPERIMENT)
    if mlflow.get_tracking_uri() != local_store() or experiment is None:
        return
    old = local_path(str(experiment.artifact_location))
    if old.resolve() == at.artifacts.resolve():
        return
    mend = "move mlflow.db and mlartifacts/ away to begin a new store here"
    if not old.parent.exists():
        mend = f"link it to this checkout (ln -s {quote(str(at.artifacts.parent))} {quote(str(old.parent))}), or {mend}"
    say(f"warning: MLflow logs models to {old}, the place before a move or copy; {mend}")


def local_path(address: str) -> Path:
    """The folder of a file:// address."""
    return Path(unquote(urlsplit(address).path))


def mirror(log: Callable[[], object]) -> bool:
    """Do it, or warn; returns whether it was done."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hints on integer columns and input examples
            log()
    except Exception as error:  # of whatever kind: a training is worth more than its mirror
        reason = str(error) if isinstance(error, PawlineError) else root_cause(error)
        say(f"warning: not logged to MLflow: {reason}")
        return False
    return True
