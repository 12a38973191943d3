"""How often `pawline drift` is wrong, and what it sees:  python -m benchmarks.drift [--draws 200] [--sizes 50 200 1000]

Asks the model of this checkout (`dvc repro`) about its test part once. Then so many draws of each size from it, without
replacement: each verdict "drift" is a false alarm. Then the same draws with planted changes, encoded again as JPEG: the
share that names the trait. Prints the shares with their 95 % intervals (Wilson). All draws come from one test part, so
the intervals leave out the chance of that part.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.photographs import machine
from pawline.drift import NewPictures, judge
from pawline.new_pictures import ask
from pawline.pictures.decode import BadImage
from pawline.predict import Predictor, read_picture
from pawline.workspace.layout import Layout

Change = Callable[[np.ndarray], np.ndarray]


def changed(file: Path, change: Change) -> bytes | BadImage:
    pixels = cv2.imread(str(file))
    return cv2.imencode(".jpg", change(pixels), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def brighter(levels: int, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.add(pixels, np.full_like(pixels, levels)))


def darker(pixels: np.ndarray) -> np.ndarray:
    return pixels // 8


def blurred(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2))


def answers(predictor: Predictor, files: list[Path], change: Change | None = None) -> pd.DataFrame:
    pictures = (
        (str(file), partial(changed, file, change) if change else partial(read_picture, file)) for file in files
    )
    return NewPictures.of(ask(predictor, pictures)).table


def draws(
    table: pd.DataFrame, size: int, count: int, mixed: pd.DataFrame | None, share: float
) -> Iterator[pd.DataFrame]:
    rng = np.random.default_rng(size)
    for _ in range(count):
        rows = rng.choice(len(table), size, replace=False)
        num_mixed = round(share * size)
        parts = [table.iloc[rows[num_mixed:]]]
        if mixed is not None:
            parts.append(mixed.iloc[rows[:num_mixed]])
        yield pd.concat(parts, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 1000])
    arguments, at = parser.parse_args(), Layout()
    predictor = Predictor(at.exported)
    reference = predictor.reference_or_refuse()
    split = pd.read_parquet(at.split)
    files = [at.raw / path for path in split[split["split"] == "test"].drop_duplicates("group")["path"]]
    clean = answers(predictor, files)
    brighter_by_10 = answers(predictor, files, partial(brighter, 10))
    planted: dict[str, tuple[pd.DataFrame, str, pd.DataFrame | None, float]] = {
        "nothing changed": (clean, "", None, 0.0),
        "10 grey levels brighter": (clean, "brightness", brighter_by_10, 1.0),
        "25 grey levels brighter": (clean, "brightness", answers(predictor, files, partial(brighter, 25)), 1.0),
        "blurred by 2 pixels": (clean, "sharpness", answers(predictor, files, blurred), 1.0),
        "a tenth at an eighth of the light": (clean, "unlike", answers(predictor, files, darker), 0.1),
        "one class alone": (clean[clean["class"] == clean["class"].iloc[0]], "class", None, 0.0),
    }
    print(
        f"{machine()}; {len(clean)} test pictures; {arguments.draws} draws; verdicts that name the change",
        flush=True,
    )
    for name, (table, trait, mixed, share) in planted.items():
        for size in arguments.sizes:
            if size > min(len(table), len(table if mixed is None else mixed)):
                continue
            verdicts = [
                judge(reference, NewPictures(drawn, 0, 0))
                for drawn in draws(table, size, arguments.draws, mixed, share)
            ]
            named = sum(trait in verdict.differing if trait else verdict.is_drift for verdict in verdicts)
            low, high = binomtest(named, arguments.draws).proportion_ci(method="wilson")
            share_named = f"{named / arguments.draws:6.1%} ({low:.1%} to {high:.1%})"
            print(f"{name:<34} {trait or 'anything':<11} {size:>5} pictures: {share_named}", flush=True)


if __name__ == "__main__":
    main()
