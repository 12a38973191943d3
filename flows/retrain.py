"""Look whether the source has gained images; once there are enough, trigger a training. Meant for a schedule.

Exactly one training per change: what is new has a digest, and Prefect makes one flow run per idempotency key,
whoever asks and however often, also after a restart.
"""

from itertools import count

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed, State

from flows.repro import WORKSPACE, Pipeline
from pawline.errors import BusyError, PawlineError
from pawline.params import load_params
from tasks.dvc_lock import read_lock
from tasks.layout import Layout
from tasks.news import look

DEPLOYMENT = "training/local"


@flow(name="retrain-on-new-data", persist_result=False)
def retrain_on_new_data(at_least: int = 50, any_change: bool = False) -> State[None]:
    """Trigger training/local when the source has at least so many new images, or, with any_change, when anything
    in it differs from the data set in use."""
    try:
        return _look_and_trigger(at_least, any_change)
    except BusyError:  # a training under way, most often
        return Completed(name="Waiting", message="DVC is at work in this checkout")
    except PawlineError as error:
        return Failed(message=str(error))


def _look_and_trigger(at_least: int, any_change: bool) -> State[None]:
    if "ingest" not in Pipeline().status():
        return Completed(name="Waiting", message="the source is as it was")
    news = look(load_params(WORKSPACE / Layout().params).ingest, WORKSPACE)
    if not (news.num_new >= at_least or (any_change and news.changed)):
        return Completed(name="Waiting", message=f"{news.num_new} new images; {at_least} are waited for")
    triggered = _trigger(f"retrain {news.digest} after {_in_use()}")
    get_run_logger().info("flow run %s is for this change", triggered.name)
    return Completed(name="Triggered", message=f"{news.num_new} new images: flow run {triggered.name}")


def _in_use() -> str:
    """What the data set in use goes by: when a source is again what it once was, that is a change all the same."""
    index = (
        read_lock(WORKSPACE / "dvc.lock").get(str(Layout().index)) if (WORKSPACE / "dvc.lock").exists() else None
    )
    return index.md5 if index else "nothing"


def _trigger(change: str) -> FlowRun:
    """The flow run for this change; another one only where the last was killed."""
    for attempt in count(1):
        run = run_deployment(
            DEPLOYMENT, timeout=0, as_subflow=False, idempotency_key=f"{change}, attempt {attempt}"
        )
        if not (run.state and run.state.is_crashed()):
            break
    return run
