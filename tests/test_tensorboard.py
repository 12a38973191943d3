"""TensorBoard's curves, written without it."""

from pathlib import Path

import pytest

from pawline.backend import tf
from pawline.tensorboard import curve_writer


def test_a_training_that_goes_on_leaves_each_epoch_once(tmp_path: Path) -> None:
    rows = [{"epoch": epoch, "val_loss": 1 / epoch} for epoch in (1, 2, 3)]
    for told in (rows[:2], rows):  # stopped after the second, and on going on all of them again
        write = curve_writer(tmp_path / "curves")
        for row in told:
            write(row)
    [file] = (tmp_path / "curves").glob("events.*")
    seen = {
        event.step: value.simple_value
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.tag == "val_loss"
    }
    assert seen == {1: 1, 2: 0.5, 3: pytest.approx(1 / 3)}
