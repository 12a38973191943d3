"""Copies of a workspace that share its local state, as `dvc exp run --temp` makes them, for equal trainings at once."""

import shutil
import sqlite3
from pathlib import Path


def experiment_copy(workspace: Path, name: str) -> Path:
    """A copy where DVC puts the workspace of a temporary experiment; its main checkout is `workspace`."""
    folder = workspace / ".dvc/tmp/exps" / name
    copied = shutil.copytree(
        workspace,
        folder,
        symlinks=True,
        ignore=shutil.ignore_patterns("tmp", ".pawline", "mlflow.db", "mlartifacts"),
    )
    return Path(copied)


def epochs_per_run(workspace: Path) -> dict[str, list[int]]:
    """The epochs of the validation loss in each MLflow run, as they were logged, repeated ones too."""
    with sqlite3.connect(workspace / "mlflow.db") as store:
        found: dict[str, list[int]] = {run: [] for (run,) in store.execute("select run_uuid from runs")}
        for run, step in store.execute("select run_uuid, step from metrics where key = 'val_loss' order by step"):
            found[run].append(step)
    return found


def states_of_runs(workspace: Path) -> dict[str, str]:
    with sqlite3.connect(workspace / "mlflow.db") as store:
        return dict(store.execute("select run_uuid, status from runs"))
