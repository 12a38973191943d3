"""Standard output whose reader may leave, as `head` does: the command ends in silence."""

import os
import select
import sys
from collections.abc import Callable, Iterable

ENDED_BY_READER = 141  # as a shell names the end by SIGPIPE


def show(lines: Iterable[str]) -> None:
    """Print lines before other work, such as a summary on standard error, which is done even if the reader leaves."""
    try:
        for line in [*lines]:  # one by one: of a single large write the system may not say that nobody read it
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_the_rest()


def until_reader_leaves(work: Callable[[], int | None]) -> int | None:
    """Do `work`, with its exit code; or with 141 where the reader of standard output has left meanwhile.

    A broken pipe of another kind, such as that of a server, stays an error."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_left():
            raise
        _drop_the_rest()
        return ENDED_BY_READER
    return code


def _reader_left() -> bool:
    polled = select.poll()
    try:
        polled.register(sys.stdout.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # no file behind it
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in polled.poll(0))


def _drop_the_rest() -> None:
    """Lead standard output to nowhere: Python flushes it once more at the end, which would be an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
