"""What the service alone takes:  python -m benchmarks.serve_alone

A virtual environment is made from requirements-serve.lock, as the Dockerfile does it, and the project put into it.
There `pawline predict`, `pawline serve`, its walk and the Dockerfile's health check run with nothing else: no git, no
variables. Printed are the packages, the size on disk, the seconds from the start of the command to the first answer
(best of five), and the memory at rest (RssAnon).

Needs `models/` of this checkout (`dvc repro`) and uv.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.abuse import good_picture
from benchmarks.photographs import machine
from benchmarks.service import anonymous_megabytes
from pawline.workspace.layout import Layout, LocalState

HEAVY = ("tensorflow", "keras", "mlflow", "prefect", "dvc", "pandas", "scipy", "onnx")


def install(folder: Path) -> Path:
    """The folder of the commands of a new environment."""
    uv = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin/python")]
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    subprocess.run([*uv, "--require-hashes", "-r", "requirements-serve.lock"], check=True)
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(name, source)
    shutil.copytree("pawline", source / "pawline")
    subprocess.run([*uv, "--no-deps", "--no-build-isolation", str(source)], check=True)
    shutil.rmtree(source)
    return folder / "bin"


def megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*")) / 1e6


def lay_model(folder: Path) -> Path:
    """The model with its cards and, where it is kept, the network for its walk."""
    at = Layout()
    folder.mkdir()
    for file in (at.exported, at.export_card, at.card):
        shutil.copy(file, folder)
    kept = LocalState(Path()).walks / json.loads(at.export_card.read_text())["model_digest"]
    if kept.is_dir():
        shutil.copytree(kept, folder / "walk")
    return folder / at.exported.name


def predicted(binaries: Path, model: Path, picture: Path) -> tuple[str, float]:
    """(what `predict` prints, the seconds of the whole command)."""
    command = [binaries / "pawline", "predict", "--model", model, picture]
    started = time.perf_counter()
    done = subprocess.run(command, env={"PATH": str(binaries)}, cwd=model.parent, capture_output=True, check=True)
    return done.stdout.decode().strip(), time.perf_counter() - started


def served(binaries: Path, model: Path, picture: bytes, walk: bool) -> tuple[float, float, list[str]]:
    """(seconds to the first answer, memory at rest, what was answered). walk: whether to ask for the walk too."""
    command = [binaries / "pawline", "serve", "--model", model, "--port", "0"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, env={"PATH": str(binaries)}, cwd=model.parent, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        place = re.search(r"http://\S+/", line)
        if place is None:
            sys.exit(line + process.stderr.read())
        answers = [ask(f"{place[0]}predict", picture)]
        seconds, memory = time.perf_counter() - started, anonymous_megabytes(process.pid)
        if walk:
            answers.append(ask(f"{place[0]}explain", picture))
            answers.append(f"memory after a walk {anonymous_megabytes(process.pid):.0f} MB")
            answers.append(f"health check: exit code {check_health(binaries, place[0])}")
        process.terminate()
    return seconds, memory, answers


def ask(address: str, picture: bytes) -> str:
    request = urllib.request.Request(address, picture, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request) as answer:
        content = answer.read().decode()
    return content if len(content) < 1000 else f"a page of {len(content) / 1e6:.1f} MB"


def check_health(binaries: Path, place: str) -> int:
    """The exit code of the Dockerfile's health check, at the port in use."""
    _, _, text = Path("Dockerfile").read_text().partition("HEALTHCHECK")
    [command] = re.findall(r"^ +(\[.*\])$", text, re.MULTILINE)
    name, *arguments = json.loads(command.replace("http://127.0.0.1:8000/", place))
    return subprocess.run([binaries / name, *arguments], env={"PATH": str(binaries)}, check=False).returncode


def main() -> None:
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        binaries = install(folder / "environment")
        found = f"import importlib.util as u; print([one for one in {HEAVY} if u.find_spec(one)])"
        shown = subprocess.run([binaries / "python", "-c", found], capture_output=True, text=True, check=True)
        packages = list((folder / "environment").glob("lib/*/site-packages/*.dist-info"))
        size, whole = megabytes(folder / "environment"), megabytes(Path(sys.executable).parents[1])
        print(f"{len(packages)} packages, {size:.0f} MB; the whole project's environment: {whole:.0f} MB")
        print(f"heavy packages in it: {shown.stdout.strip()}")
        model, picture = lay_model(folder / "model"), folder / "picture.jpg"
        picture.write_bytes(good_picture())
        answers = [predicted(binaries, model, picture) for _ in range(5)]
        print(f"predict: {answers[0][0]}; {min(seconds for _, seconds in answers):.2f} s")
        starts = [served(binaries, model, picture.read_bytes(), walk=number == 0) for number in range(5)]
        print(
            f"serve: the first answer after {min(start[0] for start in starts):.2f} s; {starts[0][1]:.0f} MB at rest"
        )
        print("\n".join(starts[0][2]))


if __name__ == "__main__":
    main()
