"""A stage whose runner was killed must not go on: nobody waits for it, and its outputs would meet the next run's.

SIGKILL to DVC, or to the flow that started it, reaches neither the other nor the stage.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

FLOW_PID = "PAWLINE_FLOW_PID"
POLL_SECONDS = 0.2
GRACE_SECONDS = 5


def end_with_runner() -> None:
    """Watch DVC, if it runs this process, and the flow, if one runs DVC; end, as by SIGTERM, when one is gone."""
    try:
        runners = [psutil.Process(pid) for pid in (_dvc(), int(os.environ.get(FLOW_PID, 0))) if pid]
    except psutil.NoSuchProcess:  # it was killed while this process started
        sys.exit(128 + signal.SIGTERM)
    if runners:
        threading.Thread(target=_watch, args=(runners,), daemon=True).start()


def end_with_parent() -> None:
    """The same for a flow run that a worker or `serve` has started: killed, they leave it behind."""
    threading.Thread(target=_watch, args=([psutil.Process(os.getppid())],), daemon=True).start()


def _dvc() -> int:
    """The process to watch: the nearest ancestor that is DVC (there may be a shell in between), else the parent;
    0 where DVC does not run this: by hand, a stage may outlive its terminal."""
    if "DVC_STAGE" not in os.environ:
        return 0
    ancestors = psutil.Process().parents()
    for one in ancestors:
        if any(Path(word).name == "dvc" for word in one.cmdline()):
            return one.pid
    if os.getppid() == 1:
        raise psutil.NoSuchProcess(1)  # not DVC, but the foster parent of orphans
    return os.getppid()


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
