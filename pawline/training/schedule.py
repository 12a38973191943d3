"""The learning rate, picture size and epoch of each step. Needs no TensorFlow."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pawline.params.train import Recipe


@dataclass(frozen=True)
class Schedule:
    """Steps are numbered from 1 to last_step. An epoch has `num_batches` steps; the last epoch can have fewer.

    num_steps: of the first plan. cuts: (step, number of steps): after this step the plan has so many; see `changed`."""

    recipe: Recipe
    num_batches: int
    num_steps: int
    cuts: tuple[tuple[int, int], ...] = ()

    @property
    def last_step(self) -> int:
        return self.cuts[-1][1] if self.cuts else self.num_steps

    def learning_rate(self, step: int) -> float:
        """One cycle: a linear rise, then a linear fall to zero at the last step (Smith & Topin, "Super-Convergence",
        2017)."""
        warm_up, place = self.recipe.warm_up * self.num_steps, self._place(step)
        if place < warm_up:
            return self.recipe.learning_rate * place / warm_up
        return self.recipe.learning_rate * (self.num_steps - place) / max(1, self.num_steps - warm_up)

    def num_warm_up_epochs(self) -> int:
        """Number of epochs in which the learning rate rises, at least for a part of the epoch."""
        end = self.recipe.warm_up * self.num_steps
        return self.epoch(next(step for step in range(self.last_step + 1) if self._place(step) >= end))

    def picture_size(self, step: int, sizes: list[int]) -> int:
        """Side of the pictures at this step. Each size is used for an equal number of steps, in the order given."""
        return sizes[int(max(0, self._place(step) - 1) * len(sizes) // self.num_steps)]

    def epoch(self, step: int) -> int:
        """The epoch of a step, from 1."""
        return math.ceil(step / self.num_batches)

    def changed(self, step: int, num_epochs: int) -> "Schedule":
        """Add whole epochs to the plan after a step, or drop some (below zero): the learning rate still falls to zero
        at the last step, and each picture size keeps its share of what is left."""
        return replace(self, cuts=(*self.cuts, (step, self.last_step + num_epochs * self.num_batches)))

    def _place(self, step: int) -> float:
        """The step of the first plan whose place this step takes; the step itself where nothing was changed."""
        begin, place, end = 0, 0.0, self.num_steps
        for after, last in self.cuts:
            if step <= after:
                break
            place += (after - begin) * (self.num_steps - place) / (end - begin)
            begin, end = after, last
        if not begin:
            return step
        return min(self.num_steps, place + (step - begin) * (self.num_steps - place) / (end - begin))

    def num_pixels(self, steps: Iterable[int], sizes: list[int]) -> int:
        """Pixels the network sees in these steps; training time is proportional to this number."""
        return sum(self.recipe.batch_size * self.picture_size(step, sizes) ** 2 for step in steps)

    def number_in_epoch(self, step: int) -> int:
        """Position of the step in its epoch, from 1; also the number of the epoch's steps done after this step."""
        return (step - 1) % self.num_batches + 1


def with_fitting_batch(recipe: Recipe, num_images: int) -> Recipe:
    """The recipe with a batch no larger than the train part, which follows from params and data alone."""
    return recipe.model_copy(update={"batch_size": max(1, min(recipe.batch_size, num_images))})


def batches_per_epoch(recipe: Recipe, num_images: int) -> int:
    """Number of whole batches; the images left over differ from epoch to epoch. recipe: see `with_fitting_batch`."""
    return num_images // recipe.batch_size


def affordable_steps(
    seconds: float, step_seconds: list[float], num_batches: int, validation_seconds: float
) -> int:
    """Number of steps that fit into the time; zero or less if not even one step fits.

    step_seconds: duration of a step at each picture size; each size gets an equal number of steps.
    validation_seconds: duration of one validation; every epoch ends with one."""
    per_step = sum(step_seconds) / len(step_seconds) + validation_seconds / num_batches
    return int(seconds / per_step)
