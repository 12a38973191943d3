"""The learning rate, picture size and epoch of each step. Needs no TensorFlow."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pawline.params.train import TrainParams


@dataclass(frozen=True)
class Schedule:
    """Steps are numbered from 1 to num_steps. An epoch has `num_batches` steps; the last epoch can have fewer."""

    params: TrainParams
    num_batches: int
    num_steps: int

    def learning_rate(self, step: int) -> float:
        """One cycle: a linear rise, then a linear fall to zero at the last step (Smith & Topin, "Super-Convergence",
        2017)."""
        warm_up = self.params.warm_up * self.num_steps
        if step < warm_up:
            return self.params.learning_rate * step / warm_up
        return self.params.learning_rate * (self.num_steps - step) / max(1, self.num_steps - warm_up)

    def num_warm_up_epochs(self) -> int:
        """Number of epochs in which the learning rate rises, at least for a part of the epoch."""
        return self.epoch(math.ceil(self.params.warm_up * self.num_steps))

    def picture_size(self, step: int, sizes: list[int]) -> int:
        """Side of the pictures at this step. Each size is used for an equal number of steps, in the order given."""
        return sizes[(step - 1) * len(sizes) // self.num_steps]

    def epoch(self, step: int) -> int:
        """The epoch of a step, from 1."""
        return math.ceil(step / self.num_batches)

    def num_pixels(self, steps: Iterable[int], sizes: list[int]) -> int:
        """Pixels the network sees in these steps; training time is proportional to this number."""
        return sum(self.params.batch_size * self.picture_size(step, sizes) ** 2 for step in steps)

    def number_in_epoch(self, step: int) -> int:
        """Position of the step in its epoch, from 1; also the number of the epoch's steps done after this step."""
        return (step - 1) % self.num_batches + 1


def with_fitting_batch(params: TrainParams, num_images: int) -> TrainParams:
    """The params with a batch no larger than the train part, which follows from params and data alone."""
    return params.model_copy(update={"batch_size": max(1, min(params.batch_size, num_images))})


def batches_per_epoch(params: TrainParams, num_images: int) -> int:
    """Number of whole batches; the images left over differ from epoch to epoch. params: see `with_fitting_batch`."""
    return num_images // params.batch_size


def affordable_steps(
    seconds: float, step_seconds: list[float], num_batches: int, validation_seconds: float
) -> int:
    """Number of steps that fit into the time; zero or less if not even one step fits.

    step_seconds: duration of a step at each picture size; each size gets an equal number of steps.
    validation_seconds: duration of one validation; every epoch ends with one."""
    per_step = sum(step_seconds) / len(step_seconds) + validation_seconds / num_batches
    return int(seconds / per_step)
