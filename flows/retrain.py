"""Look whether the source has gained images; once there are enough, trigger a training. Meant for a schedule.

Exactly one training per change: what is new has a digest, and Prefect makes one flow run per idempotency key,
whoever asks and however often, also after a restart.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from prefect import flow, get_run_logger
from prefect.deployments import run_deployment
from prefect.states import Completed, State

from flows.repro import WORKSPACE, Pipeline
from pawline.class_folders import ClassFolders, find_class_folders
from pawline.images import BadImage, read_header
from pawline.listing import Read
from pawline.params import IngestParams, load_params
from pawline.sources import open_source
from tasks.layout import Layout
from tasks.workspace import DOWNLOADS, main_checkout

DEPLOYMENT = "training/local"


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
    if "ingest" not in Pipeline().status():
        return Completed(name="Waiting", message="the source is as it was")
    news = look(load_params(WORKSPACE / Layout().params).ingest, WORKSPACE / Layout().index)
    if not (news.num_new >= at_least or (any_change and news.changed)):
        return Completed(name="Waiting", message=f"{news.num_new} new images; {at_least} are waited for")
    triggered = run_deployment(DEPLOYMENT, timeout=0, as_subflow=False, idempotency_key=f"retrain {news.digest}")
    get_run_logger().info("flow run %s is for this change", triggered.name)
    return Completed(name="Triggered", message=f"{news.num_new} new images: flow run {triggered.name}")


def look(params: IngestParams, index: Path) -> News:
    """Compare a source with the index of what was taken in. Reads every file once; nothing is written."""
    known = set(pq.read_table(index, columns=["digest"])["digest"].to_pylist()) if index.exists() else set()
    found = dict(_digests(params))
    digest = hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()
    num_new = sum(good for content, good in found.items() if content not in known)
    return News(num_new, changed=found.keys() != known - {""}, digest=digest)


def _digests(params: IngestParams) -> dict[str, bool]:
    """For the content of each file of a class, by its SHA-256, whether its header can be read."""
    source = params.source if "://" in params.source else str(WORKSPACE / params.source)
    absolute = params.model_copy(update={"source": source})
    with open_source(absolute, main_checkout(WORKSPACE) / DOWNLOADS) as listing:
        folders = ClassFolders() if listing.has_classes else find_class_folders(listing.paths, source)
        wanted = np.fromiter((folders.place(path) is not None for path in listing.paths), bool)
        return dict(filter(None, (_look_at(read) for _, read in listing.reads(wanted))))


def _look_at(read: Read) -> tuple[str, bool] | None:
    try:
        data = read()
    except OSError:  # not to be had: ingest says so in its index
        return None
    return hashlib.sha256(data).hexdigest(), _has_header(data)


def _has_header(data: bytes) -> bool:
    try:
        read_header(data)
    except BadImage:
        return False
    return True
