"""Which checkout this is: the main one, a git worktree of it, or one that DVC made for an experiment."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pawline.errors import PawlineError

# The checkout that this code lies in.
WORKSPACE = Path(__file__).resolve().parents[2]
EXPERIMENTS, FLOW_RUNS = (".dvc", "tmp", "exps"), (".pawline", "runs")
NO_CHANGES: Mapping[str, str] = {}


def main_checkout(here: Path | None = None) -> Path:
    """The checkout that experiments and worktrees belong to; what they share is kept there.

    DVC runs queued and temporary experiments in clones below `<main>/.dvc/tmp/exps/`, the flow its runs with other
    params below `<main>/.pawline/runs/`.
    """
    here = (here or Path.cwd()).resolve()
    for folder in here.parents:
        if folder.parts[-3:] == EXPERIMENTS:
            return folder.parents[2]
        if folder.parts[-2:] == FLOW_RUNS:
            return folder.parents[1]
    project = next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)
    common = ask_git(project, "rev-parse", "--path-format=absolute", "--git-common-dir")
    # The project may stand in a subfolder of the repository, and the repository of a worktree be bare.
    main = Path(common).parent / ask_git(project, "rev-parse", "--show-prefix")
    return main if common and (main / "dvc.yaml").exists() else project


def is_checkout(here: Path = Path()) -> bool:
    """Whether a folder is one in which DVC's commands work."""
    return (here / "dvc.yaml").is_file()


def is_experiment(here: Path | None = None) -> bool:
    """Whether this is the checkout of a DVC experiment or of a flow run with other params, not one of the user's."""
    here = (here or Path.cwd()).resolve()
    places = [(folder.parts[-3:], folder.parts[-2:]) for folder in here.parents]
    return any(three == EXPERIMENTS or two == FLOW_RUNS for three, two in places)


def ask_git(folder: Path, *arguments: str) -> str:
    """What git prints, or nothing where it fails: outside a checkout, before the first commit."""
    git = _run_git(folder, *arguments)
    return git.stdout.strip() if git.returncode == 0 else ""


def show_staged(file: Path, root: Path = Path()) -> bytes:
    """A file's content as git's index has it, which `git restore` brings back; empty where git does not know it."""
    command = ["git", "-C", str(root), "show", f":./{file.as_posix()}"]
    return subprocess.run(command, capture_output=True, check=False).stdout


def run_git(folder: Path, *arguments: str, index: Path | None = None) -> str:
    """What git prints; index: another file than its own. Raises PawlineError with its complaint."""
    git = _run_git(folder, *arguments, environment={"GIT_INDEX_FILE": str(index)} if index else {})
    if git.returncode:
        said = " ".join(git.stderr.split())
        raise PawlineError(f"git {arguments[0]} failed in {folder}: {said}")
    return git.stdout.strip()


def _run_git(
    folder: Path, *arguments: str, environment: Mapping[str, str] = NO_CHANGES
) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(
            command,
            env=os.environ | dict(environment),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:  # in a container that serves
        return subprocess.CompletedProcess(command, 127, "", "git is not installed")
