"""Peak memory of the data stages at 10,000 and at 100,000 images:  python -m benchmarks.memory

The pictures are drawn (soft random blots, no two alike), so that their number can be anything. Each stage
runs as DVC runs it, without DVC; the figure is the largest resident set of its process.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.photographs import machine
from tests.source import ROOT

STAGES = ["ingest", "prepare", "split"]


def draw(folder: Path, count: int) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(count):
        blots = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
        done, data = cv2.imencode(".jpg", blots)
        assert done
        (folder / "ab"[number % 2] / f"{number:06}.jpg").write_bytes(data.tobytes())


def peak_megabytes(stage: str, workspace: Path) -> float:
    child = subprocess.Popen([sys.executable, "-m", f"tasks.{stage}"], cwd=workspace)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"tasks.{stage} failed")
    return usage.ru_maxrss / 1024


def measure(count: int, folder: Path) -> dict[str, float]:
    workspace = folder / str(count)
    for package in ("pawline", "tasks"):
        shutil.copytree(ROOT / package, workspace / package)
    draw(workspace / "pictures", count)
    params = (ROOT / "params.yaml").read_text().replace("source: data/generated.yaml", "source: pictures")
    (workspace / "params.yaml").write_text(params)
    return {stage: peak_megabytes(stage, workspace) for stage in STAGES}


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        small, large = measure(10_000, Path(folder)), measure(100_000, Path(folder))
    for stage in STAGES:
        ratio = large[stage] / small[stage]
        print(f"{stage}: {small[stage]:.0f} MB at 10,000, {large[stage]:.0f} MB at 100,000: {ratio:.2f} x")


if __name__ == "__main__":
    main()
