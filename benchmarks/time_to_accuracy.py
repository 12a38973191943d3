"""Until `fast` passes what the tutorial's network reaches in 10 epochs:  python -m benchmarks.time_to_accuracy

Both from the archive with the 18,000 photographs on, with 5 % val and 5 % test, loading TensorFlow not counted:
the tutorial's network reads its pictures itself, `fast` has them ingested, prepared and split, and trains for
STEPS steps. Takes four to nine minutes.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import tutorial
from benchmarks.accuracy import RELEASE, SMALL
from benchmarks.photographs import archive, machine
from benchmarks.planted import take_in
from pawline.model.saved import predict_rows
from pawline.params.whole import load_params
from pawline.parts import Part
from pawline.train import train
from tests.conftest import set_params
from tests.source import ROOT

STEPS = 300  # chosen on val (docs/experiments.md)
PICTURES = archive("cats-dogs-180px.zip")
SIZE = {"prepare.image_size": 32, "train.sizes": [1.0]}  # chosen on val, of 32, 48 and 64 px
PARTS = {"prepare.color": "rgb", "split.val_fraction": 0.05, "split.test_fraction": 0.05}


def fast(folder: Path) -> tuple[float, pd.DataFrame, list[float]]:
    """The accuracy on test, the split, and the times at the start, before the training, and at the end."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    set_params(folder, RELEASE | SMALL | SIZE | PARTS)
    params = load_params(folder / "params.yaml")
    steps = params.train.model_copy(update={"steps": STEPS})
    times = [time.perf_counter()]
    data = take_in(PICTURES, folder, params)
    times.append(time.perf_counter())
    model = train(data.images, data.split, params.network, steps).model
    times.append(time.perf_counter())
    test = Part.of("test", data.images, data.split)
    right = predict_rows(model, data.images, test.rows).argmax(axis=1) == test.labels
    return float(right.mean()), data.split, times


def main() -> None:
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        accuracy, split, times = fast(Path(name))
    prepared, trained = np.diff(times)
    text = f"{prepared:.0f} s until the pictures are prepared and split, {trained:.0f} s of training"
    print(f"fast: {accuracy:.4f} after {prepared + trained:.0f} s ({text})", flush=True)
    reached, seconds = tutorial.train(PICTURES, split, 10)
    print(f"the tutorial's network: {reached:.4f} after {seconds:.0f} s")
    ratio = (prepared + trained) / seconds
    print(f"{ratio:.2f} of its time{'' if accuracy > reached else ', WITHOUT PASSING IT'}")
    sys.exit(accuracy <= reached)


if __name__ == "__main__":
    main()
