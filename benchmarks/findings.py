"""Planted faults that the report must name:  python -m benchmarks.findings [PART ...] [epochs=12]

On data sets drawn by code, 300 pictures per class, by default everything:
clean     ten data sets without a fault: no alarm may be raised (mistakes at random, 1 in 10)
shortcut  one class brighter; one class as PNG: the trait must be named, and no other
drift     the test part brighter
leak      copies of train pictures, encoded again, in test
labels    2 % of the labels flipped: precision and recall of the ranking, by models of 3 folds trained for so many
          epochs, and how it agrees with the package cleanlab where that is installed
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.photographs import machine
from benchmarks.planted import PARAMS, TakenIn, draw, flip_labels, out_of_fold, take_in
from pawline.judging.drift import drift, leaks
from pawline.judging.many_tests import one_of_each_group
from pawline.judging.segments import weak_segments
from pawline.judging.shortcuts import shortcuts
from pawline.judging.traits import measure_traits
from pawline.judging.wrong_labels import rank_labels

PER_CLASS = 300
NUM_CLEAN = 10
BRIGHTER = 30  # grey levels
EPOCHS = 12  # 0: a light model in place of the network, see benchmarks/planted.py


def alarms(data: TakenIn) -> dict[str, list[str]]:
    """The names of the alarms of each kind."""
    parts = {}
    for part in ("train", "val", "test"):
        rows = one_of_each_group(data.split[data.split["split"] == part])
        parts[part] = measure_traits(data.images, data.index, data.images.rows_of(rows["path"]))
    is_correct = np.random.default_rng(1).random(len(parts["test"])) < 0.9
    found = {
        "segments": weak_segments(parts["test"], is_correct),
        "shortcuts": shortcuts(parts["train"], pd.concat([parts["val"], parts["test"]])),
        "drift": drift(parts["train"], parts["test"]),
    }
    named = {kind: table[table["alarm"]]["trait"].tolist() for kind, table in found.items()}
    return named | {"leaks": leaks(data.images, data.split)["path"].tolist()}


def clean(folder: Path) -> None:
    for seed in range(1, NUM_CLEAN + 1):
        found = alarms(take_in(draw(folder / f"{seed}", seed, PER_CLASS), folder / f"work{seed}"))
        print(f"clean {seed}: {sum(map(len, found.values()))} alarms {found}", flush=True)


def shortcut(folder: Path) -> None:
    brighter = draw(folder / "brighter", 21, PER_CLASS)
    change(brighter / "dog", lambda pixels: cv2.add(pixels, np.full_like(pixels, BRIGHTER)))
    print(f"dogs {BRIGHTER} grey levels brighter: {alarms(take_in(brighter, folder / 'work1'))}", flush=True)
    png = draw(folder / "png", 22, PER_CLASS)
    change(png / "dog", lambda pixels: pixels, suffix=".png")
    print(f"dogs as PNG: {alarms(take_in(png, folder / 'work2'))}", flush=True)


def drifted(folder: Path) -> None:
    data = take_in(draw(folder / "data", 23, PER_CLASS), folder / "first")
    test = set(data.split[data.split["split"] == "test"]["path"])
    parts = folder / "parts"
    for row in data.split.itertuples():
        place = parts / ("test" if row.path in test else "train") / row.path
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / row.path).rename(place)
    change(parts / "test", lambda pixels: cv2.add(pixels, np.full_like(pixels, BRIGHTER)))
    print(f"test {BRIGHTER} grey levels brighter: {alarms(take_in(parts, folder / 'work'))}", flush=True)


def leak(folder: Path) -> None:
    """Without the search for near-duplicates, so that the split lets them through."""
    params = PARAMS.model_copy(update={"split": PARAMS.split.model_copy(update={"near_duplicates": False})})
    source = draw(folder / "data", 24, PER_CLASS)
    pictures = sorted(source.rglob("*.jpg"))[::30]
    for file in pictures:
        pixels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        cv2.imwrite(str(file.with_name(f"copy-{file.name}")), pixels, [cv2.IMWRITE_JPEG_QUALITY, 60])
    data = take_in(source, folder / "work", params=params)
    part = data.split.set_index("path")["split"]
    pairs = [(f"{file.parent.name}/{file.name}", f"{file.parent.name}/copy-{file.name}") for file in pictures]
    planted = sum({part[one], part[other]} == {"train", "test"} for one, other in pairs)
    print(f"{planted} copies planted on both sides of train and test: named {alarms(data)['leaks']}", flush=True)


def change(folder: Path, how: Callable[[np.ndarray], np.ndarray], suffix: str = ".jpg") -> None:
    """Decode, change and encode every picture of a folder, as JPEG in the quality that it had about."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        pixels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
        file.unlink()
        cv2.imwrite(str(file.with_suffix(suffix)), how(pixels), [cv2.IMWRITE_JPEG_QUALITY, 80])


def labels(folder: Path) -> None:
    epochs = next((int(word[7:]) for word in sys.argv[1:] if word.startswith("epochs=")), EPOCHS)
    source = draw(folder / "data", 25, PER_CLASS)
    truth = flip_labels(source, 0.02, seed=1)
    data = take_in(source, folder / "work")
    judged = out_of_fold(data, num_folds=3, epochs=epochs)
    names = data.images.class_names
    given = pd.Index(names).get_indexer(pd.Index(judged["label"])).astype(np.int64)
    probabilities = judged[[f"probability_{name}" for name in names]].to_numpy(float)
    ranked = rank_labels(given, probabilities)
    is_flipped = judged["digest"].isin(truth).to_numpy()[ranked["row"]]
    accuracy = (probabilities.argmax(axis=1) == given).mean()
    suspects = ranked["is_suspect"].to_numpy()
    right = int((suspects & is_flipped).sum())
    print(
        f"{is_flipped.sum()} of {len(judged)} labels flipped; accuracy of the folds on them as given {accuracy:.3f}"
    )
    print(f"suspects {suspects.sum()}, of them flipped {right}: precision {right / max(suspects.sum(), 1):.2f}")
    hits = np.cumsum(is_flipped)
    for recall in (0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 1.0):
        needed = int(np.argmax(hits >= np.ceil(recall * is_flipped.sum())))
        print(
            f"recall {recall:.0%}: precision {hits[needed] / (needed + 1):.2f} ({needed + 1} pictures looked at)"
        )
    compare_with_cleanlab(given, probabilities, suspects[np.argsort(ranked["row"].to_numpy())])


def compare_with_cleanlab(given: np.ndarray, probabilities: np.ndarray, ours: np.ndarray) -> None:
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        print("cleanlab is not installed: not compared")
        return
    theirs = find_label_issues(given, probabilities, filter_by="confident_learning", n_jobs=1)
    print(f"cleanlab names {theirs.sum()}; {(theirs != ours).sum()} pictures are judged differently")


PARTS = {"clean": clean, "shortcut": shortcut, "drift": drifted, "leak": leak, "labels": labels}


def main() -> None:
    print(machine(), flush=True)
    for name in [word for word in sys.argv[1:] if "=" not in word] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
