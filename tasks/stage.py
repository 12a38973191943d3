"""How every stage starts and ends: params checked, one line and a stable code on failure."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pawline.errors import PawlineError
from pawline.params import Params, load_params
from tasks import INTERRUPTED
from tasks.history import record_run
from tasks.layout import Layout
from tasks.orphan import end_with_runner

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h: from this size on, an array is a mapping of its own


def run_stage(main: Callable[[Params, Layout], None]) -> NoReturn:
    at = Layout()
    if started := os.environ.get("PAWLINE_STARTED"):
        Path(started).touch()  # tells the flow that DVC did not merely restore the outputs
    end_with_runner()
    end_with(lambda: _run(main, at))


def free_at_once() -> None:
    """Give freed arrays back to the system. glibc keeps them for later as soon as it has seen a large one go, in
    pieces that fit nothing: a tenth of what `split` takes for 100,000 images. (Elsewhere this does nothing.)"""
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 64 * 1024)


def _run(main: Callable[[Params, Layout], None], at: Layout) -> None:
    main(load_params(at.params), at)
    record_run()


def end_with(work: Callable[[], int | None]) -> NoReturn:
    """Do `work` and end the process with its exit code, or with one line and the code of its failure."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = work() or 0
    except PawlineError as error:
        code = _complain(str(error), error.exit_code)
    except OSError as error:  # a full disk, a missing right: the machine's state, not a bug
        code = _complain(f"{error.filename or 'file system'}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        code = _complain(INTERRUPTED, 130)
    sys.exit(code)


def _complain(message: str, code: int) -> int:
    print(f"pawline: {' '.join(message.split())}", file=sys.stderr)
    return code


def _stop(signum: int, frame: object) -> NoReturn:
    sys.exit(128 + signum)  # by way of SystemExit, so that partial files are removed
