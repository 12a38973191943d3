"""Accuracy after minutes of training from scratch:  python -m benchmarks.accuracy [MINUTES ...] [seeds=1,2,3]

`fast` on the 18,000 photographs, 5 % val and 5 % test, in RGB, mirrored too, with the sizes and the augmentation
that docs/training.md advises for so many minutes; by default 3, 10 and 20 minutes with three seeds each, which
takes two hours. The test part is looked at once, by `evaluate`. Beside it the tutorial's network, its way, on the
same parts, 3 and 10 epochs. prepare.color=grayscale, or another param, leaves the tutorial's out.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from benchmarks import tutorial
from benchmarks.photographs import archive, machine
from pawline.model.machine import choose_precision
from tests.conftest import run, set_params
from tests.source import ROOT

PICTURES = archive("cats-dogs-180px.zip")
COMMON = {"prepare.color": "rgb", "train.flip_at_test": True, "train.patience": 1000}
COMMON |= {"split.val_fraction": 0.05, "split.test_fraction": 0.05}
# Chosen on val (docs/experiments.md); in bfloat16 1.4 times as many steps are done in the time.
SMALL = {
    "prepare.image_size": 64,
    "train.sizes": [0.5, 0.75],
    "train.crop_fraction": 0.75,
    "train.brightness": 0,
    "train.contrast": 0,
    "train.learning_rate": 0.04,
    "train.weight_decay": 0.15,
    "train.label_smoothing": 0,
}
MIDDLE = {"prepare.image_size": 72, "train.sizes": [0.45, 0.67, 0.89], "train.crop_fraction": 0.6}
LARGE = {"prepare.image_size": 96, "train.sizes": [0.5, 0.67, 0.83], "train.crop_fraction": 0.5}
BUDGETS: dict[str, dict[int, dict[str, Any]]] = {
    "float32": {3: SMALL, 10: MIDDLE, 20: LARGE},
    "bfloat16": {3: MIDDLE, 10: LARGE, 20: LARGE},
}


def prepared(folder: Path, values: dict[str, Any]) -> Path:
    """A clone in which everything before `train` has run."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    set_params(folder, {"ingest.source": str(PICTURES)} | COMMON | values)
    run(folder, "dvc", "repro", "split")
    return folder


def trained(workspace: Path, minutes: float, seed: int) -> dict[str, float]:
    """What `evaluate` found, and the seconds that the stage `train` took, from its start to its end."""
    set_params(workspace, {"train.minutes": minutes, "train.seed": seed})
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tasks.train"], cwd=workspace, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    run(workspace, "python", "-m", "tasks.evaluate")
    return json.loads((workspace / "metrics/evaluate.json").read_text()) | {"seconds": seconds}


def main() -> None:
    precision = choose_precision("auto")
    budgets = BUDGETS[precision]
    minutes = [int(word) for word in sys.argv[1:] if "=" not in word] or [*budgets]
    changes = {
        key: YAML().load(value) for key, _, value in (word.partition("=") for word in sys.argv[1:]) if value
    }
    seeds = YAML().load(f"[{changes.pop('seeds', '1,2,3')}]")
    print(f"{machine()}, {precision}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for budget in minutes:
            workspace = prepared(Path(name, str(budget)), budgets[budget] | changes)
            found = []
            for seed in seeds:
                found.append(one := trained(workspace, budget, seed))
                interval = f"{one['accuracy_low']:.4f} to {one['accuracy_high']:.4f}"
                text = f"accuracy {one['accuracy']:.4f} ({interval}) of {one['num_images']}"
                print(f"{budget} min, seed {seed}: {text}, in {one['seconds']:.0f} s", flush=True)
            accuracies = [one["accuracy"] for one in found]
            spread = statistics.stdev(accuracies) if len(accuracies) > 1 else float("nan")
            print(f"{budget} min: mean {statistics.mean(accuracies):.4f}, spread {spread:.4f}", flush=True)
        split = pd.read_parquet(workspace / "data/split.parquet")
        for epochs in () if changes else (3, 10):
            accuracy, _ = tutorial.train(PICTURES, split, epochs)
            print(f"the tutorial's network, {epochs} epochs: {accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
