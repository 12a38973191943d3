"""The real photographs that the benchmarks measure on, and the line that names the machine."""

import os
import platform
import sys
import zipfile
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def archive(name: str) -> Path:
    """../shared/data/<name>, or a clear end where it is not there: research photographs are never shipped."""
    path = SHARED / name
    if not path.is_file():
        sys.exit(f"{path}: not there; put the archive of photographs at that place to measure")
    return path


def unpack(name: str, folder: Path) -> list[Path]:
    """The .jpg files of an archive, on disk."""
    with zipfile.ZipFile(archive(name)) as opened:
        names = [name for name in opened.namelist() if name.lower().endswith(".jpg")]
        opened.extractall(folder, names)
    return [folder / name for name in names]


def machine() -> str:
    """The hardware, as it stands beside every figure."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
