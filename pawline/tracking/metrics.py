"""Figures to MLflow under names that it takes, so that one it refuses takes no other along."""

import time
from collections.abc import Mapping

import mlflow
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from pawline.errors import root_cause
from pawline.terminal import say
from pawline.tracking.names import mlflow_name

MOST_AT_ONCE = 500  # MLflow takes 1,000 in one request
REFUSED = 400  # "bad request"


def log_metrics(run_id: str, metrics: Mapping[str, float | None], step: int = 0) -> None:
    """Log all figures but None. Raises MlflowException where the server does not answer."""
    now = int(time.time() * 1000)
    all_of_them = [
        Metric(mlflow_name(name), value, now, step) for name, value in metrics.items() if value is not None
    ]
    for start in range(0, len(all_of_them), MOST_AT_ONCE):
        _log(run_id, all_of_them[start : start + MOST_AT_ONCE])


def _log(run_id: str, metrics: list[Metric]) -> None:
    """What is refused is halved until the one figure is found that MLflow does not take."""
    try:
        mlflow.MlflowClient().log_batch(run_id, metrics)
    except MlflowException as error:
        if error.get_http_status_code() != REFUSED:  # type: ignore[no-untyped-call]
            raise
        if len(metrics) == 1:
            problem = f"{metrics[0].key}: {root_cause(error)}"
            say(f"warning: MLflow refuses the figure {problem}")
            return
        half = len(metrics) // 2
        _log(run_id, metrics[:half])
        _log(run_id, metrics[half:])
