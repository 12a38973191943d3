"""Which stage ran when, for how long and on whose word: what `pawline why` tells of an unchanged stage.

A diary, not a cache: nothing is decided by it, and it may be deleted at any time. One line per run in the main
checkout, for its worktrees and experiments too. A run is found again from `dvc.lock` by a digest of what the
stage read and wrote, so that the line that is found is of the run that made these very outputs.
"""

import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.dag import Stage, plain, read_dag, read_yaml
from tasks.workspace import main_checkout

HISTORY = Path(".pawline/history.jsonl")
MAX_BYTES = 4_000_000  # about 16,000 runs; then the older half is dropped

# Files up to this size tell runs apart. Folders and large archives are left out, lest a stage end late.
MAX_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class StageRun:
    """by: "dvc repro", "experiment NAME", or what the one who called said in PAWLINE_RUN."""

    stage: str
    content: str
    finished: datetime
    seconds: float
    by: str

    @property
    def started(self) -> datetime:
        return self.finished - timedelta(seconds=self.seconds)


def record_run() -> None:
    """Called by a stage as its last act, in its own process. Never makes it fail; without DVC it does nothing."""
    name = os.environ.get("DVC_STAGE")
    if not name:
        return
    try:
        params = read_yaml(Path("params.yaml"))
        content = content_of_stage(read_dag(params)[name], params)
        run = StageRun(name, content, datetime.now(UTC), _seconds_since_start(), _who())
        append(main_checkout() / HISTORY, run)
    except Exception as error:  # whatever it is, the stage's own work is done
        print(f"pawline: `pawline why` will not know of this run: {error}", file=sys.stderr)


def _seconds_since_start() -> float:
    """Of this process: imports take a share of a stage."""
    import psutil

    return round(time.time() - psutil.Process().create_time(), 2)


def _who() -> str:
    experiment = os.environ.get("DVC_EXP_NAME")
    return os.environ.get("PAWLINE_RUN") or (f"experiment {experiment}" if experiment else "dvc repro")


def content_of_stage(stage: Stage, params: Mapping[str, Any]) -> str:
    """Of a stage that has just ended in the current folder."""
    files = {path: Path(path) for path in (*stage.deps, *stage.outs)}
    small = {
        path: file for path, file in files.items() if file.is_file() and file.stat().st_size <= MAX_FILE_BYTES
    }
    return _digest(
        {section: params[section] for section in stage.params}, {p: md5_of(f) for p, f in small.items()}
    )


def content_of_entry(entry: Mapping[str, Any]) -> str:
    """The same of a stage's entry in `dvc.lock`."""
    files = [*entry.get("deps", []), *entry.get("outs", [])]
    small = [file for file in files if "md5" in file and file.get("size", 0) <= MAX_FILE_BYTES]
    md5s = {plain(file["path"]): file["md5"] for file in small if not file["md5"].endswith(".dir")}
    return _digest(entry.get("params", {}).get("params.yaml", {}), md5s)


def _digest(params: Mapping[str, Any], md5s: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([params, md5s], sort_keys=True, default=str).encode()).hexdigest()


def md5_of(file: Path) -> str:
    """What DVC knows a file by."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def append(path: Path, run: StageRun) -> None:
    """One line, whoever else appends at the same time. The line break comes first: it parts the line from one that
    a full disk cut short."""
    line = json.dumps({**vars(run), "finished": run.finished.isoformat(timespec="seconds")})
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"\n{line}".encode())
        if file.tell() > MAX_BYTES:
            file.seek(-MAX_BYTES // 2, os.SEEK_END)
            newest = file.read()
            file.truncate(0)
            file.write(newest[newest.index(b"\n") :])


def read_history(path: Path) -> dict[tuple[str, str], StageRun]:
    """The newest run of each (stage, content); nothing where there is no history."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return {}
    return {(run.stage, run.content): run for run in _runs(lines)}


def _runs(lines: list[bytes]) -> Iterator[StageRun]:
    for line in lines:
        try:
            told = json.loads(line)
            finished = datetime.fromisoformat(told["finished"]).astimezone(UTC)
            yield StageRun(
                str(told["stage"]), str(told["content"]), finished, float(told["seconds"]), str(told["by"])
            )
        except (ValueError, TypeError, KeyError):
            continue  # damaged: a run less to tell of
