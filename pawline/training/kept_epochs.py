"""Which epochs' weights are kept beside the model, for `train.keep_epochs`. Needs no TensorFlow."""

import numpy as np

from pawline.epochs import KeptEpoch
from pawline.terminal import say
from pawline.training.checkpoint import Arrays, EpochRow
from pawline.training.schedule import Schedule

MAX_BYTES = 128 * 10**6  # of all that are kept: in memory, in the state of the training and beside the model


def epochs_to_keep(wanted: int, num_epochs: int, num_bytes: int) -> list[int]:
    """Choose epochs, evenly spread from 0 (the first weights) to the last. num_bytes: of one epoch's weights.

    Fewer than `wanted` where the training is shorter, or where more would not fit into MAX_BYTES: that is said."""
    count = min(wanted, MAX_BYTES // max(1, num_bytes))
    if count < wanted:
        say(
            f"train: train.keep_epochs is {wanted}, but each takes {num_bytes / 1e6:.1f} MB: {count} are kept, which "
            f"fit into {MAX_BYTES // 10**6} MB"
        )
    return sorted({int(epoch) for epoch in np.linspace(0, num_epochs, count).round()})


def planned_epochs(schedule: Schedule, num_bytes: int) -> list[int]:
    """The epochs to keep of a plan, its cuts counted. num_bytes: of one epoch's weights."""
    keep = epochs_to_keep(schedule.recipe.keep_epochs, schedule.epoch(schedule.num_steps), num_bytes)
    for after, last in schedule.cuts:
        keep = spread_again(keep, schedule.epoch(after), schedule.epoch(last))
    return keep


def spread_again(keep: list[int], epoch: int, num_epochs: int) -> list[int]:
    """The epochs to keep where a plan was cut to num_epochs after an epoch: those to come are spread over the rest."""
    done = [each for each in keep if each <= epoch]
    to_come = np.linspace(epoch, num_epochs, len(keep) - len(done) + 1)[1:]
    return sorted({*done, *(int(each) for each in to_come.round())})


def kept_epoch(epoch: int, weights: Arrays, saved: Arrays, history: list[EpochRow]) -> KeptEpoch:
    """One kept epoch without the weights that equal the saved model's. weights, saved: of the network to save."""
    row = history[epoch - 1] if epoch else {}
    pairs = enumerate(zip(weights, saved, strict=True))
    changed = {at: one for at, (one, other) in pairs if not np.array_equal(one, other)}
    return KeptEpoch(epoch, {name: row[name] for name in ("val_loss", "val_accuracy") if name in row}, changed)
