"""Write the curves of a training for TensorBoard, which need not be installed.

`tf.summary.scalar` needs TensorBoard, and TensorFlow no longer installs TensorBoard. This module writes the older of
the two formats, a plain value with a name, which TensorBoard still reads.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from pawline.model.backend import tf


def curve_writer(folder: Path) -> Callable[[dict[str, float]], None]:
    """Empty the folder and return a function that writes the row of an epoch.

    A resumed training reports its earlier epochs again, so rows of the interrupted training must not stay."""
    shutil.rmtree(folder, ignore_errors=True)
    writer = tf.summary.create_file_writer(str(folder))

    def write(row: dict[str, float]) -> None:
        values = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in row.items()]
        summary = tf.compat.v1.Summary(value=values)
        with writer.as_default():
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=int(row["epoch"]))
        writer.flush()

    return write
