"""A run with other params, in a workspace of its own: nothing in the user's checkout changes.

The workspace is a git worktree of the checkout as it is, with uncommitted changes and untracked modules; it shares
DVC's cache, the decoded images and the MLflow store. pawline/workspace/same_files.py brings its source. Its result is
a DVC experiment: `dvc exp show` lists it, `dvc exp apply NAME` applies it to the checkout.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from pawline.errors import ParamsError
from pawline.params.overrides import Tree, write
from pawline.params.whole import load_params
from pawline.workspace.checkout import WORKSPACE, ask_git, main_checkout, run_git
from pawline.workspace.dag import dag_of, read_dag
from pawline.workspace.dvc_command import run_dvc
from pawline.workspace.layout import ISOLATED_NEST, LocalState
from pawline.workspace.lock import LOCK
from pawline.workspace.same_files import bring_code, bring_source, check_place
from pawline.yaml_files import read_yaml

HOOKS_OFF = (
    "-c",
    f"core.hooksPath={os.devnull}",
)  # `dvc install` makes one that restores outputs after a checkout


class Isolated:
    """A workspace that is thrown away, unless what it made is saved. modules: the untracked ones that came along."""

    def __init__(self, path: Path, name: str, modules: list[str]) -> None:
        self.path, self.name, self.modules = path, name, modules

    def save(self) -> None:
        """Keep the results as a DVC experiment of this name."""
        # DVC leaves out first metrics, and below the root of a repository a first dvc.lock.
        outputs = [out for stage in dag_of(self.path).values() for out in stage.outs]
        untracked = ask_git(self.path, "ls-files", "--others", "--exclude-standard", "--", str(LOCK), *outputs)
        options = [option for file in untracked.splitlines() for option in ("--include-untracked", file)]
        run_dvc(self.path, "exp", "save", "--force", "--name", self.name, *options)
        if _is_submodule():
            refs = run_git(self.path, "for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
            for ref in (ref for ref in refs if ref.endswith(f"/{self.name}")):
                run_git(
                    WORKSPACE,
                    "fetch",
                    "--quiet",
                    run_git(self.path, "rev-parse", "--absolute-git-dir"),
                    f"+{ref}:{ref}",
                )


@contextmanager
def isolated(overrides: Tree, name: str) -> Iterator[Isolated]:
    """A workspace with these params, for the length of the block. Raises ParamsError and PawlineError before anything
    is made."""
    _check_git()
    runs = LocalState(main_checkout(WORKSPACE)).isolated_runs
    runs.mkdir(parents=True, exist_ok=True)
    remove_left_behind(runs)
    name = re.sub(r"[^\w-]+", "-", name)
    lock = FileLock(runs / f"{name}.lock")
    with lock.acquire(timeout=0):
        try:
            write(overrides, WORKSPACE / "params.yaml", runs / f"{name}.yaml")
            yield _make(runs / name, runs / f"{name}.yaml", name)
        finally:
            _remove(runs, name)


def _check_git() -> None:
    """Refuse what would fail only after the stages have run: DVC saves the result as a commit."""
    if not ask_git(WORKSPACE, "rev-parse", "--show-toplevel"):
        begin = "git init && git add --all && git commit -m start"
        raise ParamsError(f"{WORKSPACE}: not a git repository, which a run with other params needs: `{begin}`")
    if not ask_git(WORKSPACE, "ls-tree", "HEAD", "dvc.yaml"):
        raise ParamsError(
            f"{WORKSPACE}: dvc.yaml is in no commit, and a run with other params starts from the last one: "
            "`git add --all . && git commit -m start`"
        )
    for key, field in (("user.name", "NAME"), ("user.email", "EMAIL")):
        given = all(os.environ.get(f"GIT_{who}_{field}") for who in ("AUTHOR", "COMMITTER"))
        if not (given or ask_git(WORKSPACE, "config", key)):
            raise ParamsError(
                f"git has no {key}, which a DVC experiment needs: `git config user.name YOU && "
                "git config user.email YOU@EXAMPLE.ORG`"
            )


def remove_left_behind(runs: Path) -> None:
    """Remove the workspaces whose owner was killed: nobody holds their lock."""
    for lock in runs.glob("*.lock"):
        with suppress(Timeout), FileLock(lock).acquire(timeout=0):
            _remove(runs, lock.stem)


def _remove(runs: Path, name: str) -> None:
    (runs / f"{name}.yaml").unlink(missing_ok=True)
    shutil.rmtree(runs / name, ignore_errors=True)
    ask_git(WORKSPACE, "worktree", "prune")
    (runs / f"{name}.lock").unlink(missing_ok=True)


def _make(folder: Path, params: Path, name: str) -> Isolated:
    given = load_params(params)
    source, weights = given.ingest.source, given.network.pretrained.weights
    stages = read_dag(read_yaml(params), WORKSPACE)
    check_place(source, WORKSPACE)
    if weights:
        check_place(weights, WORKSPACE, "network.pretrained.weights")
    repository = folder / ISOLATED_NEST
    repository.parent.mkdir(parents=True)
    if _is_submodule():  # DVC looks for the files of its worktrees in the wrong place
        run_git(WORKSPACE, "clone", "--quiet", "--shared", "--no-checkout", ".", str(repository))
        run_git(repository, *HOOKS_OFF, "checkout", "--quiet", "--detach", run_git(WORKSPACE, "rev-parse", "HEAD"))
        for key in ("user.name", "user.email"):
            run_git(repository, "config", key, ask_git(WORKSPACE, "config", key) or "Pawline")
    else:
        run_git(WORKSPACE, *HOOKS_OFF, "worktree", "add", "--quiet", "--detach", str(repository), "HEAD")
    run_git(repository, "read-tree", "--reset", "-u", _tree_as_it_is())
    # The project may stand in a subfolder of the repository.
    checkout = repository / ask_git(WORKSPACE, "rev-parse", "--show-prefix")
    modules = bring_code(WORKSPACE, checkout)
    shutil.copyfile(params, checkout / "params.yaml")
    _share_dvc(checkout)
    outputs = [out for stage in stages.values() for out in stage.outs]
    bring_source(source, WORKSPACE, checkout, outputs)
    if weights:
        bring_source(weights, WORKSPACE, checkout, outputs)
    return Isolated(checkout, name, modules)


def _is_submodule() -> bool:
    return bool(ask_git(WORKSPACE, "rev-parse", "--show-superproject-working-tree"))


def _tree_as_it_is() -> str:
    """A git tree of all tracked files with their uncommitted changes; the checkout and its index stay as they are."""
    with TemporaryDirectory() as folder:
        index = Path(folder, "index")
        shutil.copyfile(run_git(WORKSPACE, "rev-parse", "--path-format=absolute", "--git-path", "index"), index)
        top = Path(run_git(WORKSPACE, "rev-parse", "--show-toplevel"))
        run_git(top, "add", "--update", index=index)
        return run_git(top, "write-tree", index=index)


def _share_dvc(checkout: Path) -> None:
    if (WORKSPACE / ".dvc/config.local").exists():
        shutil.copyfile(WORKSPACE / ".dvc/config.local", checkout / ".dvc/config.local")
    cache = run_dvc(WORKSPACE, "cache", "dir").strip()
    run_dvc(checkout, "cache", "dir", "--local", cache)
