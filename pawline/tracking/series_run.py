"""One MLflow run for a series of trainings (folds, a learning curve): params, data set, figures and files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pawline.params.whole import Params, dotted
from pawline.parts import data_digest
from pawline.tracking.metrics import log_metrics
from pawline.tracking.missed import send_missed
from pawline.tracking.store import mirror, run_with_tag, use_store
from pawline.tracking.training_run import data_set_of, run_name, run_origin, shown_params

SERIES = "pawline.series"  # a tag: the key of a complete series


def log_series(
    name: str, key: str, params: Params, split: pd.DataFrame, figures: Mapping[str, Any], files: list[Path]
) -> bool:
    """Log a complete series, unless MLflow has it: the tag with its key comes last. Where the store does not answer one
    line says so, and the same command logs it later. Returns whether MLflow has it.

    name: "folds" or "learning-curve", also the prefix of the figures and the folder of the files."""

    def log() -> None:
        use_store()
        send_missed()
        if run_with_tag(SERIES, key):
            return
        data_set = data_set_of(params, split, data_digest(split))
        with mlflow.start_run(run_name=f"{name}: {run_name(params)}", tags=run_origin()) as run:
            mlflow.log_params(shown_params(params))
            mlflow.log_input(data_set, context=name)
            log_metrics(run.info.run_id, _numbers(name, figures))
            for step, accuracy in _steps(figures):
                log_metrics(run.info.run_id, {f"{name.replace('-', '_')}_accuracy_by_step": accuracy}, step=step)
            for file in files:
                mlflow.log_artifact(str(file), name)
            mlflow.set_tag(SERIES, key)

    return mirror(log)


def _numbers(name: str, figures: Mapping[str, Any]) -> dict[str, float]:
    numbers = {key: value for key, value in dotted(figures).items() if isinstance(value, int | float)}
    return {f"{name.replace('-', '_')}_{key}": float(value) for key, value in numbers.items()}


def _steps(figures: Mapping[str, Any]) -> list[tuple[int, float]]:
    """(number of the fold, its accuracy); for a learning curve (pictures in train, mean accuracy)."""
    folds = [(number, fold["accuracy"]) for number, fold in enumerate(figures.get("folds", []), start=1)]
    points = [(round(point["num_images"]), point["accuracy"]) for point in figures.get("points", [])]
    return folds + points
