"""Whether a process lives."""

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Whether this very process lives. A zombie is dead, only not yet waited for; a reused number is another one."""
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def living_process(pid: int, started: float | None = None) -> psutil.Process | None:
    """The living process of a number; None where there is none, or one that did not start at `started`."""
    try:
        process = psutil.Process(pid)
        if started is not None and process.create_time() != started:
            return None
    except psutil.NoSuchProcess:
        return None
    return process if is_alive(process) else None
