"""The state of a training between two runs of its stage: found again, kept until DVC has locked the model.

Equal trainings share one state, so they take turns: the second waits for the lock beside it, which the system takes
off a killed process, and goes on from there; nothing is left to train where the first one has finished.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pawline.card import Conditions
from pawline.files import modified
from pawline.params.whole import Params
from pawline.prepared import PreparedImages
from pawline.terminal import say
from pawline.training.checkpoint import Checkpoint
from pawline.workspace.checkout import main_checkout
from pawline.workspace.dag import dag_of
from pawline.workspace.history import code_digests
from pawline.workspace.layout import LocalState
from pawline.workspace.lock import locked_md5, md5_of

KEPT_CHECKPOINTS = 5  # of trainings that were given up


@dataclass(frozen=True)
class KeptTraining:
    """One training: `data_digest` names what it learns from, the checkpoint's key all that its result depends on."""

    checkpoint: Checkpoint
    data_digest: str

    @property
    def curves(self) -> Path:
        """The folder of this training's curves for TensorBoard."""
        return LocalState(main_checkout()).curves / self.checkpoint.key[:16]

    @property
    def place(self) -> str:
        """A name of this machine's state, which one living training at most has: that holds its lock."""
        return hashlib.sha256(f"{platform.node()} {self.checkpoint.path.resolve()}".encode()).hexdigest()[:16]

    def finish(self, model: Path) -> None:
        """Call this after all outputs are written. A kill before DVC has locked the model makes the stage run again,
        so the state stays until then; only the last training's is kept."""
        if "DVC_STAGE" not in os.environ:
            self.checkpoint.remove()
            return
        place = self.checkpoint.path
        for earlier in place.parent.glob("*.over"):
            _delete_unless_in_use(earlier)
        with suppress(FileNotFoundError):  # somebody made room: a repetition will cost time
            place.replace(place.with_suffix(f".{md5_of(model)}.over"))


@contextmanager
def keep_training(
    params: Params,
    images: PreparedImages,
    data_digest: str,
    conditions: Conditions,
    weights_digest: str | None,
    model: Path,
) -> Iterator[KeptTraining]:
    """Find the state of this very training, and hold its lock for the length of the block; delete the oldest of
    those that were given up.

    It depends on params, data, code and conditions (with num_steps 0): any other state is useless to it.
    """
    about = [
        params.network.model_dump(),
        params.train.model_dump(),
        images.form.model_dump(),
        images.decoder,
        data_digest,
        conditions.model_dump(),
        weights_digest,
        code_digests(dag_of()["train"]),
    ]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    folder = LocalState(main_checkout()).checkpoints
    checkpoint = Checkpoint(folder / f"{key[:16]}.npz", key)
    with _turn(checkpoint.path):
        _delete_given_up(folder, checkpoint)
        _resume_unless_locked(checkpoint, model)
        yield KeptTraining(checkpoint, data_digest)


@contextmanager
def _turn(state: Path) -> Iterator[None]:
    state.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_of(state)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("an equal training is at work (same data, params and code): waiting for its result")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_of(state: Path) -> FileLock:
    """The lock of a training by any file of its state: KEY.npz, KEY.MD5.over."""
    return FileLock(state.with_name(f"{state.name.split('.')[0]}.lock"))


def _delete_unless_in_use(state: Path) -> None:
    with suppress(Timeout), lock_of(state).acquire(timeout=0):
        state.unlink(missing_ok=True)


def _delete_given_up(folder: Path, own: Checkpoint) -> None:
    others = sorted({*folder.glob("*.npz")} - {own.path}, key=modified)
    for old in others[:-KEPT_CHECKPOINTS]:
        _delete_unless_in_use(old)


def _resume_unless_locked(checkpoint: Checkpoint, model: Path) -> None:
    """Take up the kept state again, unless DVC has locked its model: then whoever trains wants a new training."""
    for over in checkpoint.path.parent.glob(f"{checkpoint.path.stem}.*.over"):
        if over.suffixes[0] == f".{locked_md5(model)}":
            over.unlink()
        else:
            over.replace(checkpoint.path)
