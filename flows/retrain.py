"""Look whether the source has gained images; once there are enough, trigger a training. Meant for a schedule.

Exactly one training per change: what is new has a digest, and Prefect makes one flow run per idempotency key,
whoever asks and however often, also after a restart.
"""

from itertools import count
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed, State

from pawline.errors import BusyError, PawlineError
from pawline.params.whole import load_params
from pawline.workspace.checkout import WORKSPACE
from pawline.workspace.layout import Layout
from pawline.workspace.lock import locked_md5
from pawline.workspace.repro import Pipeline
from pawline.workspace.source_changes import changes_by_content
from pawline.workspace.source_check import check_source
from pawline.workspace.stale_locks import is_dvc_at_work

DEPLOYMENT = "training/local"


@flow(name="retrain-on-new-data", persist_result=False)
def retrain_on_new_data(at_least: int = 50, any_change: bool = False) -> State[None]:
    """Trigger training/local when the source has at least so many new images, or, with any_change, when anything
    in it differs from the data set in use."""
    at_work_before = is_dvc_at_work(WORKSPACE)
    try:
        return _look_and_trigger(at_least, any_change)
    except BusyError:  # a training under way, most often
        return _waiting_for_dvc()
    except PawlineError as error:
        # A stage at work has written a part of its outputs: what looks wrong now may be right when it ends. What stays
        # wrong fails the next look.
        if at_work_before or is_dvc_at_work(WORKSPACE):
            return _waiting_for_dvc()
        return Failed(message=str(error))


def _waiting_for_dvc() -> State[None]:
    return Completed(name="Waiting", message="DVC is at work in this checkout")


def _look_and_trigger(at_least: int, any_change: bool) -> State[None]:
    # Before DVC is asked: when an ingest ends in between, the change is still named as it was when it triggered.
    in_use = _in_use()
    check_source(WORKSPACE)
    if "ingest" not in Pipeline().status():
        return Completed(name="Waiting", message="the source is as it was")
    changes = changes_by_content(load_params(WORKSPACE / Layout().params).ingest, WORKSPACE)
    if not (changes.num_new >= at_least or (any_change and changes.changed)):
        return Completed(name="Waiting", message=f"{changes.num_new} new images; {at_least} are waited for")
    triggered = _trigger(f"retrain {changes.digest} after {in_use}")
    get_run_logger().info("flow run %s is for this change", triggered.name)
    return Completed(name="Triggered", message=f"{changes.num_new} new images: flow run {triggered.name}")


def _in_use() -> str:
    """Identity of the data set in use, so that returning to an earlier source also counts as a change."""
    return locked_md5(Layout().index, WORKSPACE) or "nothing"


def _trigger(change: str) -> FlowRun:
    """The flow run for this change; another one only where the last was killed."""
    for attempt in count(1):
        run: Any = run_deployment(
            DEPLOYMENT, timeout=0, as_subflow=False, idempotency_key=f"{change}, attempt {attempt}"
        )
        if not (run.state and run.state.is_crashed()):
            break
    triggered: FlowRun = run
    return triggered
