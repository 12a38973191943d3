"""Until `fast` passes what the tutorial's network reaches in 10 epochs:  python -m benchmarks.time_to_accuracy

Both on the 18,000 photographs with 5 % val and 5 % test, from the archive on. The tutorial's network reads its
pictures itself. For `fast` the stages before `train` run in a clone that has run nothing, each counted from the
start of its process to its end, and then a training of a budget of seconds. For neither of them loading
TensorFlow counts, nor DVC. Takes six minutes.
"""

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks import tutorial
from benchmarks.accuracy import BUDGETS, COMMON, PICTURES, prepared
from benchmarks.photographs import machine
from pawline.params import load_params
from pawline.shards import Part, PreparedImages
from tasks.history import HISTORY, read_history

SECONDS = 25


def fast(workspace: Path) -> tuple[float, float]:
    """The accuracy on test, and the seconds of the training."""
    from pawline.model import predict_rows
    from pawline.train import FINISH_SECONDS, train

    params = load_params(workspace / "params.yaml")
    images, split = PreparedImages(workspace / "data/prepared"), pd.read_parquet(workspace / "data/split.parquet")
    budget = params.train.model_copy(update={"minutes": (SECONDS + FINISH_SECONDS) / 60})  # nothing is saved here
    start = time.perf_counter()
    model = train(images, split, params.network, budget).model
    seconds = time.perf_counter() - start
    test = Part.of("test", images, split)
    return float((predict_rows(model, images, test.rows).argmax(axis=1) == test.labels).mean()), seconds


def main() -> None:
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        workspace = prepared(Path(name, "clone"), COMMON | BUDGETS[3] | {"prepare.image_size": 48})
        before = sum(run.seconds for run in read_history(workspace / HISTORY).values())
        accuracy, training = fast(workspace)
        ours = before + training
        told = f"{before:.0f} s until the pictures are prepared and split, {training:.0f} s of training"
        print(f"fast: {accuracy:.4f} after {ours:.0f} s ({told})", flush=True)
        split = pd.read_parquet(workspace / "data/split.parquet")
    seconds: list[float] = []
    reached = tutorial.train(PICTURES, split, 10, lambda epoch, so_far: seconds.append(so_far))
    print(f"the tutorial's network: {reached:.4f} after {seconds[-1]:.0f} s")
    print(f"{ours / seconds[-1]:.2f} of its time{'' if accuracy > reached else ', WITHOUT PASSING IT'}")
    sys.exit(accuracy <= reached)


if __name__ == "__main__":
    main()
