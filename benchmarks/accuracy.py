"""Accuracy after minutes of training:  python -m benchmarks.accuracy [MINUTES ...] [recipes=auto,release] [seeds=1,2,3]

On the 18,000 photographs in RGB, judged on the 15 % of the test part (2,700 pictures, by duplicate group), which
`evaluate` looks at once per training. `auto` is the one knob, train.minutes and nothing else; `release` the settings
that docs/training.md listed before it; `classic`, `pretrained` and `tutorial` (10 epochs, however long) the other
networks. KEY=VALUE sets another param for all but the tutorial's, such as prepare.color=grayscale, or
prepare.image_size=160 for `pretrained`. Compared with the first recipe named. By default 3, 10 and 20 minutes: four
hours. `python -m benchmarks.accuracy_curve` draws all that is written down.

The settings were chosen on val parts of 20 % beside test parts of 5 %, and the parts are nested by hash: about two
thirds of these 2,700 pictures were val then. The accuracy on the others, which were test then too, is printed beside.

Each training is written down in benchmarks/accuracy.jsonl as it ends, and is not done again on such a machine as long
as the code it depends on stays the same; so stop and go on at will. Measure at rest: minutes buy less on a
busy machine.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from ruamel.yaml import YAML

from benchmarks import tutorial
from benchmarks.photographs import archive, machine
from pawline.judging.clustered import accuracy_interval
from pawline.judging.paired import group_weights
from pawline.model.machine import choose_precision
from pawline.part_by_hash import hash_fraction
from tests.conftest import run, set_params
from tests.source import ROOT

RESULTS = ROOT / "benchmarks/accuracy.jsonl"
CODE = ("pawline/training", "pawline/train.py", "pawline/recipe.py", "params.yaml")
Params = dict[str, Any]
TEST_THEN = 0.05  # split.test_fraction when the settings were chosen
COMMON: Params = {"prepare.color": "rgb"}
# The settings of the release before the one knob, chosen on val (docs/experiments.md).
RELEASE: Params = {
    "train.flip_at_test": True,
    "train.patience": 1000,
    "train.batch_size": 64,
    "train.predict_size": 1.0,
}
RELEASE |= {"train.optimizer": "muon", "train.ema": 0, "train.cutout": 0}
USUAL: Params = {"train.learning_rate": 0.03, "train.weight_decay": 0.05, "train.label_smoothing": 0.05}
USUAL |= {"train.brightness": 0.1, "train.contrast": 0.2}
SMALL: Params = {
    "prepare.image_size": 64,
    "train.sizes": [0.5, 0.75],
    "train.crop_fraction": 0.75,
    "train.brightness": 0,
    "train.contrast": 0,
    "train.learning_rate": 0.04,
    "train.weight_decay": 0.15,
    "train.label_smoothing": 0,
}
MIDDLE = USUAL | {"prepare.image_size": 72, "train.sizes": [0.45, 0.67, 0.89], "train.crop_fraction": 0.6}
LARGE = USUAL | {"prepare.image_size": 96, "train.sizes": [0.5, 0.67, 0.83], "train.crop_fraction": 0.5}


def release(minutes: float) -> Params:
    """What docs/training.md advised for a budget; a machine that trains in bfloat16 took the next larger one's."""
    longer = choose_precision("auto") == "bfloat16"
    if minutes < 7:
        return RELEASE | (MIDDLE if longer else SMALL)
    return RELEASE | (LARGE if longer or minutes > 15 else MIDDLE)


def values_of(recipe: str, minutes: float) -> Params:
    if recipe == "release":
        return release(minutes)
    return {} if recipe == "auto" else {"network.name": recipe}


def prepared(folder: Path, values: Params) -> Path:
    """A clone with these params in which everything before `train` has run; made once for equal pictures."""
    pictures = {key: value for key, value in values.items() if key.startswith("prepare.")}
    workspace = folder / digest(pictures)
    if not workspace.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, workspace], check=True)
    run(workspace, "git", "checkout", "--quiet", "params.yaml")
    set_params(workspace, {"ingest.source": str(archive("cats-dogs-180px.zip"))} | values)
    run(workspace, "dvc", "repro", "split")
    return workspace


def trained(workspace: Path) -> Params:
    """Seconds of the stage `train` from its start to its end, and which test pictures its model names right."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tasks.train"], cwd=workspace, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    for stage in ("export", "evaluate"):
        run(workspace, "python", "-m", f"tasks.{stage}")
    card = json.loads((workspace / "models/card.json").read_text())
    return {
        "seconds": round(seconds, 1),
        "num_steps": card["conditions"]["num_steps"],
        "recipe_of_card": card["recipe"],
    } | judged(workspace)


def judged(workspace: Path) -> Params:
    """The answers on the test part, in the order of the paths: which are right, and which pictures form a group."""
    predictions = pd.read_csv(workspace / "reports/predictions.csv").sort_values("path", ignore_index=True)
    right = (predictions["predicted"] == predictions["actual"]).to_numpy()
    split = pd.read_parquet(workspace / "data/split.parquet").set_index("path").loc[predictions["path"]]
    places = predictions.groupby(split["group"].to_numpy()).indices.values()
    together = [place.tolist() for place in places if len(place) > 1]
    low, high = accuracy_interval(right, groups_of(len(right), together))
    never_val = np.array([hash_fraction(digest, seed=1) < TEST_THEN for digest in split["digest"]])
    return {
        "accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "num_images": len(right),
        "never_val": {"accuracy": float(right[never_val].mean()), "num_images": int(never_val.sum())},
        "right": np.packbits(right).tobytes().hex(),
        "together": together,
        "paths": digest(predictions["path"].tolist()),
    }


def right_of(one: Params) -> NDArray[np.bool_]:
    """(n,) whether each picture's class was found."""
    bits = np.frombuffer(bytes.fromhex(one["right"]), np.uint8)
    return np.unpackbits(bits, count=one["num_images"]).astype(bool)


