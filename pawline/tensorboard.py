"""The curves of a training as TensorBoard reads them."""

from collections.abc import Callable
from pathlib import Path

from pawline.backend import tf


def curve_writer(folder: Path) -> Callable[[dict[str, float]], None]:
    """Takes the row of each epoch, see train.train."""
    writer = tf.summary.create_file_writer(str(folder))

    def write(row: dict[str, float]) -> None:
        with writer.as_default(step=int(row["epoch"])):
            for name, value in row.items():
                tf.summary.scalar(name, value)
        writer.flush()

    return write
