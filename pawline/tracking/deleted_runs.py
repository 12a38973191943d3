"""The artifacts of MLflow runs that somebody deleted: MLflow keeps them for ever."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import ViewType

from pawline.tracking.store import EXPERIMENT, local_path
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import LocalState, local_store


def artifacts_of_deleted_runs() -> list[Path]:
    """The folders, in this checkout's own store only. A run stays whole whose model is registered: an alias such as
    champion may name it, and `models:/` addresses load it."""
    at = LocalState(main_checkout())
    if not at.store.exists():
        return []
    client = MlflowClient(local_store())
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return []
    ids = [experiment.experiment_id]
    deleted = {run.info.run_id: run for run in client.search_runs(ids, run_view_type=ViewType.DELETED_ONLY)}
    models = [model for model in client.search_logged_models(ids) if model.source_run_id in deleted]
    registered = " ".join(f"{one.run_id} {one.source} {one.model_id}" for one in client.search_model_versions())
    kept = {model.source_run_id for model in models if model.model_id in registered}
    kept |= {run_id for run_id in deleted if run_id in registered}
    places = [(run_id, run.info.artifact_uri) for run_id, run in deleted.items()]
    places += [(str(model.source_run_id), model.artifact_location) for model in models]
    folders = [local_path(str(uri)) for run_id, uri in places if run_id not in kept]
    return sorted({folder for folder in folders if folder.is_dir() and folder.is_relative_to(at.artifacts)})
