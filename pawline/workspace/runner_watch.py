"""End a stage whose runner was killed: nobody waits for it, and its outputs would mix with those of the next run.

SIGKILL to DVC, or to the flow that started DVC, does not reach the stage.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from pawline.workspace.processes import is_alive

FLOW_PID = "PAWLINE_FLOW_PID"
RUNNERS = ("dvc", "prefect", "flows.serve")
POLL_SECONDS = 0.2
GRACE_SECONDS = 5


def end_with_runner() -> None:
    """For a stage: end this process when the DVC that started it is gone, or the flow that started that DVC."""
    flow = os.environ.get(FLOW_PID)
    _end_with(lambda: [*_runner("DVC_STAGE"), *([psutil.Process(int(flow))] if flow else [])])


def end_with_worker() -> None:
    """For a flow run: end this process when the worker or `serve` that started it is gone."""
    _end_with(lambda: _runner("PREFECT__FLOW_RUN_ID"))


def end_with_parent() -> None:
    """For a helper: end this process when the one that started it is gone."""
    _end_with(lambda: [psutil.Process(os.getppid())])


def _end_with(find: Callable[[], list[psutil.Process]]) -> None:
    """End, as by SIGTERM, when one of the runners is gone. A process without a runner may outlive its terminal."""
    try:
        runners = find()
    except psutil.NoSuchProcess:  # the runner was killed while this process started
        sys.exit(128 + signal.SIGTERM)
    if runners:
        threading.Thread(target=_watch, args=(runners,), daemon=True).start()


def _runner(variable: str) -> list[psutil.Process]:
    """The process that started this one: the nearest ancestor without the variable in its environment.
    Empty where this process does not have it either."""
    if variable not in os.environ:
        return []
    ancestors = psutil.Process().parents()  # a `dvc repro` inside a stage has the variable too
    runner = next(
        ancestor for ancestor in ancestors if _program(ancestor) == "dvc" or variable not in ancestor.environ()
    )
    if _program(runner) not in RUNNERS and os.getsid(runner.pid) != os.getsid(0):
        raise psutil.NoSuchProcess(runner.pid)  # the foster parent of orphans: the first process or another
    return [runner]


def _program(process: psutil.Process) -> str:
    """The program of a process: `dvc repro`, `python /somewhere/dvc repro` and `python -m dvc repro` are all "dvc"."""
    command: list[str] = [*process.cmdline(), "", ""]
    words = command[1:] if "python" in Path(command[0]).name else command
    return Path(words[1] if words[0] == "-m" else words[0]).name


def _watch(runners: list[psutil.Process]) -> None:
    while all(is_alive(runner) for runner in runners):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)  # partial files are removed
    time.sleep(GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)
