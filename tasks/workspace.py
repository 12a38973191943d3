"""Which checkout this is: the main one, a git worktree of it, or one that DVC made for an experiment."""

import subprocess
from pathlib import Path

# Decoded images by content (pawline/decoded.py), shared by every worktree and experiment.
DECODED = Path(".pawline/decoded")
# The state of a training under way (pawline/checkpoint.py), so that the same command continues it.
CHECKPOINTS = Path(".pawline/training")
# Curves for TensorBoard, a folder per training.
CURVES = Path(".pawline/tensorboard")


def main_checkout(here: Path | None = None) -> Path:
    """The checkout that experiments and worktrees belong to; what they share is kept there.

    DVC runs queued and temporary experiments in clones below `<main>/.dvc/tmp/exps/`.
    """
    here = (here or Path.cwd()).resolve()
    for folder in here.parents:
        if folder.parts[-3:] == (".dvc", "tmp", "exps"):
            return folder.parents[2]
    project = next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").exists()), here)
    common = git(project, "rev-parse", "--path-format=absolute", "--git-common-dir")
    # The project may stand in a subfolder of the repository, and the repository of a worktree be bare.
    main = Path(common).parent / git(project, "rev-parse", "--show-prefix")
    return main if common and (main / "dvc.yaml").exists() else project


def git(folder: Path, *arguments: str) -> str:
    """What git prints, or nothing where it fails: outside a checkout, before the first commit."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def local_store(home: Path) -> str:
    """MLflow's store when the user names none: one SQLite file, absolute, so that every folder finds it."""
    return f"sqlite:///{home / 'mlflow.db'}"
