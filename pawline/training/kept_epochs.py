"""Which epochs' weights are kept beside the model, for `train.keep_epochs`. Needs no TensorFlow."""

import numpy as np

from pawline.epochs import KeptEpoch
from pawline.terminal import say
from pawline.training.checkpoint import Arrays, EpochRow
from pawline.training.schedule import Schedule

MAX_BYTES = 128 * 10**6  # of all that are kept: in memory, in the state of the training and beside the model


def num_to_keep(wanted: int, num_bytes: int) -> int:
    """How many epochs to keep: fewer than `wanted` where more would not fit into MAX_BYTES, which is said.

    num_bytes: of one epoch's weights."""
    count = min(wanted, MAX_BYTES // max(1, num_bytes))
    if count < wanted:
        say(
            f"train: train.keep_epochs is {wanted}, but each takes {num_bytes / 1e6:.1f} MB: {count} are kept, which "
            f"fit into {MAX_BYTES // 10**6} MB"
        )
    return count


def planned_epochs(schedule: Schedule, count: int) -> list[int]:
    """Choose `count` epochs, evenly spread from 0 (the first weights) to the last; fewer of a shorter training.

    Where the plan was changed, the epochs that were to come are spread over the new rest."""
    keep = _spread(0, schedule.epoch(schedule.num_steps), count)
    for after, last in schedule.cuts:
        epoch = schedule.epoch(after)
        done = {each for each in keep if each <= epoch}
        keep = sorted(done | set(_spread(epoch, schedule.epoch(last), count - len(done) + 1)[1:]))
    return keep


def _spread(first: int, last: int, count: int) -> list[int]:
    return sorted({int(epoch) for epoch in np.linspace(first, last, count).round()})


def kept_epoch(epoch: int, weights: Arrays, saved: Arrays, history: list[EpochRow]) -> KeptEpoch:
    """One kept epoch without the weights that equal the saved model's. weights, saved: of the network to save."""
    row = history[epoch - 1] if epoch else {}
    pairs = enumerate(zip(weights, saved, strict=True))
    changed = {at: one for at, (one, other) in pairs if not np.array_equal(one, other)}
    return KeptEpoch(epoch, {name: row[name] for name in ("val_loss", "val_accuracy") if name in row}, changed)
