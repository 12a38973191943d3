"""TensorFlow and Keras, imported without their greeting: `from pawline.backend import keras, tf`.

TensorFlow's libraries write to the process's standard error before any log level applies, so what they
write while they are imported is held back, and only what is no greeting is passed on.
"""

import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from pawline.machine import num_threads

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # from there on errors only, of which none is harmless

GREETING = re.compile(rb"WARNING: All log messages before absl|I\d{4} ")


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
            os.write(2, b"".join(line for line in held if not GREETING.match(line)))


with _greeting_held_back():
    import tensorflow as tf
    import keras  # isort: skip - after TensorFlow, which it would import all the same

SHARES = 2  # of a batch, which are worked on side by side (pawline/trainer.py)

# By itself TensorFlow does not see that a container has been granted less than the machine.
tf.config.threading.set_inter_op_parallelism_threads(min(SHARES, num_threads()))
tf.config.threading.set_intra_op_parallelism_threads(math.ceil(num_threads() / SHARES))

__all__ = ["SHARES", "keras", "tf"]
