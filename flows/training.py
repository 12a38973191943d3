"""The pipeline as a Prefect flow: what `dvc repro` does, with the stages as tasks.

DVC alone decides what is up to date. A task asks it, and ends as *Cached* or as *Completed*. With other params the
flow runs in a workspace of its own and leaves a DVC experiment (pawline/workspace/isolated.py).
"""

import argparse
import inspect
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout
from prefect import flow, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_URL, PREFECT_HOME
from prefect.states import Completed, Failed, State
from pydantic import BaseModel

from flows.dead_runs import recorded
from flows.summary import Outcome, publish
from pawline.addresses import is_address
from pawline.errors import BusyError, PawlineError
from pawline.params import overrides
from pawline.params.whole import load_params
from pawline.process import end_with
from pawline.workspace.checkout import WORKSPACE
from pawline.workspace.dag import Stage, dag_of
from pawline.workspace.isolated import isolated
from pawline.workspace.layout import Layout
from pawline.workspace.registering import register as register_model
from pawline.workspace.repro import BUSY_SECONDS, Pipeline
from pawline.workspace.runner_watch import end_with_worker
from pawline.workspace.source_check import check_source, notes

# Only what others' servers may cause is tried again by itself: a source behind an address that does not answer.
RETRIES, RETRY_SECONDS = 2, 30
EXPORT = "export"  # makes what is registered
REGISTER = "register"  # the last task: no stage, for DVC cannot hash a registry


