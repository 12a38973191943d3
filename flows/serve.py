"""Both deployments without a work pool or worker: `python -m flows.serve`, as long as it runs. Needs a server."""

from datetime import timedelta
from typing import Any

from prefect import serve
from prefect.deployments.runner import EntrypointType

from flows.retrain import retrain_on_new_data
from flows.training import training


def main() -> None:
    # By module: where `prefect deploy` was before, Prefect would look for files at the path that it left empty.
    by_module = EntrypointType.MODULE_PATH
    deployments: list[Any] = [  # Prefect's types allow for coroutines, which are made where a loop runs
        training.to_deployment("local", entrypoint_type=by_module),
        retrain_on_new_data.to_deployment(
            "local", interval=timedelta(minutes=5), paused=True, entrypoint_type=by_module
        ),
    ]
    serve(*deployments)


if __name__ == "__main__":
    main()
