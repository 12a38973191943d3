"""Accuracy of a frozen network:  python -m benchmarks.pretrained [COUNT ...] [draws=1,2] [scratch=3] [KEY=VALUE ...]

EfficientNetLite0, frozen, on photographs of 160 pixels in RGB. COUNT pictures are drawn for train and val (15 % of
them), by default 200, 1,000 and 5,000; each draw takes others. 2,700 others judge. Every line gives the interval of
`evaluate`, and the seconds of the stage `train`: first, when the features of all pictures are still to be computed, and
second, when only the penalty is another. 18000 takes all that are left. scratch=3 also trains `fast` from scratch on
the same pictures, with train.minutes=3. Any param can be given, such as prepare.image_size=224 or
network.pretrained.architecture=EfficientNetLite1.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from benchmarks.clones import clone_project, params_of
from benchmarks.photographs import archive, machine
from tests.conftest import run, set_params

PICTURES = archive("cats-dogs-180px.zip")
PARAMS = {"prepare.image_size": 160, "prepare.color": "rgb", "network.name": "pretrained"}
COUNTS = [200, 1000, 5000]


def prepared(folder: Path, values: dict[str, Any]) -> pd.DataFrame:
    """Make a clone in which everything before `train` has run. Returns the split of all pictures."""
    clone_project(folder)
    set_params(folder, {"ingest.source": str(PICTURES)} | PARAMS | values)
    run(folder, "dvc", "repro", "split")
    return pd.read_parquet(folder / "data/split.parquet")


def drawn(split: pd.DataFrame, count: int, draw: int) -> pd.DataFrame:
    """`count` pictures of train and val, 15 % of them val; test as it is."""
    test, rest = split[split["split"] == "test"], split[split["split"] != "test"]
    order = np.random.default_rng(draw).permutation(len(rest))[:count]
    chosen = rest.iloc[order]
    parts = np.where(np.arange(len(chosen)) < round(0.15 * len(chosen)), "val", "train")
    return pd.concat([chosen.assign(split=parts), test], ignore_index=True)


def seconds_of_train(workspace: Path, values: dict[str, Any]) -> float:
    set_params(workspace, values)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tasks.train"], cwd=workspace, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measured(workspace: Path) -> str:
    run(workspace, "python", "-m", "tasks.export")
    run(workspace, "python", "-m", "tasks.evaluate")
    found = json.loads((workspace / "metrics/evaluate.json").read_text())
    interval = f"{found['accuracy_low']:.4f} to {found['accuracy_high']:.4f}"
    return f"accuracy {found['accuracy']:.4f} ({interval}) of {found['num_images']}"


def main() -> None:
    counts = [int(word) for word in sys.argv[1:] if "=" not in word] or COUNTS
    values = params_of(sys.argv[1:])
    scratch = values.pop("scratch", None)
    draws = YAML().load(f"[{values.pop('draws', '1,2')}]")
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name, "workspace")
        split = prepared(workspace, values)
        for count in counts:
            for draw in draws:
                drawn(split, count, draw).to_parquet(workspace / "data/split.parquet", index=False)
                shutil.rmtree(workspace / ".pawline/features", ignore_errors=True)
                pretrained = {"network.name": "pretrained", "train.minutes": values.get("train.minutes")}
                first = seconds_of_train(workspace, pretrained | {"network.pretrained.penalty": 1.0})
                second = seconds_of_train(workspace, {"network.pretrained.penalty": "auto"})
                text = f"train {first:.0f} s, then {second:.0f} s"
                print(f"{count} pictures, draw {draw}: {measured(workspace)}; {text}", flush=True)
                if scratch:
                    seconds = seconds_of_train(workspace, {"network.name": "fast", "train.minutes": scratch})
                    print(f"  from scratch: {measured(workspace)}; train {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