def _with_sections(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a flow one typed parameter per section of params.yaml: Prefect makes its form of the signature."""
    signature = inspect.signature(function)
    named = [parameter for parameter in signature.parameters.values() if parameter.kind != Parameter.VAR_KEYWORD]
    parameters = [*overrides.section_parameters(), *named]
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return function


@flow(name="training", persist_result=False)
@_with_sections
def training(*, stage_minutes: float | None = None, **sections: BaseModel | None) -> State[list[State]]:
    """Bring every stage up to date.

    Each section takes some of its keys in params.yaml, such as train = {"epochs": 5}: the flow then runs in a
    workspace of its own and leaves a DVC experiment, and the checkout stays as it is. A stage that takes longer
    than stage_minutes is ended.
    """
    changes = overrides.to_tree(sections)
    run_name = str(runtime.flow_run.name)
    origin = {"PAWLINE_RUN": f"flow run {run_name}", "PAWLINE_FLOW_RUN": f"{run_name} {runtime.flow_run.id}"}
    end_with_worker()
    try:
        with recorded(str(runtime.flow_run.id)):
            if not changes:
                with _turn():
                    return run_stages(Pipeline(environment=origin), stage_minutes)
            with isolated(changes, run_name) as workspace:
                if workspace.modules:
                    get_run_logger().info(
                        "came along, though git does not track: %s", ", ".join(workspace.modules)
                    )
                ended = run_stages(Pipeline(workspace.path, origin), stage_minutes)
                if ended.is_completed():
                    workspace.save()
                    get_run_logger().info("saved as a DVC experiment: dvc exp apply %s", workspace.name)
                return ended
    except PawlineError as error:  # returned, so that Prefect logs no traceback
        return Failed(message=str(error), data=error)


@contextmanager
def _turn() -> Iterator[None]:
    """One flow run at a time works in the checkout: a triggered one waits, one at a terminal is refused soon.

    Not by Prefect's own limit, which a killed run goes on filling: the system takes this lock off it.
    """
    lock = FileLock(WORKSPACE / ".dvc/tmp/flow.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        get_run_logger().info("another flow run is at work in this checkout: waiting for its end")
        _wait_for(lock, BUSY_SECONDS if runtime.deployment.id is None else -1)
    try:
        yield
    finally:
        lock.release()


def _wait_for(lock: BaseFileLock, seconds: float) -> None:
    try:
        lock.acquire(timeout=seconds)  # below 0: for ever
    except Timeout:
        raise BusyError("busy, try again: another flow run is at work in this checkout") from None


def run_stages(pipeline: Pipeline, minutes: float | None) -> State[list[State]]:
    """One after the other; a failed one blocks the rest. Raises what DVC would stop at, before anything runs."""
    check_source(pipeline.workspace)
    for note in notes(pipeline.workspace):
        get_run_logger().info("%s", note)
    outcomes: list[Outcome] = []
    states: list[State] = []
    stages = stages_of(pipeline.workspace)
    for name, reads in stages.items():
        named = stage.with_options(name=name, task_run_name=name)
        if any(is_address(dep) for dep in reads.deps):
            named = named.with_options(retries=RETRIES, retry_delay_seconds=RETRY_SECONDS)
        start = time.monotonic()
        states.append(named(pipeline, name, minutes, wait_for=states[-1:], return_state=True))
        outcomes.append(Outcome(name, states[-1], time.monotonic() - start))
    num_cached = sum(state.name == "Cached" for state in states)
    if EXPORT in stages:  # else there is no model to register
        start = time.monotonic()
        states.append(register(pipeline, wait_for=states[-1:], return_state=True))
        outcomes.append(Outcome(REGISTER, states[-1], time.monotonic() - start))
    publish(pipeline.workspace, outcomes)
    if failed := [state for state in states if state.is_failed()]:
        return Failed(message=failed[0].message, data=states)
    return Completed(message=f"{num_cached} of {len(stages)} stages were cached", data=states)


def stages_of(workspace: Path) -> dict[str, Stage]:
    """The stages of a workspace in the order in which they run."""
    load_params(workspace / Layout().params)  # its own errors first
    return dag_of(workspace)


@task(cache_policy=NO_CACHE, persist_result=False)
def stage(pipeline: Pipeline, name: str, minutes: float | None) -> State[None]:
    log = get_run_logger()
    try:
        if name not in pipeline.status():
            return Completed(name="Cached", message="unchanged since the last run")
        if note := pipeline.without_source(name):
            return Completed(name="Cached", message=note)
        if pipeline.repro(name, log.info, minutes):
            return Completed(message="ran")
        return Completed(name="Cached", message="restored from DVC's cache")
    except PawlineError as error:
        if error.exit_code == BusyError.exit_code and runtime.task_run.run_count <= _retries():
            raise  # Prefect tries again
        return Failed(message=str(error), data=error)


@task(name=REGISTER, task_run_name=REGISTER, cache_policy=NO_CACHE, persist_result=False)
def register(pipeline: Pipeline) -> State[None]:
    """Register the model, and let it be the champion where the gate says so. A verdict is no failure."""
    try:
        answer = register_model(pipeline.workspace, pipeline.environment)
    except BusyError as error:  # what was trained is safe; the next run registers it
        return Completed(name="Waiting", message=str(error))
    except PawlineError as error:
        return Failed(message=str(error), data=error)
    return Completed(name="Cached" if answer.is_known else answer.state, message=str(answer))


def _retries() -> int:
    from prefect.context import TaskRunContext

    context = TaskRunContext.get()
    return int(context.task.retries or 0) if context else 0


def start_server_unless_named() -> None:
    """Start a temporary server where the user names none. Raises PawlineError."""
    if not PREFECT_API_URL.value():
        _refuse_unwritable_home()
        _start_temporary_server()


def _start_temporary_server() -> None:
    """What Prefect does by itself where no server is named, but out of reach of Ctrl-C: it would end before the
    flow does, which then waits for it in vain. The server inherits the mask."""
    from prefect.server.api.server import SubprocessASGIServer  # seconds that a run with a server need not pay

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        SubprocessASGIServer().start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _refuse_unwritable_home() -> None:
    """Without a server of the user's, Prefect keeps a database in its home folder, and fails there with a dozen
    tracebacks after minutes. Raises PawlineError."""
    home = Path(PREFECT_HOME.value())
    try:
        home.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=home).close()
    except OSError as error:
        raise PawlineError(
            f"{home}: Prefect keeps its database there, and cannot: {error.strerror or error}; "
            "set PREFECT_HOME to a folder that you may write to"
        ) from None


def main() -> None:
    arguments = _parser().parse_args()
    sections = overrides.to_sections(overrides.parse(arguments.set), WORKSPACE / Layout().params)
    if "ingest" not in sections:  # else the source is another one, and the flow looks at it
        check_source(WORKSPACE)
    try:
        start_server_unless_named()
        ended: Any = training(**sections, stage_minutes=arguments.stage_minutes, return_state=True)
    except RuntimeError as error:  # from Prefect itself: what the flow raises becomes its state
        mend = "start the Prefect server, or unset PREFECT_API_URL to do without"
        if not PREFECT_API_URL.value():
            mend = "start one with `prefect server start` and set PREFECT_API_URL to its address"
        raise BusyError(f"{error}; {mend}") from None
    states: Any = ended.result(raise_on_failure=False)
    if isinstance(states, Exception):  # the flow ended before its first stage
        raise states
    # A pipeline that exports no model has nothing to register.
    for name, state in zip([*stages_of(WORKSPACE), REGISTER], states, strict=False):
        message = state.message if state.is_final() else "not run: a stage before it failed"
        print(f"{name:<10}{state.name:<11}{message}")
    ended.result()  # raises what the failed stage did


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows.training", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value, such as train.epochs=5"
    )
    parser.add_argument("--stage-minutes", type=float, metavar="N", help="end a stage that takes longer")
    return parser


if __name__ == "__main__":
    end_with(main)
