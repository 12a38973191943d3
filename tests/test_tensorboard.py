"""Curves for TensorBoard are written without TensorBoard."""

from pathlib import Path

import pytest

from pawline.model.backend import tf
from pawline.training.tensorboard import curve_writer


def test_a_resumed_training_writes_each_epoch_once(tmp_path: Path) -> None:
    rows = [{"epoch": epoch, "val_loss": 1 / epoch} for epoch in (1, 2, 3)]
    # The training stops after the second epoch. The resumed training reports all epochs again.
    for reported_rows in (rows[:2], rows):
        write = curve_writer(tmp_path / "curves")
        for row in reported_rows:
            write(row)
    [file] = (tmp_path / "curves").glob("events.*")
    losses = {
        event.step: value.simple_value
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.tag == "val_loss"
    }
    assert losses == {1: 1, 2: 0.5, 3: pytest.approx(1 / 3)}
