"""Commands that change the same things take turns: one holds a lock, which the system takes off a killed process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pawline.errors import BusyError

LOCK_SECONDS = 30


@contextmanager
def turn(file: Path, changed: str) -> Iterator[None]:
    """Hold the lock in `file` for the length of the block. Raises BusyError after 30 s.

    changed: what the holder alone may change, for the message."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise BusyError(f"busy, try again: another command is changing {changed}") from None
    try:
        yield
    finally:
        lock.release()
