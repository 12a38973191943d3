"""DVC, as the flow uses it: which stages changed, and `dvc repro` of one. Public commands only."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any, TypeVar

import psutil

from flows.kept_lock import keep_lock, mend_lock
from flows.stale_locks import release_stale_locks
from pawline.errors import BusyError, DatasetError, PawlineError
from tasks.dvc_status import BUSY
from tasks.orphan import FLOW_PID

WORKSPACE = Path(__file__).resolve().parents[1]
# How long an interrupted stage may take to clean up, well below what Prefect's worker grants the flow.
GRACE_SECONDS = 8
# How long another command's turn is waited for: what a killed run left needs a moment to end.
BUSY_SECONDS = 10

# What DVC says after each stage to people at a terminal.
HINTS = (
    *("To track the changes with git", "git add ", "To enable auto staging", "dvc config core.autostage"),
    "Use `dvc push`",
)

Result = TypeVar("Result")


class StageError(PawlineError):
    """A stage failed; the exit code is its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StageTimeoutError(PawlineError):
    """A stage took longer than it may."""


class Pipeline:
    """What DVC says about the stages of a workspace: asked once, and again after a stage that touched files."""

    def __init__(self, workspace: Path = WORKSPACE, **environment: str) -> None:
        self.workspace = workspace
        self._environment = environment
        self._status: dict[str, list[Any]] | None = None

    def status(self) -> dict[str, list[Any]]:
        """Of each stage that changed, how."""
        if self._status is None:
            mend_lock(self.workspace)
            self._status = json.loads(self._patiently(lambda: run_dvc(self.workspace, "status", "--json")))
        return self._status

    def repro(self, stage: str, log: Callable[[str], None], minutes: float | None = None) -> bool:
        """Bring a changed stage up to date, each line of it going to `log`. Returns whether its command
        ran; where DVC has seen the same inputs before, it restores the outputs instead.

        minutes: after which it is ended, with StageTimeoutError; None: never.
        """
        self._status = None
        keep_lock(self.workspace)
        try:
            return self._patiently(lambda: self._repro(stage, log, minutes))
        finally:
            mend_lock(self.workspace)

    def _repro(self, stage: str, log: Callable[[str], None], minutes: float | None) -> bool:
        last_lines: deque[str] = deque(maxlen=50)
        with TemporaryDirectory() as folder:
            started = Path(folder, "started")  # tasks/stage.py makes this file
            environment = self._environment | {"PAWLINE_STARTED": str(started)}
            with (
                _dvc(self.workspace, "repro", "--single-item", stage, **environment) as child,
                _ended_after(minutes, child) as ended,
            ):
                for line in map(str.rstrip, child.stdout or ()):
                    if line and not line.lstrip().startswith(HINTS):
                        last_lines.append(line)
                        log(line)
            if ended:
                raise StageTimeoutError(f"stage '{stage}' took longer than {minutes:g} minutes and was ended")
            if child.returncode:
                raise _failure(list(last_lines), child.returncode)
            return started.exists()

    def _patiently(self, work: Callable[[], Result]) -> Result:
        give_up = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return work()
            except BusyError:
                if time.monotonic() > give_up:
                    raise
            release_stale_locks(self.workspace)
            time.sleep(1)


def run_dvc(workspace: Path, *arguments: str) -> str:
    """What a DVC command prints. Raises BusyError or PawlineError with what it complains of."""
    with _dvc(workspace, *arguments, stderr=subprocess.PIPE) as child:
        answer, complaint = child.communicate()
    if child.returncode:
        raise _failure(complaint.splitlines(), child.returncode)
    return str(answer)


@contextmanager
def _dvc(
    workspace: Path, *arguments: str, stderr: int = subprocess.STDOUT, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A DVC command in a workspace, with the Python that runs this. Ended with the block, whatever ends that.

    In a process group of its own: a signal must reach DVC and its stage together, for a signal to DVC alone
    leaves the stage behind, and one to the stage alone looks like a failure.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments],
        cwd=workspace,
        env=os.environ | _stage_environment() | environment,
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


def _stage_environment() -> dict[str, str]:
    """Stages call `python`, which is the one that runs this, and end when the flow does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "PYTHONUNBUFFERED": "1", FLOW_PID: str(os.getpid())}


@contextmanager
def _ended_after(minutes: float | None, child: subprocess.Popen[str]) -> Iterator[list[bool]]:
    """Interrupt a child that takes too long; the list is not empty when that was done."""
    ended: list[bool] = []

    def end() -> None:
        ended.append(True)
        _interrupt(child)

    timer = Timer((minutes or 0) * 60, end)
    if minutes is not None:
        timer.start()
    try:
        yield ended
    finally:
        timer.cancel()


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


def _failure(lines: list[str], code: int) -> PawlineError:
    """The stage's exit code and last line; or, where no stage failed, all that DVC says itself."""
    start = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines))
    stage_said, dvc_said = lines[:start], " ".join(" ".join(lines[start:]).split()).removeprefix("ERROR: ")
    if any(sign in dvc_said for sign in BUSY):
        return BusyError(f"busy, try again: {dvc_said}")
    if missing := re.search(r"failed to reproduce 'ingest': \[Errno 2\] .*: '(.*)'$", dvc_said):
        return DatasetError(f"{missing[1]}: no such folder or archive; set ingest.source in params.yaml")
    if failed := re.search(r"failed to reproduce ('.*?'): .* exited with (-?\d+)", dvc_said):
        stage_code, last_line = int(failed[2]), stage_said[-1].removeprefix("pawline: ")
        message = f"stage {failed[1]} failed (exit code {stage_code}): {last_line}"
        return StageError(message, stage_code if stage_code > 0 else 128 - stage_code)
    if code < 0 and not dvc_said:
        return PawlineError(f"DVC was ended by {signal.Signals(-code).name}; the same command continues")
    return PawlineError(f"DVC: {dvc_said or 'failed and said nothing'}")
