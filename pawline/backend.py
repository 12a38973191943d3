"""TensorFlow and Keras, imported without their greeting: `from pawline.backend import keras, tf`.

TensorFlow's libraries write to the process's standard error before any log level applies, so what they
write while they are imported is held back, and only what is no greeting is passed on. From there on its warnings
and errors come through.
"""

import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pawline.machine import has_gpu, num_threads

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors
# By itself TensorFlow takes oneDNN's convolutions only on processors with VNNI or AMX; on others too they make
# training 1.4 times as fast (docs/decisions/0005-fast-network.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

GREETING = re.compile(rb"WARNING: All log messages before absl|I\d{4} ")
NO_GPU = re.compile(rb"[WE]\d{4} .*failed call to cuInit")  # no news where there is none


@contextmanager
def _greeting_held_back() -> Iterator[None]:
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not _is_greeting(line)))


def _is_greeting(line: bytes) -> bool:
    return bool(GREETING.match(line) or (NO_GPU.match(line) and not has_gpu()))


with _greeting_held_back():
    import tensorflow as tf
    import keras  # isort: skip - after TensorFlow, which it would import all the same

    GPUS = tf.config.list_physical_devices("GPU")  # what it says of there being none is held back too

SHARES = 1 if GPUS else 2  # of a batch, which a processor works on side by side (pawline/trainer.py)

# By itself TensorFlow does not see that a container has been granted less than the machine.
tf.config.threading.set_inter_op_parallelism_threads(min(SHARES, num_threads()))
tf.config.threading.set_intra_op_parallelism_threads(math.ceil(num_threads() / SHARES))

__all__ = ["GPUS", "SHARES", "keras", "tf"]
