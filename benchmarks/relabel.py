"""One loop of relabelling on planted flips:  python -m benchmarks.relabel [SHARE] [PER_CLASS] [EPOCHS]

EPOCHS 0 (the default is 25) takes a small model of seconds in place of the network, to try the loop.

A share of the labels (10 %) of a drawn data set is flipped, in every part. Models of 3 folds name suspects; a person
who knows the truth decides about each; the decisions go through data/relabel.csv's own code into a second data set, and
both data sets train the same network with the same seed. The test is paired (McNemar, exact), first on the test labels
as they were, flipped ones included; then, as a second figure, on the test labels as corrected.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.photographs import machine
from benchmarks.planted import TakenIn, draw, flip_labels, out_of_fold, take_in, train_and_predict
from pawline.relabel import Decision, read_decisions, write_decisions
from pawline.suspects import HeldOutPredictions, find_suspects

NUM_FOLDS = 3


def decide(data: TakenIn, truth: dict[str, str], epochs: int, file: Path) -> list[Decision]:
    """A person who knows the truth decides about each suspect, in a file as `pawline relabel` takes it."""
    judged = HeldOutPredictions(out_of_fold(data, NUM_FOLDS, epochs), "folds")
    found = find_suspects(judged, data.images.class_names)
    decisions = [
        Decision(row.digest, row.path, truth.get(row.digest, row.label), "who knows", "")
        for row in found.itertuples()
    ]
    num_right = sum(one.digest in truth for one in decisions)
    print(f"{len(found)} suspects, {num_right} of the {len(truth)} flipped labels among them", flush=True)
    write_decisions(file, decisions)
    return read_decisions(file)


def right(data: TakenIn, epochs: int, digests: pd.Series) -> np.ndarray:
    """The class that the model trained on this data gives each test picture."""
    table = data.split.set_index("digest").loc[digests]
    rows = data.images.rows_of(table["path"])
    return train_and_predict(data, data.split, epochs, rows).argmax(axis=1)


def compare(name: str, labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    gained, lost = (
        int(((before != labels) & (after == labels)).sum()),
        int(((before == labels) & (after != labels)).sum()),
    )
    p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    print(
        f"{name}: {(before == labels).mean():.3f} before, {(after == labels).mean():.3f} after; "
        f"{gained} gained, {lost} lost of {len(labels)}, McNemar p {p:.3g}"
    )


def main() -> None:
    share, per_class, epochs = (
        kind(given) for kind, given in zip((float, int, int), [*sys.argv[1:], "0.1", "300", "25"][:3], strict=True)
    )
    model = f"{epochs} epochs" if epochs else "a light model"
    print(f"{machine()}; {share:.0%} of the labels flipped, {per_class} pictures per class, {model}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = draw(folder / "data", 31, per_class)
        truth = flip_labels(source, share, seed=1)
        first = take_in(source, folder / "first")
        second = take_in(source, folder / "second", decide(first, truth, epochs, folder / "relabel.csv"))
        test = first.split[first.split["split"] == "test"]
        labels = second.split.set_index("digest")["label"]
        test = test[test["digest"].isin(labels.index)]
        before, after = (right(data, epochs, test["digest"]) for data in (first, second))
    compare("test labels unchanged", test["label"].to_numpy(), before, after)
    compare("test labels corrected", labels.loc[test["digest"]].to_numpy(), before, after)


if __name__ == "__main__":
    main()
