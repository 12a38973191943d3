"""Import TensorFlow and Keras without their greeting: `from pawline.model.backend import keras, tf`.

TensorFlow's libraries write to the process's standard error before any log level applies. This module collects the
lines that they write during the import and passes on all but the greeting. Later warnings and errors appear as usual.

Keras also imports packages that it needs for parts which Pawline does not use. The import does without them.
"""

import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

from pawline.model.machine import has_gpu
from pawline.threads import num_threads

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors
# By default TensorFlow uses oneDNN's convolutions only on processors with VNNI or AMX. They make training 1.4 times as
# fast on other processors too (docs/experiments.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Both are optional to Keras: for its wrappers of scikit-learn and for its picture galleries. They make up a quarter of
# the processor's time that the import of TensorFlow and Keras takes.
UNUSED_BY_KERAS = ("sklearn", "matplotlib")

GREETING = re.compile(rb"WARNING: All log messages before absl|I\d{4} ")
NO_GPU = re.compile(rb"[WE]\d{4} .*failed call to cuInit")  # expected where there is no GPU


@contextmanager
def _without_greeting() -> Iterator[None]:
    """Collect standard error, also from C++ code, and pass on all lines but the greeting."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            buffer.seek(0)
            os.write(2, b"".join(line for line in buffer if not _is_greeting(line)))


def _is_greeting(line: bytes) -> bool:
    return bool(GREETING.match(line) or (NO_GPU.match(line) and not has_gpu()))


class _Absent(MetaPathFinder):
    """A finder that says of some packages that they are not installed."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name in UNUSED_BY_KERAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def _without_unused_packages() -> Iterator[None]:
    """Hide packages that Keras imports where it finds them; a later import by anybody else finds them again."""
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)


with _without_greeting(), _without_unused_packages():
    import tensorflow as tf
    import keras  # isort: skip - after TensorFlow, which Keras would import anyway

    GPUS = tf.config.list_physical_devices("GPU")  # inside the block: this call also writes about a missing GPU

NUM_PIECES = 1 if GPUS else 2  # of a batch; a processor computes them at the same time (training/trainer.py)

# TensorFlow does not detect that a container may use fewer processors than the machine has.
tf.config.threading.set_inter_op_parallelism_threads(min(NUM_PIECES, num_threads()))
tf.config.threading.set_intra_op_parallelism_threads(math.ceil(num_threads() / NUM_PIECES))

__all__ = ["GPUS", "NUM_PIECES", "keras", "tf"]
