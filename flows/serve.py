"""Both deployments without a work pool or worker: `python -m flows.serve`, as long as it runs. Needs a server."""

from datetime import timedelta

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy

from flows.retrain import retrain_on_new_data
from flows.training import training


def main() -> None:
    one_at_a_time = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    serve(
        training.to_deployment("local", concurrency_limit=one_at_a_time),
        retrain_on_new_data.to_deployment("local", interval=timedelta(minutes=5), paused=True),
    )


if __name__ == "__main__":
    main()
