"""Folds and the learning curve of the photographs:  python -m benchmarks.recipe [COMMAND] [KEY=VALUE ...]

Both commands, or the one that COMMAND names, on the 18,000 photographs, by default 64 px, RGB and 600 steps a training,
which makes 15 trainings; KEY=VALUE sets another param, such as train.steps=100 for a short try.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clones import clone_project, params_of
from benchmarks.photographs import archive, machine
from tests.conftest import run, set_params

PARAMS: dict[str, Any] = {
    "prepare.color": "rgb",
    "prepare.image_size": 64,
    "split.val_fraction": 0.05,
    "split.test_fraction": 0.05,
    "train.steps": 600,
    "train.patience": 1000,
}
COMMANDS = (("folds", "5"), ("learning-curve",))


def main() -> None:
    changes, chosen = params_of(sys.argv[1:]), {word for word in sys.argv[1:] if "=" not in word}
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        clone = clone_project(Path(name, "clone"))
        set_params(clone, {"ingest.source": str(archive("cats-dogs-180px.zip"))} | PARAMS | changes)
        run(clone, "dvc", "repro", "split")
        for command in (one for one in COMMANDS if not chosen or one[0] in chosen):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "pawline.cli", *command], cwd=clone, check=True)
            print(f"{' '.join(command)}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
