"""What takes disk and nobody needs: found with its size, so that `pawline gc` can say it before it deletes it.

A look at each kind says what it costs to delete it. Never among them: what git tracks or ignores elsewhere, the
source, `.pawline/moved-away`, and the objects of DVC's cache that a commit, tag, branch, stash, experiment or worktree
needs.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pawline.errors import BusyError, ModelError
from pawline.files import file_digest
from pawline.runtime.export_card import read_export_card
from pawline.workspace.checkout import ask_git, main_checkout
from pawline.workspace.dvc_command import run_dvc
from pawline.workspace.kept_series import unfinished_series
from pawline.workspace.kept_training import lock_of
from pawline.workspace.laid_models import champion_files
from pawline.workspace.layout import Layout, LocalState
from pawline.workspace.lock import LOCK, Cache

DIGEST_LENGTH = 64  # of SHA-256 in hex
AT_WORK = re.compile(r"\b(tasks\.\w+|flows\.\w+|-m dvc|bin/dvc|prefect flow-run execute)\b")


@dataclass(frozen=True)
class Garbage:
    """Files and folders of one kind, and what it costs to delete them."""

    kind: str
    costs: str
    paths: tuple[Path, ...]

    @property
    def num_bytes(self) -> int:
        return sum(_size(path) for path in self.paths)

    def delete(self) -> None:
        for path in self.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def refuse_while_at_work() -> None:
    """Raise BusyError while a stage, a flow or DVC works in this checkout, its worktrees or its experiments."""
    own = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    folders = [main_checkout(), *_worktrees()]
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        cwd = Path(process.info["cwd"] or "/")
        inside = any(cwd.is_relative_to(folder) for folder in folders)
        if inside and process.info["pid"] not in own and AT_WORK.search(command):
            raise BusyError(f"process {process.info['pid']} is at work in {cwd}: try again after it has ended")


def find_garbage() -> list[Garbage]:
    at = LocalState(main_checkout())
    return [
        Garbage("decoded pictures", "`prepare` decodes each picture once more", _inside(at.decoded)),
        Garbage("features of pictures", "a frozen network looks at each picture once more", _inside(at.features)),
        Garbage(
            "networks for the walk, of models no longer in use",
            "`pawline explain` reads such a model with Keras once more",
            tuple(_unused_walks(at.walks)),
        ),
        Garbage("states of trainings", "a training that was stopped starts over", tuple(_states(at.checkpoints))),
        Garbage(
            "folds and learning curves not finished", "their trainings start over", tuple(unfinished_series())
        ),
        Garbage("downloads not finished", "they start over", _inside(at.downloads)),
        Garbage("workspaces of flow runs that were killed", "nothing", tuple(_left_behind(at.isolated_runs))),
        Garbage(
            "files of champions before",
            "going back to one downloads it again",
            tuple(champion_files().not_in_use()),
        ),
        Garbage("an MLflow store that was never finished", "nothing", _inside(at.partial_store)),
        Garbage(
            "DVC's cache, used by no commit or experiment", "such a version runs again", tuple(_unused_objects())
        ),
    ]


def _inside(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.iterdir())) if folder.is_dir() else ()


def _unused_walks(folder: Path) -> Iterator[Path]:
    """What `pawline explain` keeps, by the digest of the model, except for models in use: those of this checkout, its
    worktrees and experiments, and the champion, since the service cannot read a model with Keras itself."""
    models = (place / Layout().model for place in (Path(), *_worktrees()))
    needed = {file_digest(model) for model in models if model.is_file()}
    with suppress(ModelError):  # no champion yet
        needed.add(read_export_card(champion_files().file).model_digest)
    yield from (path for path in _inside(folder) if path.name[:DIGEST_LENGTH] not in needed)


def _states(folder: Path) -> Iterator[Path]:
    for state in (path for path in _inside(folder) if path.suffix in (".npz", ".over", ".partial")):
        try:
            lock_of(state).acquire(timeout=0).lock.release()
        except Timeout:  # it lives
            continue
        yield state


def _left_behind(runs: Path) -> Iterator[Path]:
    for lock in sorted(runs.glob("*.lock")):
        try:
            FileLock(lock).acquire(timeout=0).lock.release()
        except Timeout:
            continue
        yield from (path for path in (lock.with_suffix(""), lock.with_suffix(".yaml")) if path.exists())


def _unused_objects() -> Iterator[Path]:
    """DVC names what no version needs. It counts metrics among them, which git holds; but without them DVC's run-cache
    cannot restore a stage, so what any dvc.lock names stays."""
    folder = Cache().folder_of_objects
    if not folder.is_dir() or not folder.is_relative_to(main_checkout()):
        return  # shared with other checkouts, which nobody here can ask
    worktrees = [str(worktree) for worktree in _worktrees()]
    projects = ["--projects", *worktrees] if worktrees else []
    # All commits: of branches and tags. Before the first commit there is the working tree alone.
    history = ["--all-commits", "--all-experiments"] if ask_git(Path.cwd(), "rev-parse", "HEAD") else []
    unused = run_dvc(Path(), "gc", "--dry", "--force", "--workspace", *history, *projects)
    named = _named_in_locks()
    for line in unused.splitlines():
        path = Path(line.removeprefix("Removing "))
        if (
            line.startswith("Removing ")
            and path.is_relative_to(folder)
            and f"{path.parent.name}{path.name}" not in named
        ):
            yield path


def _named_in_locks() -> set[str]:
    """The digests in every dvc.lock of every ref, stash and experiment, and in those of the working trees."""
    texts = [(place / LOCK).read_text() for place in (Path(), *_worktrees()) if (place / LOCK).exists()]
    for commit in ask_git(Path.cwd(), "log", "--all", "--reflog", "--format=%H", "--", str(LOCK)).split():
        texts.append(ask_git(Path.cwd(), "show", f"{commit}:./{LOCK}"))
    return {md5 for text in texts for md5 in re.findall(r"md5: ([0-9a-f]{32}(?:\.dir)?)", text)}


def _worktrees() -> list[Path]:
    """The other worktrees and DVC's temporary experiments; each holds a dvc.yaml."""
    here = Path.cwd().resolve()
    inside = ask_git(here, "rev-parse", "--show-prefix")
    listed = ask_git(here, "worktree", "list", "--porcelain").splitlines()
    found = [Path(line.removeprefix("worktree "), inside) for line in listed if line.startswith("worktree ")]
    experiments = [file.parent for file in (main_checkout() / ".dvc/tmp/exps").glob("**/tmp*/dvc.yaml")]
    return [path for path in (*found, *experiments) if path.resolve() != here and (path / "dvc.yaml").exists()]


def _size(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(_size(inside) for inside in path.iterdir())
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