def groups_of(num_images: int, together: list[list[int]]) -> NDArray[np.int64]:
    """(n,) the group of each picture, numbered from 0; together: the places of those that are not alone."""
    groups = np.arange(num_images)
    for places in together:
        groups[places] = places[0]
    return np.unique(groups, return_inverse=True)[1]


def digest(about: Any) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def here() -> Params:
    return {"machine": machine(), "precision": choose_precision("auto")}


def code() -> str:
    """The state of the code and params that a training depends on, as committed: trainings run in clones."""
    return digest(run(ROOT, "git", "rev-parse", *(f"HEAD:{path}" for path in CODE)).stdout)


def kept() -> dict[str, Params]:
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {one["key"]: one for one in map(json.loads, lines)}


def keep(key: str, result: Params) -> Params:
    with RESULTS.open("a") as file:
        file.write(json.dumps(result | {"key": key}) + "\n")
    return result


def results(recipe: str, minutes: float, seeds: list[int], changes: Params, folder: Path) -> list[Params]:
    """One result per seed, from the file or trained now; none where the training is refused."""
    found = []
    for seed in seeds:
        about = {"recipe": recipe, "minutes": minutes, "seed": seed, "changes": changes} | here()
        key = digest(about | {"code": code()})
        if (one := kept().get(key)) is None:
            values = COMMON | values_of(recipe, minutes) | changes
            workspace = prepared(folder, values | {"train.minutes": minutes, "train.seed": seed})
            try:
                one = keep(key, about | trained(workspace))
            except subprocess.CalledProcessError:
                print(f"{recipe} {minutes:g} min, seed {seed}: refused, as the line above says", flush=True)
                continue
        text = f"accuracy {one['accuracy']:.4f} ({one['low']:.4f} to {one['high']:.4f}) of {one['num_images']:,}"
        text += (
            f", {one['never_val']['accuracy']:.4f} of the {one['never_val']['num_images']:,} that never were val"
        )
        kept_time = f"{one['num_steps']:,} steps, {one['seconds']:.0f} s"
        print(f"{recipe} {minutes:g} min, seed {seed}: {text}; {kept_time}", flush=True)
        found.append(one)
    return found


def of_tutorial(folder: Path) -> Params:
    """The tutorial's network after 10 epochs, from the file or trained now."""
    about = {"recipe": "tutorial"} | here()
    if (one := kept().get(key := digest(about))) is None:
        split = pd.read_parquet(prepared(folder, COMMON) / "data/split.parquet")
        accuracy, seconds = tutorial.train(archive("cats-dogs-180px.zip"), split, 10)
        one = keep(key, about | {"accuracy": accuracy, "seconds": seconds})
    return one


def compare(name: str, own: list[Params], first: list[Params]) -> None:
    """Print mean and spread over the seeds, and the difference to the first recipe on the same pictures."""
    accuracies = [one["accuracy"] for one in own]
    spread = f"{statistics.stdev(accuracies):.4f}" if len(own) > 1 else "unknown (one seed)"
    print(f"{name}: mean {statistics.mean(accuracies):.4f}, spread {spread}", flush=True)
    if own is first:
        return
    if own[0]["paths"] != first[0]["paths"]:
        print("  no paired difference: the test parts differ", flush=True)
        return
    gain = np.mean([right_of(one) for one in own], axis=0) - np.mean([right_of(one) for one in first], axis=0)
    groups = groups_of(len(gain), own[0]["together"])
    drawn = np.concatenate([weights @ gain / weights.sum(axis=1) for weights in group_weights(groups, 1, 2000)])
    low, high = np.percentile(drawn, [2.5, 97.5])
    print(
        f"  {100 * gain.mean():+.2f} points ({100 * low:+.2f} to {100 * high:+.2f}, pictures drawn anew)",
        flush=True,
    )


def main() -> None:
    words = [word for word in sys.argv[1:] if "=" not in word]
    options = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    recipes = options.pop("recipes", "auto,release").split(",")
    seeds = [int(seed) for seed in options.pop("seeds", "1,2,3").split(",")]
    changes = {key: YAML().load(value) for key, value in options.items()}
    print(", ".join(here().values()), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for minutes in map(float, words or ["3", "10", "20"]):
            first: list[Params] = []
            for recipe in recipes:
                if recipe == "tutorial":
                    continue
                own = results(recipe, minutes, seeds, changes, Path(name))
                first = first or own
                if own:
                    compare(f"{recipe} {minutes:g} min", own, first)
        if "tutorial" in recipes:
            one = of_tutorial(Path(name))
            print(f"the tutorial's network, 10 epochs: {one['accuracy']:.4f}; {one['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
