"""ONNX Runtime beside LiteRT, for docs/decisions/0008-light-engine.md:

    python -m benchmarks.engines --write FOLDER      # in the project's environment: untrained networks, both forms
    python benchmarks/engines.py --measure FOLDER    # with a Python that has onnxruntime and ai-edge-litert

Cold: a process that loads engine and network and answers one picture; the best of several in turn, wall and CPU time.
One picture: p50 in a warm process. Batch: pictures per second in batches of 64. All in turn, so that other work on the
machine meets all alike. Only the bytes of the installed packages are compared for size.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import numpy as np

Ask = Callable[[np.ndarray], np.ndarray]
PACKAGES = {"ONNX Runtime": "onnxruntime", "LiteRT": "ai-edge-litert"}
SUFFIXES = {"ONNX Runtime": ".onnx", "LiteRT": ".tflite"}


def write(folder: Path) -> None:
    from pawline.exporting.graph import onnx_graph
    from pawline.exporting.other_forms import write_litert
    from pawline.params.prepare import ImageForm
    from pawline.params.whole import load_params
    from pawline.training.networks import build_network, finish_network, pretrained

    params = load_params().network
    folder.mkdir(parents=True, exist_ok=True)

    def form(side: int, color: Any) -> ImageForm:
        return ImageForm(image_size=side, color=color, aspect="stretch", background=255)

    models = {}
    for name, side, color in [("classic", 64, "grayscale"), ("fast", 64, "grayscale"), ("fast", 96, "rgb")]:
        chosen = params.model_copy(update={"name": name})
        trained = build_network(chosen, form(side, color), 2, "float32")
        models[f"{name}-{side}"] = finish_network(trained, chosen, form(side, color), 2, flip=False)
    for architecture in ("MobileNetV3Small", "EfficientNetV2B0"):
        chosen_one = params.pretrained.model_copy(update={"architecture": architecture})
        models[f"{architecture}-160"] = pretrained._network(chosen_one, form(160, "rgb"), 2, "float32", None)
    for name, model in models.items():
        (folder / f"{name}.onnx").write_bytes(onnx_graph(model))
        write_litert(model, folder / f"{name}.tflite")
        shape = (64, *model.input_shape[1:])
        np.save(folder / f"{name}.npy", np.random.default_rng(1).integers(0, 256, shape, np.uint8))
        print(f"{name}: {(folder / f'{name}.onnx').stat().st_size / 1e6:.1f} MB")


def onnx_runtime(file: str, num_threads: int = 1) -> Ask:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run(["logits"], {"pixels": pixels})[0])


def litert(file: str, num_threads: int = 1) -> Ask:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(file, num_threads=num_threads)
    place, found = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    size = 0

    def ask(pixels: np.ndarray) -> np.ndarray:
        nonlocal size
        if size != len(pixels):
            interpreter.resize_tensor_input(place, pixels.shape)
            interpreter.allocate_tensors()
            size = len(pixels)
        interpreter.set_tensor(place, pixels.astype(np.float32))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(found))

    return ask


LOADERS: dict[str, Callable[..., Ask]] = {"ONNX Runtime": onnx_runtime, "LiteRT": litert}


def measure(folder: Path, rounds: int) -> None:
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, ", end="")
    print(f"Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}")
    for engine, package in PACKAGES.items():
        size = sum(file.locate().stat().st_size for file in files(package) or [] if file.locate().is_file())  # type: ignore[attr-defined]
        print(f"{engine}: {package} {version(package)}, {size / 1e6:.0f} MB installed")
    for pixels_file in sorted(folder.glob("*.npy")):
        cold: dict[str, list[tuple[float, float]]] = {engine: [] for engine in LOADERS}
        for _ in range(rounds):
            for engine in LOADERS:
                cold[engine].append(cold_start(engine, pixels_file))
        pixels = np.load(pixels_file)
        ways = {
            (engine, threads): loader(str(pixels_file.with_suffix(SUFFIXES[engine])), threads)
            for engine, loader in LOADERS.items()
            for threads in (1, 2)
        }
        one: dict[Any, list[float]] = {way: [] for way in ways}
        many: dict[Any, list[float]] = {way: [] for way in ways}
        for times, batch, count in [(one, pixels[:1], 6 * rounds), (many, pixels, 3)]:
            for ask in ways.values():
                ask(batch)
            for _ in range(count):
                for way, ask in ways.items():
                    ask(batch)
                    start = time.perf_counter()
                    ask(batch)
                    times[way].append(time.perf_counter() - start)
        for (engine, threads), each in one.items():
            wall, cpu = (min(kind) for kind in zip(*cold[engine], strict=True))
            rate = len(pixels) / min(many[engine, threads])
            print(
                f"{pixels_file.stem:22} {engine:13} threads {threads}: one picture "
                f"{statistics.median(each) * 1e3:.2f} ms, batch {rate:.0f}/s; cold {wall:.3f} s, CPU {cpu:.3f} s"
            )


def cold_start(engine: str, pixels_file: Path) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, __file__, "--cold", engine, pixels_file], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("--measure", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--cold", nargs=2, metavar=("ENGINE", "FILE"), help="one process of `--measure`")
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write)
    elif arguments.measure:
        measure(arguments.measure, arguments.rounds)
    elif arguments.cold:
        engine, pixels_file = arguments.cold[0], Path(arguments.cold[1])
        LOADERS[engine](str(pixels_file.with_suffix(SUFFIXES[engine])))(np.load(pixels_file)[:1])
    else:
        parser.error("give --write FOLDER, then --measure FOLDER")


if __name__ == "__main__":
    main()
