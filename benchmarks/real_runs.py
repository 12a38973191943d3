"""The gate and `pawline compare` on real runs:  python -m benchmarks.real_runs FOLDER [KEY=VALUE ...]

In FOLDER, which is kept, a clone takes in the 18,000 photographs and trains one model after the other by the flow,
whose last task registers it: a first model, an equal one (another seed), a worse one (a third of the steps), a better
one (three times the steps), and one on another split, which leaves fewer pictures to judge by than the gate demands.
Then the first is compared with the three others of its split. By default 48 px, RGB, 600 steps, 15 % test; KEY=VALUE
sets another param. `mlflow ui --backend-store-uri sqlite:///FOLDER/clone/mlflow.db` shows the verdicts.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.photographs import archive, machine
from tests.conftest import clean_environment, set_params
from tests.source import ROOT

PARAMS: dict[str, Any] = {
    "prepare.color": "rgb",
    "prepare.image_size": 48,
    "split.val_fraction": 0.1,
    "split.test_fraction": 0.15,
    "train.steps": 600,
    "train.patience": 1000,
    "promotion.min_pictures": 500,
}
FIRST = "first"
RUN_ID = "from pawline.tracking.store import *; use_store(); print(run_of({digest!r}).info.run_id)"


def main() -> None:
    folder, *words = sys.argv[1:]
    params = PARAMS | {key: YAML().load(value) for key, _, value in (word.partition("=") for word in words)}
    steps, clone = params["train.steps"], Path(folder).resolve() / "clone"
    runs: dict[str, dict[str, Any]] = {
        FIRST: {},
        "equal": {"train.seed": 2},
        "worse": {"train.steps": steps // 3},
        "better": {"train.steps": 3 * steps},
        "other split": {"split.seed": 2},
    }
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}; {params}", flush=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    source = {"ingest.source": str(archive("cats-dogs-180px.zip"))}
    reset = {"train.seed": 1, "split.seed": 1}
    ids = {name: flow_run(clone, name, source | params | reset | changes) for name, changes in runs.items()}
    for name in ("equal", "worse", "better"):
        page = str(clone.parent / f"compare-{name}.html")
        print(f"\n{FIRST} and {name}:", flush=True)
        pawline(clone, "pawline.cli", "compare", ids[FIRST], ids[name], "--out", page)


def flow_run(clone: Path, name: str, values: dict[str, Any]) -> str:
    """Train by the flow; keep the report. Returns the id of the MLflow run."""
    set_params(clone, values)
    start = time.perf_counter()
    print(f"\n{name}:", flush=True)
    pawline(clone, "flows.training")
    figures = json.loads((clone / "metrics/evaluate.json").read_text())
    accuracy = f"{figures['accuracy']:.4f} ({figures['accuracy_low']:.4f} to {figures['accuracy_high']:.4f})"
    print(f"accuracy {accuracy} of {figures['num_images']}; {time.perf_counter() - start:.0f} s", flush=True)
    for kind in ("html", "json"):
        shutil.copy(clone / f"reports/report.{kind}", clone.parent / f"{name.replace(' ', '_')}.{kind}")
    digest = json.loads((clone / "models/card.json").read_text())["digest"]
    found = subprocess.run(
        [sys.executable, "-c", RUN_ID.format(digest=digest)], cwd=clone, check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


def pawline(clone: Path, module: str, *arguments: str) -> None:
    """Run a module of the clone, as long as it takes; what it prints is seen, its log is not."""
    environment = clean_environment() | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with (clone.parent / "log.txt").open("a") as log:
        subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=clone, check=True, env=environment, stderr=log
        )


if __name__ == "__main__":
    main()
