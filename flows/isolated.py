"""A run with other params, in a workspace of its own: nothing in the user's checkout changes.

It is a git worktree of the checkout as it is, uncommitted changes included, that shares DVC's cache, the decoded
images and the MLflow store. What comes of it is a DVC experiment: `dvc exp show` lists it, `dvc exp apply NAME`
brings it in.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from filelock import FileLock, Timeout

from flows.overrides import Tree, write
from flows.repro import WORKSPACE, run_dvc
from pawline.errors import PawlineError
from pawline.params import load_params
from tasks.workspace import main_checkout

RUNS = Path(".pawline/runs")
# A relative source may lead out of the checkout by as many `..`: links to it stand in these, not at home.
NEST = Path("1/2/3/4/5/checkout")


class Isolated:
    """A workspace that is thrown away, unless what it made is saved."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def save(self) -> None:
        """As a DVC experiment of this name."""
        run_dvc(self.path, "exp", "save", "--force", "--name", self.name)


@contextmanager
def isolated(overrides: Tree, name: str) -> Iterator[Isolated]:
    """A workspace with these params, for the length of the block. Raises ParamsError before anything is made."""
    runs = main_checkout(WORKSPACE) / RUNS
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
    """Workspaces whose owner was killed: nobody holds their lock."""
    for left in runs.glob("*.lock"):
        with suppress(Timeout), FileLock(left).acquire(timeout=0):
            _remove(runs, left.stem)


def _remove(runs: Path, name: str) -> None:
    (runs / f"{name}.yaml").unlink(missing_ok=True)
    shutil.rmtree(runs / name, ignore_errors=True)
    _git("worktree", "prune")
    (runs / f"{name}.lock").unlink(missing_ok=True)


def _make(folder: Path, params: Path) -> Path:
    checkout = folder / NEST
    checkout.parent.mkdir(parents=True)
    _git("worktree", "add", "--quiet", "--detach", str(checkout), "HEAD")
    if uncommitted := _git("stash", "create"):  # a commit of them; the checkout keeps them as they are
        _git("stash", "apply", "--quiet", uncommitted, at=checkout)
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


def _git(*arguments: str, at: Path = WORKSPACE) -> str:
    done = subprocess.run(["git", "-C", str(at), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PawlineError(f"git {arguments[0]} failed in {at}: {done.stderr.strip()}")
    return done.stdout.strip()
