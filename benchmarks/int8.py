"""Whole numbers of 8 bits beside floats, for docs/decisions/0009-int8.md:

    python -m benchmarks.int8 [CHECKOUT ...]      # default: this one; each after `dvc repro export`

Size; cold: a process that loads engine and network and answers one picture, best of several, wall and CPU time; one
picture and batches of 16 in a warm process, CPU time, both forms in turn; agreement and accuracy as `pawline export
--to onnx-int8` judges them. Three kinds of rounding: maps and filters signed; maps unsigned; and that with filters of 7
bits, which is what Pawline writes.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
from onnxruntime.quantization import QuantType

import pawline.exporting.int8 as writer
from benchmarks.photographs import machine
from benchmarks.predict import process_seconds
from pawline.export_int8 import NUM_CALIBRATION, judge_rounding
from pawline.files import file_digest
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.export_card import export_card_path
from pawline.runtime.model import RuntimeModel

KINDS = {
    "int8, signed": {"activation_type": QuantType.QInt8, "reduce_range": False},
    "int8, maps unsigned": {"reduce_range": False},
    "int8, filters of 7 bits": {},
}
ONE = "import sys, numpy; from pathlib import Path; from pawline.runtime.model import RuntimeModel as M; "
ONE += "m = M(Path(sys.argv[1])); m.probabilities(numpy.zeros((1, *m.engine.input), numpy.uint8))"


def written(exported: Path, pixels: np.ndarray, folder: Path, changes: dict[str, object]) -> Path:
    """The file in a folder of its own, with its export.json."""
    quantize = writer.quantize_static
    with patch.object(writer, "quantize_static", lambda *given, **named: quantize(*given, **named | changes)):
        content = writer.int8_graph(exported.read_bytes(), pixels)
    folder.mkdir()
    (folder / exported.name).write_bytes(content)
    card = json.loads(export_card_path(exported).read_text())
    export_card_path(folder / exported.name).write_text(
        json.dumps(card | {"digest": file_digest(folder / exported.name)})
    )
    return folder / exported.name


def in_turn(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median CPU milliseconds of each, the one after the other."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, ask in work.items():
            start = time.thread_time()
            ask()
            times[name].append(1e3 * (time.thread_time() - start))
    return {name: statistics.median(each) for name, each in times.items()}


def measure(checkout: Path, rounds: int) -> None:
    exported = checkout / "models/model.onnx"
    images, split = PreparedImages(checkout / "data/prepared"), pd.read_parquet(checkout / "data/split.parquet")
    pixels = images.pixels(Part.of("train", images, split).head(NUM_CALIBRATION).rows)
    with TemporaryDirectory() as place:
        files = {"float": exported} | {
            name: written(exported, pixels, Path(place, str(number)), dict(changes))
            for number, (name, changes) in enumerate(KINDS.items())
        }
        models = {name: RuntimeModel(file) for name, file in files.items()}
        network = json.loads((checkout / "models/card.json").read_text())["network"]
        print(f"\n{network}, {models['float'].engine.input} pixels")
        starts = {name: [] for name in files}
        for _ in range(max(3, rounds // 60)):
            for name, file in files.items():
                starts[name].append(process_seconds(sys.executable, "-c", ONE, str(file)))
        ways = {
            count: in_turn(
                {name: lambda m=model, x=pixels[:count]: m.engine.ask(x) for name, model in models.items()}, times
            )
            for count, times in ((1, rounds), (16, rounds // 5))
        }
        for name, file in files.items():
            wall, cpu = (min(kind) for kind in zip(*starts[name], strict=True))
            one, batch = ways[1][name], ways[16][name] / 16
            print(
                f"  {name}: {file.stat().st_size / 1e6:.2f} MB; cold {wall:.2f} s, CPU {cpu:.2f} s; one picture "
                f"{one:.2f} ms ({ways[1]['float'] / one:.1f}x), in a batch {batch:.2f} ms "
                f"({ways[16]['float'] / 16 / batch:.1f}x)"
            )
            if name != "float":
                print(f"    {judge_rounding(models['float'], models[name], images, split)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path()])
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}; VNNI: {'vnni' in Path('/proc/cpuinfo').read_text()}")
    for checkout in arguments.checkouts:
        measure(checkout, arguments.rounds)


if __name__ == "__main__":
    main()
