"""How long an answer takes:  python -m benchmarks.predict [--pictures 2000] [--rounds 5]

Whole process: `pawline predict one.jpg` beside importing TensorFlow, each started in turn; the best counts, and the
CPU time too, since other work on the machine takes cores away.
Warm: one photograph of about 500 x 375, bytes to answer, in one process, in turn: ours, its two parts, and Keras.
Folder: the command's own loop beside decoding and the engine by themselves (the same threads, nothing else), and
beside a loop that decodes and calls `model.predict` in batches of 32.

Needs `models/` of this checkout (`dvc repro`), and the photographs for measuring.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.photographs import machine, unpack
from pawline.pictures.decode import decode_image
from pawline.predict import Predictor
from pawline.threads import num_threads
from pawline.workspace.layout import Layout

WARM_QUESTIONS = 40


def process_seconds(*command: str) -> tuple[float, float]:
    """Wall and CPU seconds of a command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def whole_process(picture: Path, rounds: int) -> None:
    ours = [str(Path(sys.executable).with_name("pawline")), "predict", str(picture)]
    theirs = [sys.executable, "-c", "import tensorflow"]
    times: dict[str, list[tuple[float, float]]] = {"pawline predict": [], "import tensorflow": []}
    for _ in range(rounds):
        times["pawline predict"].append(process_seconds(*ours))
        times["import tensorflow"].append(process_seconds(*theirs))
    best = {name: [min(kind) for kind in zip(*runs, strict=True)] for name, runs in times.items()}
    for name, (wall, cpu) in best.items():
        print(f"whole process, {name}: {wall:.3f} s, CPU {cpu:.3f} s (best of {rounds})")
    (ours_wall, ours_cpu), (wall, cpu) = best.values()
    print(f"  {wall / ours_wall:.1f} x as fast, {cpu / ours_cpu:.1f} x by CPU time")


def warm(photographs: list[bytes], predictor: Predictor, keras_model: object) -> None:
    from pawline.model.saved import predict_probabilities

    form = predictor.card.form
    engine = predictor._model.engine
    decoded = np.stack([decode_image(data, **form) for data in photographs[:1]])
    ways: dict[str, Callable[[bytes], object]] = {
        "ours": lambda data: list(predictor.predict([data])),
        "  decoding alone": lambda data: decode_image(data, **form),
        "  the engine alone": lambda data: engine.ask(decoded),
        "compiled TensorFlow": lambda data: predict_probabilities(keras_model, decode_image(data, **form)[None]),
        "model.predict": lambda data: keras_model.predict(decode_image(data, **form)[None], verbose=0),  # type: ignore[attr-defined]
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for data in islice(cycle(photographs), WARM_QUESTIONS + 3):
        for name, way in ways.items():
            start = time.perf_counter()
            way(data)
            times[name].append(time.perf_counter() - start)
    p50 = {name: statistics.median(each[3:]) * 1e3 for name, each in times.items()}
    for name, each in p50.items():
        print(f"warm, {name}: p50 {each:.2f} ms, {each / p50['ours']:.2f} of ours")


def folder(files: list[Path], predictor: Predictor, keras_model: object) -> None:
    form, engine, batch_size = predictor.card.form, predictor._model.engine, predictor._model.batch_size

    def bare(paths: list[Path]) -> object:
        return engine.ask(np.stack([decode_image(path.read_bytes(), **form) for path in paths]))

    def bare_loop() -> None:
        with ThreadPoolExecutor(num_threads()) as pool:
            list(pool.map(bare, [files[start : start + batch_size] for start in range(0, len(files), batch_size)]))

    def keras_loop() -> None:
        some = files[: len(files) // 4]  # it is slow
        for start in range(0, len(some), 32):
            pixels = np.stack([decode_image(path.read_bytes(), **form) for path in some[start : start + 32]])
            keras_model.predict(pixels, verbose=0)  # type: ignore[attr-defined]

    ways = {
        "ours": (lambda: list(predictor.predict_files(files)), len(files)),
        "decoding and engine": (bare_loop, len(files)),
        "model.predict": (keras_loop, len(files) // 4),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, (way, count) in ways.items():
            start = time.perf_counter()
            way()
            rates[name].append(count / (time.perf_counter() - start))
    for name, each in rates.items():
        print(f"folder, {name}: {max(each):.0f} pictures/s; ours is {max(rates['ours']) / max(each):.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place:
        files = [file for file in unpack("cats-dogs-original.zip", Path(place)) if file.stat().st_size]
        whole_process(files[0], arguments.rounds)
        from pawline.model.saved import load_model

        predictor, keras_model = Predictor(Layout().exported), load_model(Layout().model)
        photographs = [file.read_bytes() for file in files[:20]]
        warm(photographs, predictor, keras_model)
        print(
            f"{arguments.pictures} photographs, {num_threads()} threads, batches of {predictor._model.batch_size}"
        )
        folder(list(islice(cycle(files), arguments.pictures)), predictor, keras_model)


if __name__ == "__main__":
    main()
