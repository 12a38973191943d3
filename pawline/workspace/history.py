"""Which stage ran when, for how long, started by whom and with which code: what `pawline why` says of a stage.

A diary, not a cache: it decides nothing, and may be deleted at any time. One line per run in the main checkout, for
its worktrees and experiments too. A run is found again from `dvc.lock` by a digest of the files that the stage
read and wrote, so that the line found describes the run that made these very outputs.
"""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pawline.terminal import say
from pawline.workspace.checkout import main_checkout
from pawline.workspace.dag import Stage, code_files, plain, read_dag
from pawline.workspace.layout import LocalState
from pawline.workspace.lock import md5_of
from pawline.yaml_files import read_yaml

MAX_BYTES = 4_000_000  # about 3,000 runs; then the older half is dropped
MD5_LETTERS = 12  # of each code file's md5: enough to distinguish two versions

# Files up to this size distinguish runs. Larger files and folders would make a stage end late.
MAX_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class StageRun:
    """by: "dvc repro", "experiment NAME", or what the caller set PAWLINE_RUN to.
    code: the start of the md5 of each code file that the stage depends on, by path."""

    stage: str
    content: str
    finished: datetime
    seconds: float
    by: str
    code: dict[str, str] = field(default_factory=dict)

    @property
    def started(self) -> datetime:
        return self.finished - timedelta(seconds=self.seconds)


def record_run() -> None:
    """Append this process's run, as a stage's last act. Never makes it fail; without DVC it does nothing."""
    name = os.environ.get("DVC_STAGE")
    if not name:
        return
    try:
        params = read_yaml(Path("params.yaml"))
        stage = read_dag(params)[name]
        content, code = content_of_stage(stage, params), code_digests(stage)
        run = StageRun(name, content, datetime.now(UTC), _seconds_since_start(), _who(), code)
        append(LocalState(main_checkout()).history, run)
    except Exception as error:  # whatever it is, the stage's own work is done
        say(f"`pawline why` will not know of this run: {error}")


def _seconds_since_start() -> float:
    """The age of this process: imports take a good part of a stage's time."""
    import psutil

    return round(time.time() - psutil.Process().create_time(), 2)


def _who() -> str:
    experiment = os.environ.get("DVC_EXP_NAME")
    return os.environ.get("PAWLINE_RUN") or (f"experiment {experiment}" if experiment else "dvc repro")


def code_digests(stage: Stage, root: Path = Path()) -> dict[str, str]:
    """The start of the md5 of each code file that a stage depends on, by path."""
    return {path: md5_of(root / path)[:MD5_LETTERS] for path in code_files(stage, root)}


def content_of_stage(stage: Stage, params: Mapping[str, Any]) -> str:
    """The digest of the files and params of a stage that has just ended in the current folder."""
    files = {path: Path(path) for path in (*stage.deps, *stage.outs)}
    small = {
        path: file for path, file in files.items() if file.is_file() and file.stat().st_size <= MAX_FILE_BYTES
    }
    return _digest(
        {section: params[section] for section in stage.params}, {p: md5_of(f) for p, f in small.items()}
    )


def content_of_entry(entry: Mapping[str, Any]) -> str:
    """The same digest from a stage's entry in `dvc.lock`."""
    files = [*entry.get("deps", []), *entry.get("outs", [])]
    small = [file for file in files if "md5" in file and file.get("size", 0) <= MAX_FILE_BYTES]
    md5s = {plain(file["path"]): file["md5"] for file in small if not file["md5"].endswith(".dir")}
    return _digest(entry.get("params", {}).get("params.yaml", {}), md5s)


def _digest(params: Mapping[str, Any], md5s: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([params, md5s], sort_keys=True, default=str).encode()).hexdigest()


def append(path: Path, run: StageRun) -> None:
    """Add one line, whoever else appends at the same time. The line break comes first: it separates the line from
    one that a full disk cut short."""
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
            fields = json.loads(line)
            yield StageRun(
                stage=str(fields["stage"]),
                content=str(fields["content"]),
                finished=datetime.fromisoformat(fields["finished"]).astimezone(UTC),
                seconds=float(fields["seconds"]),
                by=str(fields["by"]),
                code=dict(fields.get("code", {})),
            )
        except (ValueError, TypeError, KeyError):
            continue  # a damaged line: one run less to name


def duration(seconds: float) -> str:
    """0.4 s, 14 s, 17 min, 2.5 h"""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
