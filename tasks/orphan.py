"""A stage whose runner was killed must not go on: nobody waits for it, and its outputs would meet the next run's.

SIGKILL to DVC, or to the flow that started it, reaches neither the other nor the stage.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

FLOW_PID = "PAWLINE_FLOW_PID"
RUNNERS = ("dvc", "prefect", "flows.serve")
POLL_SECONDS = 0.2
GRACE_SECONDS = 5


def end_with_runner() -> None:
    """In a stage: watch DVC, if it runs this process, and the flow, if one runs DVC."""
    flow = os.environ.get(FLOW_PID)
    _end_with(lambda: [*_runner("DVC_STAGE"), *([psutil.Process(int(flow))] if flow else [])])


def end_with_worker() -> None:
    """In a flow run: watch the worker or `serve` that started it, if one did: killed, it leaves it behind."""
    _end_with(lambda: _runner("PREFECT__FLOW_RUN_ID"))


def _end_with(find: Callable[[], list[psutil.Process]]) -> None:
    """End, as by SIGTERM, when one of them is gone. Without any, a process may outlive its terminal."""
    try:
        runners = find()
    except psutil.NoSuchProcess:  # it was killed while this process started
        sys.exit(128 + signal.SIGTERM)
    if runners:
        threading.Thread(target=_watch, args=(runners,), daemon=True).start()


def _runner(told: str) -> list[psutil.Process]:
    """The nearest ancestor that was not told, by this environment variable, what to run; a shell in between was.
    Empty where this process was not told either."""
    if told not in os.environ:
        return []
    ancestors = psutil.Process().parents()  # a `dvc repro` inside a stage was told of that stage
    runner = next(one for one in ancestors if _program(one) == "dvc" or told not in one.environ())
    if _program(runner) not in RUNNERS and os.getsid(runner.pid) != os.getsid(0):
        raise psutil.NoSuchProcess(runner.pid)  # the foster parent of orphans: the first process or another
    return [runner]


def _program(process: psutil.Process) -> str:
    """What a process runs: `dvc repro`, `python /somewhere/dvc repro` and `python -m dvc repro` are all "dvc"."""
    interpreter, *rest = [*process.cmdline(), "", ""]
    words = rest if "python" in Path(interpreter).name else [interpreter]
    return Path(words[1] if words[0] == "-m" else words[0]).name


def _watch(runners: list[psutil.Process]) -> None:
    while all(_lives(runner) for runner in runners):
        time.sleep(POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)  # partial files are removed
    time.sleep(GRACE_SECONDS)
    os._exit(128 + signal.SIGTERM)


def _lives(process: psutil.Process) -> bool:
    """is_running knows a reused number; a zombie is dead, only not yet waited for."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
