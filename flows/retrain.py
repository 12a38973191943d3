"""Look whether the source has gained images; once there are enough, trigger a training. Meant for a schedule.

Exactly one training per change: what is new has a digest, and Prefect makes one flow run per idempotency key,
whoever asks and however often, also after a restart.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed, State

from flows.repro import WORKSPACE, Pipeline
from pawline.class_folders import ClassFolders, find_class_folders
from pawline.errors import BusyError, PawlineError
from pawline.images import BadImage, read_header
from pawline.params import IngestParams, load_params
from pawline.sources import open_source
from tasks.dvc_lock import read_lock
from tasks.layout import Layout
from tasks.workspace import DOWNLOADS, main_checkout

DEPLOYMENT = "training/local"

Content = tuple[str, str]  # class name and SHA-256 of a file


@dataclass(frozen=True)
class News:
    """num_new: images whose content the data set does not have yet, and whose header can be read.
    changed: whether anything differs, files that are gone or bad included. digest: of all there is now."""

    num_new: int
    changed: bool
    digest: str


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
    news = look(load_params(WORKSPACE / Layout().params).ingest, WORKSPACE / Layout().index)
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


def look(params: IngestParams, index: Path) -> News:
    """Compare a source with the index of what was taken in. Reads every file once; nothing is written."""
    known, found = _known(index), _found(params)
    contents = {content for _, content in known}
    new = {content for (_, content), good in found.items() if good and content not in contents}
    digest = hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
    return News(len(new), changed=found.keys() != known, digest=digest)


def _known(index: Path) -> set[Content]:
    if not index.exists():
        return set()
    try:
        rows = pq.read_table(index, columns=["class_name", "digest"]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise PawlineError(f"{index}: cannot be read: {error}; get it again with `dvc checkout`") from None
    return {(row["class_name"], row["digest"]) for row in rows if row["digest"]}


def _found(params: IngestParams) -> dict[Content, bool]:
    """For each content of a class, whether its header can be read."""
    source = params.source if "://" in params.source else str(WORKSPACE / params.source)
    absolute = params.model_copy(update={"source": source})
    with open_source(absolute, main_checkout(WORKSPACE) / DOWNLOADS) as listing:
        folders = ClassFolders() if listing.has_classes else find_class_folders(listing.paths, source)
        places = [folders.place(path) for path in listing.paths]
        wanted = np.array([place is not None for place in places], bool)
        found: dict[Content, bool] = {}
        for position, read in listing.reads(wanted):
            with suppress(OSError):  # not to be had: ingest says so in its index
                data = read()
                found[places[position].class_name, hashlib.sha256(data).hexdigest()] = _has_header(data)
        return found


def _has_header(data: bytes) -> bool:
    try:
        read_header(data)
    except BadImage:
        return False
    return True
