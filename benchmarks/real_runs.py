"""The gate and `pawline compare` on real runs:  python -m benchmarks.real_runs FOLDER [KEY=VALUE ...]

In FOLDER, which is kept, a clone takes in the 18,000 photographs and trains one model after the other by the flow,
whose last task registers it: a first model, an equal one (another seed), a worse one (a third of the steps), a better
one (three times the steps), and one on another split, which leaves fewer pictures to judge by than the gate demands.
Then the first is compared with the three others of its split. By default 48 px, RGB, 600 steps, 15 % test; KEY=VALUE
sets another param. `mlflow ui --backend-store-uri sqlite:///FOLDER/clone/mlflow.db` shows the verdicts.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.clones import call, make_clone, params_of, run_of_model
from benchmarks.photographs import archive
from tests.conftest import set_params

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


def main() -> None:
    folder, *words = sys.argv[1:]
    params = PARAMS | params_of(words)
    steps, clone = params["train.steps"], make_clone(folder, params)
    runs: dict[str, dict[str, Any]] = {
        FIRST: {},
        "equal": {"train.seed": 2},
        "worse": {"train.steps": steps // 3},
        "better": {"train.steps": 3 * steps},
        "other split": {"split.seed": 2},
    }
    always = {"ingest.source": str(archive("cats-dogs-180px.zip")), "train.seed": 1, "split.seed": 1} | params
    ids = {name: flow_run(clone, name, always | changes) for name, changes in runs.items()}
    for name in ("equal", "worse", "better"):
        page = str(clone.parent / f"compare-{name}.html")
        print(f"\n{FIRST} and {name}:")
        print(call(clone, "pawline.cli", "compare", ids[FIRST], ids[name], "--out", page), flush=True)


def flow_run(clone: Path, name: str, values: dict[str, Any]) -> str:
    """Train by the flow; keep the report. Returns the id of the MLflow run."""
    set_params(clone, values)
    start = time.perf_counter()
    print(f"\n{name}:\n{call(clone, 'flows.training')}{time.perf_counter() - start:.0f} s", flush=True)
    for kind in ("html", "json"):
        shutil.copy(clone / f"reports/report.{kind}", clone.parent / f"{name.replace(' ', '_')}.{kind}")
    return run_of_model(clone)


if __name__ == "__main__":
    main()
