"""The pipeline as a Prefect flow: what `dvc repro` does, with the stages as tasks.

DVC alone decides what is up to date. A task asks it, and ends as *Cached* or as *Completed*.
"""

import signal
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed, State

from flows.repro import Pipeline
from pawline.errors import BusyError, PawlineError
from tasks.stage import end_with

STAGES = ["ingest", "prepare", "split", "train", "evaluate", "report"]


@flow(name="training", persist_result=False)
def training() -> State[list[State]]:
    """Bring every stage up to date, one after the other; a failed one blocks the rest."""
    pipeline = Pipeline()
    states: list[State] = []
    for name in STAGES:
        named = stage.with_options(name=name, task_run_name=name)
        states.append(named(pipeline, name, wait_for=states[-1:], return_state=True))
    failed = [state for state in states if state.is_failed()]
    if failed:
        return Failed(message=failed[0].message, data=states)
    num_cached = sum(state.name == "Cached" for state in states)
    return Completed(message=f"{num_cached} of {len(states)} stages were cached", data=states)


@task(cache_policy=NO_CACHE, persist_result=False)
def stage(pipeline: Pipeline, name: str) -> State[None]:
    log = get_run_logger()
    try:
        if name not in pipeline.changed():
            return Completed(name="Cached", message="unchanged since the last run")
        if pipeline.repro(name, log.info):
            return Completed(message="ran")
        return Completed(name="Cached", message="restored from DVC's cache")
    except PawlineError as error:  # returned, so that Prefect logs no traceback
        return Failed(message=str(error), data=error)


def start_temporary_server() -> None:
    """What Prefect does by itself where no server is named, but out of reach of Ctrl-C: it would end before the
    flow does, which then waits for it in vain. The server inherits the mask."""
    from prefect.server.api.server import SubprocessASGIServer  # seconds that a run with a server need not pay

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def main() -> None:
    try:
        if not PREFECT_API_URL.value():
            start_temporary_server()
        ended = training(return_state=True)
    except RuntimeError as error:  # from Prefect itself: what the flow raises becomes its state
        raise BusyError(f"{error}; start the Prefect server, or unset PREFECT_API_URL to do without") from None
    states: Any = ended.result(raise_on_failure=False)
    for name, state in zip(STAGES, states, strict=True):
        message = state.message if state.is_final() else "not run: a stage before it failed"
        print(f"{name:<10}{state.name:<11}{message}")
    ended.result()  # raises what the failed stage did


if __name__ == "__main__":
    end_with(main)
