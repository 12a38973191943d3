"""Which checkout this is: the main one, a git worktree of it, or one that DVC made for an experiment."""

import subprocess
from pathlib import Path

from pawline.errors import PawlineError

# The checkout that this code lies in.
WORKSPACE = Path(__file__).resolve().parents[2]


def main_checkout(here: Path | None = None) -> Path:
    """The checkout that experiments and worktrees belong to; what they share is kept there.

    DVC runs queued and temporary experiments in clones below `<main>/.dvc/tmp/exps/`.
    """
    here = (here or Path.cwd()).resolve()
    for folder in here.parents:
        if folder.parts[-3:] == (".dvc", "tmp", "exps"):
            return folder.parents[2]
    project = next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)
    common = ask_git(project, "rev-parse", "--path-format=absolute", "--git-common-dir")
    # The project may stand in a subfolder of the repository, and the repository of a worktree be bare.
    main = Path(common).parent / ask_git(project, "rev-parse", "--show-prefix")
    return main if common and (main / "dvc.yaml").exists() else project


def ask_git(folder: Path, *arguments: str) -> str:
    """What git prints, or nothing where it fails: outside a checkout, before the first commit."""
    git = _run_git(folder, *arguments)
    return git.stdout.strip() if git.returncode == 0 else ""


def show_staged(file: Path, root: Path = Path()) -> bytes:
    """A file's content as git's index has it, which `git restore` brings back; empty where git does not know it."""
    command = ["git", "-C", str(root), "show", f":./{file.as_posix()}"]
    return subprocess.run(command, capture_output=True, check=False).stdout


def run_git(folder: Path, *arguments: str) -> str:
    """What git prints. Raises PawlineError with its complaint."""
    git = _run_git(folder, *arguments)
    if git.returncode:
        raise PawlineError(f"git {arguments[0]} failed in {folder}: {git.stderr.strip()}")
    return git.stdout.strip()


def _run_git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
