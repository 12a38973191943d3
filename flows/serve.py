"""All deployments without a work pool or worker: `python -m flows.serve`, as long as it runs. Needs a server."""

from datetime import timedelta
from typing import Any

import httpx
from prefect import serve
from prefect.deployments.runner import EntrypointType
from prefect.settings import PREFECT_API_URL

from flows.drift import drift
from flows.folds import folds
from flows.predict import predict
from flows.retrain import retrain_on_new_data
from flows.training import training
from pawline.errors import BusyError
from pawline.process import end_with

# What these flows look at unless a trigger names another place: as in prefect.yaml.
NEW, LOOKED_AT = {"source": "new_pictures"}, {"folder": "new_pictures"}


def main() -> None:
    # By module: where `prefect deploy` was before, Prefect would look for files at the path that it left empty.
    by_module = EntrypointType.MODULE_PATH
    deployments: list[Any] = [  # Prefect's types allow for coroutines, which are made where a loop runs
        training.to_deployment("local", entrypoint_type=by_module),
        folds.to_deployment("local", entrypoint_type=by_module),
        retrain_on_new_data.to_deployment(
            "local", interval=timedelta(minutes=5), paused=True, entrypoint_type=by_module
        ),
        predict.to_deployment("batch", parameters=NEW, entrypoint_type=by_module),
        drift.to_deployment(
            "local",
            parameters=LOOKED_AT,
            interval=timedelta(days=1),
            paused=True,
            entrypoint_type=by_module,
        ),
    ]
    try:
        serve(*deployments)
    except httpx.ConnectError as error:
        server = PREFECT_API_URL.value()
        raise BusyError(f"Prefect server {server}: {error}; start one: prefect server start") from None


if __name__ == "__main__":
    end_with(main)
