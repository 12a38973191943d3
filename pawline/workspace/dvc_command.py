"""DVC, started in one place: public commands only, in a process group of their own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from pawline.addresses import without_secrets
from pawline.errors import BusyError, PawlineError
from pawline.workspace.runner_watch import FLOW_PID

# What DVC says where another DVC command is at work.
BUSY = ("is busy", "Unable to acquire lock", "RWLock-file")
# How long an interrupted stage may take to clean up, well below what Prefect's worker grants the flow.
GRACE_SECONDS = 8

NOTHING: Mapping[str, str] = {}


class ProcessError(PawlineError):
    """A process that was started here failed; the exit code is its own. code: below 0 for a signal."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code if code > 0 else 128 - code


def run_dvc(workspace: Path, *arguments: str) -> str:
    """What a DVC command prints. Raises BusyError or PawlineError with DVC's complaint."""
    with dvc_process(workspace, *arguments, stderr=subprocess.PIPE) as child:
        answer, complaint = child.communicate()
    if child.returncode:
        raise dvc_failure(" ".join(complaint.split()), child.returncode)
    return str(answer)


def dvc_failure(complaint: str, code: int) -> PawlineError:
    """The error for what DVC wrote before it ended with an exit code."""
    message = without_secrets(complaint[max(0, complaint.find("ERROR: ")) :].removeprefix("ERROR: "))
    if any(sign in message for sign in BUSY):
        return BusyError(f"busy, try again: {_holder(message) or message}")
    if code < 0 and not message:
        return PawlineError(f"DVC was ended by {signal.Signals(-code).name}; the same command continues")
    return PawlineError(f"DVC: {message or 'failed without a message; `dvc repro -v` shows more'}")


def _holder(message: str) -> str:
    """The command at work, in one clause: DVC names it once per file, and advises to delete its list of locks."""
    found = re.search(r"\(PID (\d+)\)", message)
    return f"a DVC command is at work in this checkout (process {found[1]})" if found else ""


@contextmanager
def dvc_process(
    workspace: Path, *arguments: str, environment: Mapping[str, str] = NOTHING, stderr: int = subprocess.STDOUT
) -> Iterator[subprocess.Popen[str]]:
    """A DVC command in a workspace, see `own_process`."""
    with own_process(
        workspace, "dvc", "--wait-for-lock", *arguments, environment=environment, stderr=stderr
    ) as child:
        yield child


@contextmanager
def own_process(
    workspace: Path, module: str, *arguments: str, environment: Mapping[str, str] = NOTHING, stderr: int
) -> Iterator[subprocess.Popen[str]]:
    """`python -m MODULE …` in a workspace, by the Python that runs this. It ends with the block, whatever ends that.

    It has a process group of its own: a signal must reach DVC and its stage together, for a signal to DVC alone
    leaves the stage behind, and one to the stage alone looks like a failure.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=workspace,
        env=os.environ | _stage_environment() | dict(environment),
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
        interrupt(child)
        raise


def _stage_environment() -> dict[str, str]:
    """Stages call `python`, which is the one that runs this, and end when the flow does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "PYTHONUNBUFFERED": "1", FLOW_PID: str(os.getpid())}


def interrupt(child: subprocess.Popen[str]) -> None:
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
