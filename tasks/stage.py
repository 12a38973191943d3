"""What all stages share: params checked, the runner watched, the run recorded."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pawline.params.whole import Params, load_params
from pawline.process import end_with
from pawline.workspace.history import record_run
from pawline.workspace.layout import Layout
from pawline.workspace.repro import STARTED_FILE
from pawline.workspace.runner_watch import end_with_runner

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h: from this size on, an array is a mapping of its own


def run_stage(main: Callable[[Params, Layout], None]) -> NoReturn:
    """Run the stage's `main` in the current folder and end the process."""
    at = Layout()
    if started := os.environ.get(STARTED_FILE):
        Path(started).touch()  # shows the flow that DVC did not merely restore the outputs
    end_with_runner()
    end_with(lambda: _run(main, at))


def _run(main: Callable[[Params, Layout], None], at: Layout) -> None:
    main(load_params(at.params), at)
    record_run()


def return_freed_memory() -> None:
    """Give freed arrays back to the system at once; nothing where the C library is not glibc.

    glibc keeps them for later as soon as it has seen a large one freed, in pieces that fit nothing: a tenth of the
    memory that `split` takes for 100,000 images. Not for `train`: TensorFlow would then map memory for each tensor.
    """
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 64 * 1024)
