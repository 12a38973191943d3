"""What asking for a whole part costs:  python -m benchmarks.batch [CHECKOUT] [--pictures 4000] [--rounds 5]

The stage `evaluate` asks the exported model for prepared pictures. Beside it, in turn, in one process: the bare forward
pass of the same network in TensorFlow, compiled, in batches of 256, and in the engine, by the same threads, both with
all pixels in memory and nothing else to do. The median of the rounds' ratios counts. Needs `data/prepared` and
`models/` of the checkout (`dvc repro`).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.photographs import machine
from pawline.card import read_card
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.threads import num_threads
from pawline.workspace.layout import Layout

TENSORFLOW, ENGINE = "compiled TensorFlow, bare", "the engine, bare"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, nargs="?", default=Path())
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    at = Layout()
    images, model = (
        PreparedImages(arguments.checkout / at.prepared),
        RuntimeModel(arguments.checkout / at.exported),
    )
    rows = np.fromiter(islice(cycle(range(len(images.table))), arguments.pictures), np.int64)
    pixels = images.pixels(rows)
    print(f"{machine()}; {num_threads()} threads; load {os.getloadavg()[0]:.1f}")
    print(f"{read_card(arguments.checkout / at.model).network}, {len(rows):,} pictures of {pixels.shape[1:]}")
    ways: dict[str, Callable[[], object]] = {
        "evaluate": lambda: model.logits_of_rows(images, rows),
        TENSORFLOW: compiled(arguments.checkout / at.model, pixels),
        ENGINE: bare_engine(model, pixels),
    }
    rounds = [measured(ways) for _ in range(arguments.rounds + 1)][1:]  # the first warms up
    for name in ways:
        rate = len(rows) / statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one["evaluate"] / one[name] for one in rounds)
        print(f"{name}: {rate:,.0f} pictures/s; evaluate takes {ratio:.2f} times as long")
    print(f"load {os.getloadavg()[0]:.1f}")


def measured(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each way, one after the other."""
    seconds = {}
    for name, way in ways.items():
        start = time.perf_counter()
        way()
        seconds[name] = time.perf_counter() - start
    return seconds


def compiled(file: Path, pixels: np.ndarray, batch_size: int = 256) -> Callable[[], object]:
    from pawline.model.backend import tf
    from pawline.model.saved import load_model

    network = load_model(file)
    forward = tf.function(
        lambda batch: network(batch, training=False),
        input_signature=[tf.TensorSpec((None, *pixels.shape[1:]), tf.uint8)],
    )
    batches = [tf.constant(pixels[start : start + batch_size]) for start in range(0, len(pixels), batch_size)]
    return lambda: [forward(batch).numpy() for batch in batches]


def bare_engine(model: RuntimeModel, pixels: np.ndarray) -> Callable[[], object]:
    size = model.batch_size
    batches = [pixels[start : start + size] for start in range(0, len(pixels), size)]

    def ask() -> object:
        with ThreadPoolExecutor(num_threads()) as pool:
            return list(pool.map(model.engine.ask, batches))

    return ask


if __name__ == "__main__":
    main()
