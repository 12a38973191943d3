"""Peak memory of training on 18,000 and on 72,000 pictures:  python -m benchmarks.train_memory

RGB at 64 px, `fast`, two minutes each. The larger set is the photographs four times, mirrored and in other
contrast. The figure is the largest RssAnon of the process, which leaves out mapped files: the system can take
those back.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks.clones import clone_project
from benchmarks.photographs import archive, machine
from pawline.prepared import PreparedImages, write_description
from tests.conftest import run, set_params

ALTERED = [lambda x: x, lambda x: x[:, :, ::-1], lambda x: x // 2, lambda x: 255 - x // 2]


def clone(folder: Path) -> Path:
    clone_project(folder)
    values = {"ingest.source": str(archive("cats-dogs-180px.zip")), "prepare.color": "rgb", "train.minutes": 2}
    set_params(folder, values | {"split.val_fraction": 0.05, "split.test_fraction": 0.05})
    run(folder, "dvc", "repro", "split")
    return folder


def multiply(workspace: Path) -> None:
    """Each image in each of the alterations, under other paths, in the same part."""
    folder, split = workspace / "data/prepared", pd.read_parquet(workspace / "data/split.parquet")
    images = PreparedImages(folder)
    shards = [np.load(path) for path in sorted(folder.glob("images-*.npy"))]
    number = len(shards)
    for alter in ALTERED[1:]:
        for shard in shards:
            np.save(folder / f"images-{number:05}.npy", np.ascontiguousarray(alter(shard)))
            number += 1
    copies = range(len(ALTERED))
    table = pd.concat([images.table.assign(path=images.table["path"] + f"?{copy}") for copy in copies])
    hashes = np.concatenate([np.array(images.hashes)] * len(ALTERED))
    write_description(folder, table, hashes, images.class_names, images.decoder, images.form)
    split = pd.concat([split.assign(path=split["path"] + f"?{copy}") for copy in copies])
    split.to_parquet(workspace / "data/split.parquet", index=False)


def peak_megabytes(workspace: Path) -> float:
    child = psutil.Popen([sys.executable, "-m", "tasks.train"], cwd=workspace, stdout=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
        peak = max(peak, *(int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
        time.sleep(0.1)
    if child.returncode:
        sys.exit("tasks.train failed")
    return peak / 1024


def main() -> None:
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        workspace = clone(Path(name, "clone"))
        small = peak_megabytes(workspace)
        print(f"18,000 images: {small:.0f} MB", flush=True)
        multiply(workspace)
        large = peak_megabytes(workspace)
        print(f"72,000 images: {large:.0f} MB, {large / small:.2f} x")


if __name__ == "__main__":
    main()
