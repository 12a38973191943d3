"""Which epochs' weights are kept beside the model, for `train.keep_epochs`. Needs no TensorFlow."""

import numpy as np

from pawline.epochs import KeptEpoch
from pawline.terminal import say
from pawline.training.checkpoint import Arrays, EpochRow

MAX_BYTES = 128 * 10**6  # of all that are kept: in memory, in the state of the training and beside the model


def epochs_to_keep(wanted: int, num_epochs: int, num_bytes: int) -> list[int]:
    """Choose epochs, evenly spread from 0 (the first weights) to the last. num_bytes: of one epoch's weights.

    Fewer than `wanted` where the training is shorter, or where more would not fit into MAX_BYTES: that is said."""
    count = min(wanted, MAX_BYTES // max(1, num_bytes))
    if count < wanted:
        say(
            f"train: train.keep_epochs is {wanted}, but each takes {num_bytes / 1e6:.1f} MB: kept are {count}, which "
            f"fit into {MAX_BYTES // 10**6} MB"
        )
    return sorted({int(epoch) for epoch in np.linspace(0, num_epochs, count).round()})


def kept_epoch(epoch: int, weights: Arrays, saved: Arrays, history: list[EpochRow]) -> KeptEpoch:
    """One kept epoch without the weights that equal the saved model's. weights, saved: of the network to save."""
    row = history[epoch - 1] if epoch else {}
    pairs = enumerate(zip(weights, saved, strict=True))
    changed = {at: one for at, (one, other) in pairs if not np.array_equal(one, other)}
    return KeptEpoch(epoch, {name: row[name] for name in ("val_loss", "val_accuracy") if name in row}, changed)
