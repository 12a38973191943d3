"""Speed and error of the image path against the plain loop, side by side:  python -m benchmarks.decode

The plain loop is what tutorials write: imread in grayscale, resize, append. Ours reads the same files and also
takes a digest, checks the header and honours EXIF. The best of several interleaved rounds counts, since
other work on the machine takes cores away. Error: mean absolute difference, in grey levels of 255, from a full
decode shrunk by OpenCV's area filter.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from benchmarks.photographs import machine, unpack
from pawline.files import read_regular_file
from pawline.pictures.decode import BadImage, decode_image

ROUNDS = 15
Images = list[np.ndarray]


def plain_loop(files: list[Path], size: int) -> Images:
    images = []
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if image is not None:
            images.append(cv2.resize(image, (size, size)))
    return images


def ours(files: list[Path], size: int) -> Images:
    def one(file: Path) -> np.ndarray | None:
        data = read_regular_file(file)
        hashlib.sha256(data).hexdigest()
        try:
            return decode_image(data, size, "grayscale")[:, :, 0]
        except BadImage:
            return None

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [image for image in pool.map(one, files) if image is not None]


def reference(files: list[Path], size: int) -> Images:
    decoded = [cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_GRAYSCALE) for file in files]
    return [cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in decoded]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def error(images: Images, truth: Images) -> float:
    return float(
        np.mean([np.abs(a.astype(int) - b.astype(int)).mean() for a, b in zip(images, truth, strict=True)])
    )


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        files = [file for file in unpack("cats-dogs-original.zip", Path(folder)) if file.stat().st_size]
        print(f"{len(files)} photographs of about 500 x 375, best of {ROUNDS} interleaved rounds")
        for size in (50, 64):
            cv2.setNumThreads(0)
            plain, fast = [], []
            for _ in range(ROUNDS):
                plain.append(seconds(lambda: plain_loop(files, size)))  # noqa: B023 - called at once
                fast.append(seconds(lambda: ours(files, size)))  # noqa: B023
            truth = reference(files, size)
            errors = error(plain_loop(files, size), truth), error(ours(files, size), truth)
            best_round = max(p / f for p, f in zip(plain, fast, strict=True))
            print(
                f"{size} px: plain loop {len(files) / min(plain):.0f} images/s, ours {len(files) / min(fast):.0f}"
            )
            print(
                f"  {min(plain) / min(fast):.2f} x between the best rounds, {best_round:.2f} x in the best round"
            )
            print(f"  error {errors[0]:.2f} and {errors[1]:.2f} of 255: a share of {errors[1] / errors[0]:.2f}")


if __name__ == "__main__":
    main()
