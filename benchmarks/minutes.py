"""The one knob:  python -m benchmarks.minutes [SET ...] [minutes=1,3,10] [KEY=VALUE ...]

`dvc exp run -S train.minutes=N` and nothing else, in a clone of its own per set: `photographs` (18,000), `digits`
(scikit-learn's 1,797 of 8 x 8 pixels) and `shapes` (ten classes of drawn shapes, 1,000 each, 32 x 32 pixels, overlaid
with noise). Prints the recipe's line, accuracy on the test part with its interval, and how long the stage `train` took
of its minutes. KEY=VALUE sets another param. All sets: 45 minutes; measure on a machine at rest.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from ruamel.yaml import YAML

from benchmarks.clones import call, clone_project, params_of
from benchmarks.photographs import archive, machine
from pawline.model.machine import choose_precision
from tests.conftest import set_params

SIDE, PER_CLASS = 32, 1000


def digits(folder: Path) -> Path:
    from sklearn.datasets import load_digits

    found = load_digits()
    for number, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
        save(folder / str(label) / f"{number:04}.png", (image * (255 / 16)).astype(np.uint8))
    return folder


def shapes(folder: Path) -> Path:
    """Polygons of 3 to 7 corners, stars of 3 to 6 points, and discs; turned, in any size and grey, under noise."""
    for label in range(10):
        for number in range(PER_CLASS):
            save(
                folder / f"shape {label}" / f"{number:04}.png",
                shape(label, np.random.default_rng([label, number])),
            )
    return folder


def shape(label: int, rng: np.random.Generator) -> np.ndarray:
    """uint8 (32, 32)."""
    corners = 60 if label == 9 else 3 + label if label < 5 else 2 * (label - 2)
    is_star = 5 <= label < 9
    angles = rng.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners
    radii = rng.uniform(6, 13) * np.where(np.arange(corners) % 2, 0.45 if is_star else 1.0, 1.0)
    points = rng.uniform(13, 19, 2) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    dark, bright = sorted(rng.uniform(40, 215, 2))
    image = np.full((SIDE, SIDE), dark if rng.random() < 0.5 else bright, np.float32)
    cv2.fillPoly(image, [np.round(points * 16).astype(np.int32)], float(dark + bright - image[0, 0]), shift=4)
    return (image + rng.normal(0, 25, image.shape)).clip(0, 255).astype(np.uint8)


def save(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)


def photographs(_: Path) -> Path:
    return archive("cats-dogs-180px.zip")


SETS: dict[str, Callable[[Path], Path]] = {"photographs": photographs, "digits": digits, "shapes": shapes}


def measured(clone: Path, minutes: float) -> str:
    call(clone, "dvc", "exp", "run", "-S", f"train.minutes={minutes:g}")
    log = (clone.parent / "log.txt").read_text()
    recipe = [line for line in log.splitlines() if "chosen for" in line][-1]
    figures = json.loads((clone / "metrics/evaluate.json").read_text())
    interval = f"{figures['accuracy_low']:.4f} to {figures['accuracy_high']:.4f}"
    [train] = json.loads(call(clone, "pawline.cli", "why", "train", "--json"))
    accuracy = f"accuracy {figures['accuracy']:.4f} ({interval}) of {figures['num_images']:,}"
    return f"{accuracy}; train took {train['saved_seconds']:.0f} of {60 * minutes:.0f} s\n  {recipe}"


def main() -> None:
    words, changes = [word for word in sys.argv[1:] if "=" not in word], params_of(sys.argv[1:])
    all_minutes = YAML().load(f"[{changes.pop('minutes', '1,3,10')}]")
    print(f"{machine()}, {choose_precision('auto')}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for chosen in words or SETS:
            clone = clone_project(Path(name, chosen, "clone"))
            set_params(clone, {"ingest.source": str(SETS[chosen](Path(name, chosen, "pictures")))} | changes)
            call(clone, "dvc", "repro", "split")
            for minutes in all_minutes:
                print(f"{chosen}, {minutes:g} min: {measured(clone, minutes)}", flush=True)


if __name__ == "__main__":
    main()
