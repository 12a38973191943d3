"""How well pictures unlike the training data are found:  python -m benchmarks.unlike [--pictures 300]

Asks the model of this checkout (`dvc repro`) about its own test part, which must raise few alarms; about drawn animals
of another seed, and about photographs where they are there: one of these is what the model knows, the other foreign;
and about test pictures that were altered or replaced. Prints the share called unlike, with its 95 % interval (Wilson),
and what the distance adds to the time of an answer.
"""

import argparse
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from benchmarks.photographs import SHARED, machine
from benchmarks.planted import draw
from pawline.parts import Part
from pawline.pictures.decode import BadImage, decode_image
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.workspace.layout import Layout

Pixels = NDArray[np.uint8]
RNG = np.random.default_rng(1)


def text_page(picture: Pixels) -> Pixels:
    page = np.full(picture.shape[:2], 255, np.uint8)
    for line in range(8, len(page), 9):
        words = "".join(RNG.choice(list("abcdefghij "), 12))
        cv2.putText(page, words, (0, line), cv2.FONT_HERSHEY_PLAIN, 0.6, 0)
    return np.repeat(page[:, :, None], picture.shape[2], 2)


def tiles(picture: Pixels) -> Pixels:
    """The picture in 4 x 4 tiles, in random order."""
    side = len(picture) // 4
    cut = [picture[y * side : (y + 1) * side, x * side : (x + 1) * side] for y in range(4) for x in range(4)]
    order = RNG.permutation(16)
    rows = [np.concatenate([cut[place] for place in order[row * 4 : row * 4 + 4]], axis=1) for row in range(4)]
    small = np.concatenate(rows)
    return np.asarray(cv2.resize(small, picture.shape[1::-1])).reshape(picture.shape)


def blurred(picture: Pixels) -> Pixels:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 3)).reshape(picture.shape)


ALTERED: dict[str, Callable[[Pixels], Pixels]] = {
    "one grey": lambda picture: np.full_like(picture, RNG.integers(256)),
    "noise": lambda picture: RNG.integers(0, 256, picture.shape, np.uint8),
    "a page of text": text_page,
    "test, at a quarter of the light": lambda picture: picture // 4,
    "test, blurred by 3 pixels": blurred,
    "test, with noise of 40 levels": lambda picture: (
        (picture + RNG.normal(0, 40, picture.shape)).clip(0, 255).astype(np.uint8)
    ),
    "test, negative": lambda picture: 255 - picture,
    "test, in 16 shuffled tiles": tiles,
    "test, upside down": lambda picture: picture[::-1],
}


def show(model: RuntimeModel, name: str, pictures: Pixels) -> None:
    found = [model.answers(pictures[start : start + 16])[1] for start in range(0, len(pictures), 16)]
    unlike = int(sum((distances > 1).sum() for distances in found if distances is not None))
    interval = binomtest(unlike, len(pictures)).proportion_ci(method="wilson")
    share = f"{unlike / len(pictures):7.1%} ({interval.low:.1%} to {interval.high:.1%})"
    print(f"{name:<34} {share:<26} of {len(pictures)}", flush=True)


def show_cost(model: RuntimeModel, pictures: Pixels) -> None:
    """The median of processor time over pictures, each asked alone, with the distance and without it in turn."""
    added = []
    for number in range(len(pictures)):
        one = pictures[number : number + 1]
        start = time.thread_time()
        model.probabilities(one)
        between = time.thread_time()
        model.answers(one)
        added.append(time.thread_time() - between - (between - start))
    print(f"the distance adds {1000 * statistics.median(added):.2f} ms of processor time to a picture")


def decoded(files: list[bytes], form: dict[str, object]) -> Pixels:
    found = []
    for data in files:
        try:
            found.append(decode_image(data, **form))  # type: ignore[arg-type]
        except BadImage:
            continue
    return np.stack(found)


def photographs(count: int) -> list[bytes]:
    with zipfile.ZipFile(SHARED / "cats-dogs-original.zip") as opened:
        names = [name for name in opened.namelist() if name.lower().endswith(".jpg")]
        return [opened.read(name) for name in names[:: max(1, len(names) // count)][:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300, help="of each kind, at most")
    count, at = parser.parse_args().pictures, Layout()
    model, images = RuntimeModel(at.exported), PreparedImages(at.prepared)
    if model.reference is None:
        sys.exit(f"{at.export_card}: describes no training data; bring it up to date with `dvc repro export`")
    test = images.pixels(Part.of("test", images, pd.read_parquet(at.split)).rows)
    print(f"{machine()}; promised: at most {model.reference.false_alarms:.1%} of the test part", flush=True)
    show(model, "test", test)
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(draw(Path(folder) / "drawn", seed=2, per_class=max(10, count // 2)).rglob("*.*"))
        show(
            model, "drawn animals of another seed", decoded([file.read_bytes() for file in files], model.card.form)
        )
    if (SHARED / "cats-dogs-original.zip").is_file():
        show(model, "photographs", decoded(photographs(count), model.card.form))
    for name, alter in ALTERED.items():
        show(model, name, np.stack([alter(picture) for picture in test[:count]]))
    show_cost(model, test[:count])


if __name__ == "__main__":
    main()
