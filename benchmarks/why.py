"""What `pawline why` takes on 18,000 photographs where nothing changed, beside `dvc status`:

python -m benchmarks.why

The source is a folder, which costs DVC most.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clones import clone_project
from benchmarks.photographs import machine, unpack

ROUNDS = 7
WHY = ("-m", "pawline.cli", "why")
STATUS = ("-m", "dvc", "status", "--json")


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        files = unpack("cats-dogs-180px.zip", Path(name, "source"))
        clone = taken_in(files[0].parents[1], Path(name, "clone"))
        rounds = [(seconds(clone, *STATUS), seconds(clone, *WHY)) for _ in range(ROUNDS)]  # interleaved
    status, why = map(min, zip(*rounds, strict=True))
    print(f"dvc status {status:.2f} s; pawline why {why:.2f} s ({why / status:.2f} x)")


def taken_in(source: Path, clone: Path) -> Path:
    """A clone of this project whose data stages are up to date with a source."""
    clone_project(clone)
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("source: data/generated.yaml", f"source: {source}"))
    seconds(clone, "-m", "dvc", "repro", "split")
    return clone


def seconds(folder: Path, *arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
