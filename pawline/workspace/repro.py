"""One stage after the other by `dvc repro`, for runners that show each: which changed, and what became of them."""

import re
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TypeVar

from pawline.addresses import without_secrets
from pawline.errors import BusyError, DatasetError, PawlineError
from pawline.workspace.checkout import WORKSPACE
from pawline.workspace.dag import dag_of
from pawline.workspace.dvc_command import NOTHING, ProcessError, dvc_failure, dvc_process, interrupt
from pawline.workspace.kept_lock import keep_lock, mend_lock
from pawline.workspace.source_check import without_source
from pawline.workspace.stale_locks import release_stale_locks
from pawline.workspace.status import Status, dvc_status

# Names a file, in a stage's environment, that the stage creates when it starts.
STARTED_FILE = "PAWLINE_STARTED"
# How long another command's turn is waited for: what a killed run left needs a moment to end.
BUSY_SECONDS = 10

# What DVC says after each stage to people at a terminal.
HINTS = (
    *("To track the changes with git", "git add ", "To enable auto staging", "dvc config core.autostage"),
    "Use `dvc push`",
)

Result = TypeVar("Result")


class StageTimeoutError(PawlineError):
    """A stage took longer than it may."""


class Pipeline:
    """What DVC says about the stages of a workspace: asked once, and again after a stage that touched files."""

    def __init__(self, workspace: Path = WORKSPACE, environment: Mapping[str, str] = NOTHING) -> None:
        self.workspace = workspace
        self.environment = dict(environment)
        self._status: Status | None = None

    def status(self) -> Status:
        """How each stage that changed did so."""
        if self._status is None:
            mend_lock(self.workspace)
            self._status = self._patiently(lambda: dvc_status(self.workspace))
        return self._status

    def without_source(self, stage: str) -> str:
        """A line on the data set that stands in place of a source that is not on this machine; else empty."""
        stages = dag_of(self.workspace)
        note = without_source(self.workspace, stages[stage], self.status()[stage])
        self._status = None if note else self._status
        return note

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
            environment = self.environment | {STARTED_FILE: str(started)}
            with (
                dvc_process(self.workspace, "repro", "--single-item", stage, environment=environment) as child,
                _ended_after(minutes, child) as ended,
            ):
                for line in map(without_secrets, map(str.rstrip, child.stdout or ())):
                    if line and not line.lstrip().startswith(HINTS):
                        last_lines.append(line)
                        log(line)
            if ended:
                raise StageTimeoutError(
                    f"stage '{stage}' took longer than {minutes:g} minutes and was ended; raise --stage-minutes"
                )
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


@contextmanager
def _ended_after(minutes: float | None, child: subprocess.Popen[str]) -> Iterator[list[bool]]:
    """Interrupt a child that takes too long; the list is not empty when that was done."""
    ended: list[bool] = []

    def end() -> None:
        ended.append(True)
        interrupt(child)

    timer = Timer((minutes or 0) * 60, end)
    if minutes is not None:
        timer.start()
    try:
        yield ended
    finally:
        timer.cancel()


def _failure(lines: list[str], code: int) -> PawlineError:
    """The stage's exit code and last line; or, where no stage failed, all that DVC says itself."""
    start = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), len(lines))
    stage_said, dvc_said = lines[:start], " ".join(" ".join(lines[start:]).split())
    if missing := re.search(r"failed to reproduce '\w+': \[Errno 2\] .*: '(.*)'$", dvc_said):
        return DatasetError(f"{missing[1]}: no such folder or archive; set ingest.source in params.yaml")
    if failed := re.search(r"failed to reproduce ('.*?'): .* exited with (-?\d+)", dvc_said):
        stage_code, last_line = int(failed[2]), stage_said[-1].removeprefix("pawline: ")
        message = f"stage {failed[1]} failed (exit code {stage_code}): {last_line}"
        return ProcessError(message, stage_code)
    return dvc_failure(dvc_said, code)
