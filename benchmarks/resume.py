"""Twenty kills of a training, each at a random point:  python -m benchmarks.resume [KILLS]

`dvc repro` on drawn pictures, with SIGKILL to all of its processes somewhere in the stage `train`; then the same
command again. The model must equal the uninterrupted one to the byte, and MLflow must have one run of it, whose
curve has each epoch once. Exits with 1 unless all did.
"""

import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pawline.files import file_digest
from tests.background import commands_in, kill_group, saved_step, wait_for
from tests.conftest import environment_of_commands, make_workspace, run, set_params

EPOCHS = 250  # most of the stage's time, then, and not loading TensorFlow


def start(workspace: Path, *options: str) -> subprocess.Popen[str]:
    """`dvc repro` of the stage `train`, in a process group of its own, writing to repro.log."""
    with (workspace / "repro.log").open("ab") as log:
        return subprocess.Popen(
            ["dvc", "repro", *options, "train"],
            cwd=workspace,
            stdout=log,
            stderr=log,
            env=environment_of_commands(),
            start_new_session=True,
            text=True,
        )


def train_is_running(workspace: Path) -> bool:
    return any("tasks.train" in command for command in commands_in(workspace))


def killed_after(seconds: float, workspace: Path) -> None:
    """A fraction of the stage's time, which includes loading TensorFlow."""
    process = start(workspace)
    wait_for(lambda: train_is_running(workspace) or process.poll() is not None)
    time.sleep(seconds)
    kill_group(process)
    wait_for(lambda: not commands_in(workspace))


def curve(workspace: Path) -> tuple[int, list[int]]:
    """How many MLflow runs there are, and the epochs of the validation loss, as they were logged."""
    with sqlite3.connect(workspace / "mlflow.db") as store:
        [(runs,)] = store.execute("select count(*) from runs").fetchall()
        steps = store.execute("select step from metrics where key = 'val_loss' order by step").fetchall()
    return runs, [step for (step,) in steps]


def main() -> None:
    kills, good = int(sys.argv[1]) if len(sys.argv) > 1 else 20, 0
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        before = make_workspace(Path(name, "before"))
        set_params(before, {"train.epochs": EPOCHS, "train.patience": 1000})
        run(before, "dvc", "repro", "split")
        whole = Path(shutil.copytree(before, Path(name, "whole"), symlinks=True))
        process, begin = start(whole), 0.0
        wait_for(lambda: train_is_running(whole))
        begin = time.monotonic()
        process.wait()
        seconds = time.monotonic() - begin
        wanted = file_digest(whole / "models/model.keras")
        print(f"uninterrupted: {seconds:.0f} s in `train`", flush=True)
        for number in range(1, kills + 1):
            workspace = Path(shutil.copytree(before, Path(name, str(number)), symlinks=True))
            at = rng.uniform(0, seconds)
            killed_after(at, workspace)
            at_kill = curve(workspace)[1] if (workspace / "mlflow.db").exists() else []
            saved = saved_step(workspace)
            run(workspace, "dvc", "repro", "train")
            same = file_digest(workspace / "models/model.keras") == wanted
            runs, epochs = curve(workspace)
            continuous = runs == 1 and epochs == list(range(1, EPOCHS + 1))
            good += same and continuous
            text = f"killed after {at:4.1f} s, {len(at_kill)} epochs logged, state of step {saved}"
            print(f"{number:2} {text}: {'equal' if same else 'DIFFERENT'}, {runs} MLflow run, "
                  f"{'each epoch once' if continuous else f'epochs {epochs}'}", flush=True)  # fmt: skip
            shutil.rmtree(workspace)
    print(f"{good} of {kills} equal to the uninterrupted one, in one MLflow run with one curve")
    sys.exit(good != kills)


if __name__ == "__main__":
    main()
