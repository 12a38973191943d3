"""Clones of the project, whose commands a benchmark runs as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.photographs import machine
from tests.conftest import environment_of_commands
from tests.source import ROOT

RUN_ID = "from pawline.tracking.store import *; use_store(); print(run_of({digest!r}).info.run_id)"


def params_of(words: list[str]) -> dict[str, Any]:
    """The params among the words of a command: train.steps=100 gives {"train.steps": 100}."""
    return {key: YAML().load(value) for key, sign, value in (word.partition("=") for word in words) if sign}


def clone_project(place: Path) -> Path:
    """Clone the last commit to a place."""
    subprocess.run(["git", "clone", "--quiet", ROOT, place], check=True)
    return place


def make_clone(folder: str, params: dict[str, Any]) -> Path:
    """Clone the last commit into FOLDER/clone, and print machine, load and params."""
    clone = Path(folder).resolve() / "clone"
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}; {params}", flush=True)
    return clone_project(clone)


def call(clone: Path, *command: str) -> str:
    """What a command of the clone prints, however long it takes: a module and its arguments, or -c and code. Its log
    goes to FOLDER/log.txt."""
    arguments = command if command[0] == "-c" else ("-m", *command)
    with (clone.parent / "log.txt").open("a") as log:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=clone,
            env=environment_of_commands(),
            check=True,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    return done.stdout


def run_of_model(clone: Path) -> str:
    """Print the accuracy of the model of the checkout. Returns the id of its MLflow run."""
    figures = json.loads((clone / "metrics/evaluate.json").read_text())
    accuracy = f"{figures['accuracy']:.4f} ({figures['accuracy_low']:.4f} to {figures['accuracy_high']:.4f})"
    print(f"accuracy {accuracy} of {figures['num_images']}", flush=True)
    digest = json.loads((clone / "models/card.json").read_text())["digest"]
    return call(clone, "-c", RUN_ID.format(digest=digest)).strip()
