"""Until `fast` passes what the tutorial's network reaches in 10 epochs:  python -m benchmarks.time_to_accuracy

Both on the 18,000 photographs with 5 % val and 5 % test, from the archive on: for `fast` the whole of `dvc repro`
on a clone that has run nothing, with the budget of MINUTES; the tutorial's network reads its pictures itself.
Takes six minutes.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks import tutorial
from benchmarks.accuracy import PICTURES
from benchmarks.photographs import machine
from tests.conftest import run, set_params
from tests.source import ROOT

MINUTES = 0.4


def main() -> None:
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name, "clone")
        subprocess.run(["git", "clone", "--quiet", ROOT, workspace], check=True)
        values = {"ingest.source": str(PICTURES), "split.val_fraction": 0.05, "split.test_fraction": 0.05}
        values |= {"prepare.image_size": 48, "train.minutes": MINUTES, "train.patience": 1000}
        set_params(workspace, values)
        start = time.perf_counter()
        run(workspace, "dvc", "repro", "evaluate")
        ours = time.perf_counter() - start
        accuracy = json.loads((workspace / "metrics/evaluate.json").read_text())["accuracy"]
        print(f"fast: {accuracy:.4f} after {ours:.0f} s, all of `dvc repro` told", flush=True)
        split = pd.read_parquet(workspace / "data/split.parquet")
    seconds: list[float] = []
    reached = tutorial.train(PICTURES, split, 10, lambda epoch, so_far: seconds.append(so_far))
    print(f"the tutorial's network: {reached:.4f} after {seconds[-1]:.0f} s")
    print(f"{ours / seconds[-1]:.2f} of its time{'' if accuracy > reached else ', WITHOUT PASSING IT'}")
    sys.exit(accuracy <= reached)


if __name__ == "__main__":
    main()
