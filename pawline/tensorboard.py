"""The curves of a training as TensorBoard reads them. It need not be installed to write them.

`tf.summary.scalar` would need it, and TensorFlow no longer brings it along. What is written here is the older of
two formats, a plain value by name, which TensorBoard reads as well.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from pawline.backend import tf


def curve_writer(folder: Path) -> Callable[[dict[str, float]], None]:
    """Takes the row of each epoch. A training that goes on tells its rows again, so the folder begins empty."""
    shutil.rmtree(folder, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(folder))

    def write(row: dict[str, float]) -> None:
        values = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in row.items()]
        summary = tf.compat.v1.Summary(value=values)
        with writer.as_default():
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=int(row["epoch"]))
        writer.flush()

    return write
