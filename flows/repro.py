"""DVC, as the flow uses it: which stages changed, and `dvc repro` of one. Public commands only."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from pawline.errors import BusyError, DatasetError, PawlineError

WORKSPACE = Path(__file__).resolve().parents[1]
# How long an interrupted stage may take to clean up, well below what Prefect's worker grants the flow.
GRACE_SECONDS = 8
# What DVC says after each stage to people at a terminal.
HINTS = (
    *("To track the changes with git", "git add ", "To enable auto staging", "dvc config core.autostage"),
    "Use `dvc push`",
)


class StageError(PawlineError):
    """A stage failed; the exit code is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Pipeline:
    """What DVC says about the stages: asked once, and again after a stage that touched files."""

    def __init__(self) -> None:
        self._changed: set[str] | None = None

    def changed(self) -> set[str]:
        if self._changed is None:
            self._changed = _changed_stages()
        return self._changed

    def repro(self, stage: str, log: Callable[[str], None]) -> bool:
        """Bring a changed stage up to date, each line of it going to `log`. Returns whether its command
        ran; where DVC has seen the same inputs before, it restores the outputs instead."""
        self._changed = None
        last_lines: deque[str] = deque(maxlen=50)
        with TemporaryDirectory() as folder:
            started = Path(folder, "started")  # tasks/stage.py makes this file
            with _dvc("repro", "--single-item", stage, PAWLINE_STARTED=str(started)) as child:
                for line in map(str.rstrip, child.stdout or ()):
                    if line and not line.lstrip().startswith(HINTS):
                        last_lines.append(line)
                        log(line)
            if child.returncode:
                raise _failure(list(last_lines))
            return started.exists()


def _changed_stages() -> set[str]:
    with _dvc("status", "--json", stderr=subprocess.PIPE) as child:
        answer, complaint = child.communicate()
    if child.returncode:
        raise _failure(complaint.splitlines())
    return set(json.loads(answer))


@contextmanager
def _dvc(*arguments: str, stderr: int = subprocess.STDOUT, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A DVC command in the workspace, with the Python that runs this. Ended with the block, whatever ends that.

    In a process group of its own: a signal must reach DVC and its stage together, for a signal to DVC alone
    leaves the stage behind, and one to the stage alone looks like a failure.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments],
        cwd=WORKSPACE,
        env=os.environ | {"PATH": _search_path(), "PYTHONUNBUFFERED": "1"} | environment,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        errors="replace",
    )
    try:
        yield child
        child.wait()
    except BaseException:
        _interrupt(child)
        raise


def _search_path() -> str:
    """Stages call `python`: the one that runs this."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def _interrupt(child: subprocess.Popen[str]) -> None:
    """SIGINT lets the stage remove its partial files and DVC its lock. A stage that ignores it is killed
    before DVC is, so that DVC still has its turn."""
    if child.poll() is not None:
        return
    stage = psutil.Process(child.pid).children(recursive=True)
    os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        for process in stage:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS / 4)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _failure(lines: list[str]) -> PawlineError:
    """The stage's exit code and last line; or, where no stage failed, all that DVC says itself."""
    start = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines))
    stage_said, dvc_said = lines[:start], " ".join(" ".join(lines[start:]).split()).removeprefix("ERROR: ")
    if "is busy" in dvc_said or "Unable to acquire lock" in dvc_said:
        return BusyError(f"busy, try again: {dvc_said}")
    if missing := re.search(r"failed to reproduce 'ingest': \[Errno 2\] .*: '(.*)'$", dvc_said):
        return DatasetError(f"{missing[1]}: no such folder or archive; set ingest.source in params.yaml")
    if failed := re.search(r"failed to reproduce ('.*?'): .* exited with (-?\d+)", dvc_said):
        stage, code = failed[1], int(failed[2])
        last_line = stage_said[-1].removeprefix("pawline: ")
        return StageError(
            f"stage {stage} failed (exit code {code}): {last_line}", code if code > 0 else 128 - code
        )
    return PawlineError(f"DVC: {dvc_said or 'failed and said nothing'}")
