"""What 1 % new photographs cost `prepare`, and a no-op costs DVC, side by side:  python -m benchmarks.incremental

17,820 of the 18,000 photographs are prepared first, with an empty cache; then the others are added and `prepare`
runs again. In the other measurement a workspace with all of them is up to date.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clones import clone_project
from benchmarks.decode import seconds
from benchmarks.photographs import machine, unpack
from pawline.ingest import ingest
from pawline.params.ingest import IngestParams
from pawline.params.prepare import PrepareParams
from pawline.params.whole import load_params
from pawline.prepare import prepare
from tests.source import ROOT

ROUNDS = 5


def measure_prepare(files: list[Path], folder: Path, params: PrepareParams) -> tuple[float, float]:
    """(seconds of the first time, seconds with 1 % new)."""
    held_back = files[::100]
    aside = folder / "aside"
    for file in held_back:
        (aside / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.move(file, aside / file.parent.name / file.name)
    source = IngestParams(source=str(files[0].parents[1]), sha256=None)

    def run() -> float:
        index = ingest(source, folder / "raw", folder / "downloads").rows.table()
        return seconds(lambda: prepare(index, folder / "raw", folder / "prepared", params, folder / "cache"))

    first = run()
    for file in held_back:
        shutil.move(aside / file.parent.name / file.name, file)
    again = run()
    shutil.rmtree(folder / "cache")
    return first, again


def measure_no_op(source: Path, folder: Path) -> tuple[float, float]:
    """(seconds of `dvc status`, seconds of `dvc repro`) with the data stages up to date, best of several."""
    clone = clone_project(folder / "clone")
    text = (clone / "params.yaml").read_text().replace("source: data/generated.yaml", f"source: {source}")
    (clone / "params.yaml").write_text(text)

    def dvc(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=clone, check=True, capture_output=True)

    dvc("repro", "split")
    status, repro = [], []
    for _ in range(ROUNDS):  # interleaved: other work on the machine hits both alike
        status.append(seconds(lambda: dvc("status", "ingest", "prepare", "split")))
        repro.append(seconds(lambda: dvc("repro", "split")))
    return min(status), min(repro)


def main() -> None:
    print(machine())
    params = load_params(ROOT / "params.yaml").prepare
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = unpack("cats-dogs-180px.zip", folder / "source")
        for _ in range(ROUNDS):
            first, again = measure_prepare(files, folder, params)
            print(f"prepare: first time {first:.2f} s, 1 % new {again:.2f} s: {again / first:.1%} of it")
        status, repro = measure_no_op(files[0].parents[1], folder)
        print(f"nothing new: dvc status {status:.2f} s, dvc repro {repro:.2f} s: {repro / status:.2f} x")


if __name__ == "__main__":
    main()
