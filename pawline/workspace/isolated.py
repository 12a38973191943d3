"""A run with other params, in a workspace of its own: nothing in the user's checkout changes.

The workspace is a git worktree of the checkout as it is, uncommitted changes included; it shares DVC's cache, the
decoded images and the MLflow store. Its result is a DVC experiment: `dvc exp show` lists it, `dvc exp apply NAME`
applies it to the checkout.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from filelock import FileLock, Timeout

from pawline.errors import PawlineError
from pawline.params.overrides import Tree, write
from pawline.params.whole import load_params
from pawline.workspace.checkout import WORKSPACE, main_checkout, run_git
from pawline.workspace.dvc_command import run_dvc
from pawline.workspace.layout import LocalState

# A relative source may lead out of the checkout by as many `..`: links to it stand in these, not at home.
NEST = Path("1/2/3/4/5/checkout")


class Isolated:
    """A workspace that is thrown away, unless what it made is saved."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def save(self) -> None:
        """Keep the results as a DVC experiment of this name."""
        run_dvc(self.path, "exp", "save", "--force", "--name", self.name)


@contextmanager
def isolated(overrides: Tree, name: str) -> Iterator[Isolated]:
    """A workspace with these params, for the length of the block. Raises ParamsError before anything is made."""
    runs = LocalState(main_checkout(WORKSPACE)).isolated_runs
    runs.mkdir(parents=True, exist_ok=True)
    remove_left_behind(runs)
    name = re.sub(r"[^\w-]+", "-", name)
    lock = FileLock(runs / f"{name}.lock")
    with lock.acquire(timeout=0):
        try:
            write(overrides, WORKSPACE / "params.yaml", runs / f"{name}.yaml")
            yield Isolated(_make(runs / name, runs / f"{name}.yaml"), name)
        finally:
            _remove(runs, name)


def remove_left_behind(runs: Path) -> None:
    """Remove the workspaces whose owner was killed: nobody holds their lock."""
    for lock in runs.glob("*.lock"):
        with suppress(Timeout), FileLock(lock).acquire(timeout=0):
            _remove(runs, lock.stem)


def _remove(runs: Path, name: str) -> None:
    (runs / f"{name}.yaml").unlink(missing_ok=True)
    shutil.rmtree(runs / name, ignore_errors=True)
    run_git(WORKSPACE, "worktree", "prune")
    (runs / f"{name}.lock").unlink(missing_ok=True)


def _make(folder: Path, params: Path) -> Path:
    checkout = folder / NEST
    checkout.parent.mkdir(parents=True)
    run_git(WORKSPACE, "worktree", "add", "--quiet", "--detach", str(checkout), "HEAD")
    if uncommitted := run_git(
        WORKSPACE, "stash", "create"
    ):  # a commit of them; the checkout keeps them as they are
        run_git(checkout, "stash", "apply", "--quiet", uncommitted)
    shutil.copyfile(params, checkout / "params.yaml")
    _share_dvc(checkout)
    _link_source(load_params(params).ingest.source, checkout)
    return checkout


def _share_dvc(checkout: Path) -> None:
    if (WORKSPACE / ".dvc/config.local").exists():
        shutil.copyfile(WORKSPACE / ".dvc/config.local", checkout / ".dvc/config.local")
    cache = run_dvc(WORKSPACE, "cache", "dir").strip()
    run_dvc(checkout, "cache", "dir", "--local", cache)


def _link_source(source: str, checkout: Path) -> None:
    """A relative source must be found under the same relative path, since that is what dvc.lock names."""
    if "://" in source or PurePath(source).is_absolute():
        return
    parts = PurePath(source).parts
    if parts.count("..") >= len(NEST.parts) or parts[-1] == "..":
        raise PawlineError(f"ingest.source {source}: leads too far out of the checkout; make it absolute")
    for depth in range(1, len(parts) + 1):  # a part of the way may be there, with what git tracks in it
        place = Path(*parts[:depth])
        if parts[depth - 1] != ".." and not (checkout / place).exists():
            (checkout / place).symlink_to((WORKSPACE / place).resolve())
            return
