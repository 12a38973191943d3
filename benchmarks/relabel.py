"""The loop of relabelling on the photographs:  python -m benchmarks.relabel FOLDER [SHARE] [KEY=VALUE ...]

In FOLDER, which is kept, a clone takes in the 18,000 photographs. A share (by default 10 %) of the labels of train and
val is flipped, chosen by chance; test labels stay. Then the commands of docs/labels.md: `dvc repro`, `pawline folds 3`,
`pawline suspects`, a person who knows which labels were flipped decides about every suspect, `pawline relabel`,
`dvc repro`, and `pawline compare` of the two models on the test pictures, whose labels nobody touched. By default
48 px, RGB, 1,000 steps a training, 30 % test; KEY=VALUE sets another param.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.clones import call, make_clone, params_of, run_of_model
from benchmarks.photographs import unpack
from pawline.relabel import Decision, write_decisions
from tests.conftest import set_params

PARAMS: dict[str, Any] = {
    "prepare.color": "rgb",
    "prepare.image_size": 48,
    "split.val_fraction": 0.1,
    "split.test_fraction": 0.3,
    "train.steps": 1000,
    "train.patience": 1000,
}
NUM_FOLDS, ALL = "3", "1000000"


def main() -> None:
    folder, *words = sys.argv[1:]
    share = float(next((word for word in words if "=" not in word), 0.1))
    params = PARAMS | params_of(words)
    clone = make_clone(folder, params)
    unpack("cats-dogs-180px.zip", clone.parent)
    source = clone.parent / "PetImages"
    set_params(clone, {"ingest.source": str(source)} | params)
    call(clone, "dvc", "repro", "split")
    truth = flip(source, pd.read_parquet(clone / "data/split.parquet"), share)
    call(clone, "dvc", "repro", "evaluate")
    before = run_of_model(clone)
    start = time.perf_counter()
    print(call(clone, "pawline.cli", "folds", NUM_FOLDS), f"{time.perf_counter() - start:.0f} s", flush=True)
    found = json.loads(call(clone, "pawline.cli", "suspects", "--json", "--limit", ALL))
    decide(found["suspects"], truth, clone.parent / "decisions.csv")
    print(call(clone, "pawline.cli", "relabel", str(clone.parent / "decisions.csv")), flush=True)
    call(clone, "dvc", "repro", "evaluate")
    print(call(clone, "pawline.cli", "compare", before, run_of_model(clone)))


def flip(source: Path, split: pd.DataFrame, share: float) -> dict[str, str]:
    """Move a share of the pictures of train and val to the other class. Returns the true class of each, by digest."""
    pictures = split[split["split"] != "test"]
    chosen = pictures.sample(frac=share, random_state=1).sort_values("path")
    for path in chosen["path"]:
        name, file = path.split("/")
        other = next(one.name for one in source.iterdir() if one.is_dir() and one.name != name)
        (source / path).rename(source / other / f"{name}-{file}")
    print(f"{len(chosen)} of {len(pictures)} labels of train and val flipped", flush=True)
    return dict(zip(chosen["digest"], chosen["path"].str.split("/").str[0], strict=True))


def decide(suspects: list[dict[str, Any]], truth: dict[str, str], file: Path) -> None:
    """A person who knows which labels were flipped decides about each suspect."""
    decisions = [
        Decision(one["digest"], one["path"], truth.get(one["digest"], one["label"]), "who knows", "")
        for one in suspects
    ]
    is_flipped = np.array([one["digest"] in truth for one in suspects])
    print(f"{len(suspects)} suspects, {is_flipped.sum()} of the {len(truth)} flipped labels among them")
    for part in (0.5, 0.8, 0.9):
        if is_flipped.sum() >= part * len(truth):
            needed = int(np.searchsorted(is_flipped.cumsum(), np.ceil(part * len(truth)))) + 1
            print(f"  recall {part:.0%}: precision {is_flipped[:needed].mean():.2f}")
    write_decisions(file, decisions)


if __name__ == "__main__":
    main()
