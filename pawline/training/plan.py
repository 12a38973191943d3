"""Plan a training before its first step: which recipe it follows, and how many steps a budget of minutes affords."""

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pawline.errors import ParamsError
from pawline.params.network import NetworkParams
from pawline.params.train import Recipe, TrainParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.recipe import Facts, choose
from pawline.training.checkpoint import Progress
from pawline.training.schedule import Schedule, affordable_steps, batches_per_epoch

if TYPE_CHECKING:
    from pawline.training.trainer import Trainer

FINISH_SECONDS = 10  # of `train.minutes`, reserved for saving and logging the model
KEPT_SECONDS = 1  # the same, for each epoch whose weights are kept
MEASURED_IMAGES = 512  # of val, to estimate the time of a validation
MEASURED_SIDE = 48  # pixels; the time of a step follows the number of pixels
# The plan changes where the end is foreseen further off than the largest of these: a part of the budget, seconds, and
# a part of an epoch, since only whole epochs are dropped or added.
TOLERANCE, TOLERANCE_SECONDS, TOLERANCE_EPOCHS = 0.05, 10, 0.5


@dataclass(frozen=True)
class Budget:
    """The seconds of `train.minutes`. began: the time.time() from which they count; num_kept: `train.keep_epochs`."""

    seconds: float
    began: float
    num_kept: int = 0

    @classmethod
    def of(cls, params: TrainParams, network: NetworkParams, began: float) -> "Budget | None":
        """The budget of a training; None where steps or epochs count. A frozen network has none: it looks at each
        picture once."""
        if not params.minutes or params.steps or network.is_frozen:
            return None
        return cls(60 * params.minutes, began, params.keep_epochs)

    @property
    def seconds_left(self) -> float:
        """What is left for steps and validations."""
        reserved = FINISH_SECONDS + KEPT_SECONDS * self.num_kept
        return self.seconds - reserved - (time.time() - self.began)


def plan_recipe(
    asked: TrainParams,
    network: NetworkParams,
    images: PreparedImages,
    train_part: Part,
    budget: Budget | None,
    begun: str | None = None,
) -> Recipe:
    """Choose what is `auto`, see pawline/recipe.py. With a budget of minutes this measures how long a step takes.

    begun: the recipe that a training to be continued began with, as JSON; it stays."""
    if begun is not None:
        return Recipe.model_validate_json(begun)
    return choose(asked, facts_of(asked, network, images, train_part, budget))


def facts_of(
    asked: TrainParams, network: NetworkParams, images: PreparedImages, train_part: Part, budget: Budget | None
) -> Facts:
    """Collect what the recipe follows from. With a budget of minutes this measures how long a step takes here."""
    facts = Facts(network, images.form.image_size, len(train_part.rows))
    if not (budget and asked.automatic):
        return facts
    begin = time.time()
    pixel_seconds = _seconds_per_pixel(choose(asked, facts), network, images, train_part)
    to_come = time.time() - begin  # the network that trains is built and compiled after this
    num_pixels = max(0.0, budget.seconds_left - to_come) / pixel_seconds
    return replace(facts, num_pixels=num_pixels, pixel_seconds=pixel_seconds)


def _seconds_per_pixel(guess: Recipe, network: NetworkParams, images: PreparedImages, train_part: Part) -> float:
    """Measure a step of a network that is thrown away."""
    from pawline.model.machine import choose_precision
    from pawline.training.networks import build_network
    from pawline.training.trainer import Trainer, all_devices

    whole = images.form.image_size
    sides = network.section.picture_sizes(whole, (min(1.0, MEASURED_SIDE / whole),))
    with all_devices().scope():
        model = build_network(network, images.form, len(images.class_names), choose_precision(guess.precision))
        [seconds] = Trainer(model, guess, images, train_part).step_seconds(sides)
    return seconds / (guess.batch_size * sides[0] ** 2)


def plan_steps(
    trainer: "Trainer", recipe: Recipe, sides: list[int], num_images: int, val_part: Part, budget: Budget | None
) -> Progress:
    """The state before the first step: `train.steps` overrides `train.minutes`, which overrides `train.epochs`.

    Raises ParamsError where the minutes do not suffice for one epoch."""
    num_batches = batches_per_epoch(recipe, num_images)
    if recipe.steps:
        return Progress(recipe.steps, cuts=[[*cut] for cut in recipe.cuts])
    if not budget:
        return Progress(recipe.epochs * num_batches)
    step_seconds = trainer.step_seconds(sides)
    validation_seconds = _validation_seconds(trainer, val_part)
    left = budget.seconds_left
    num_steps = affordable_steps(left, step_seconds, num_batches, validation_seconds)
    if num_steps < num_batches:
        epoch = num_batches * sum(step_seconds) / len(step_seconds) + validation_seconds
        needed = enough_minutes(budget.seconds - left, epoch)
        raise ParamsError(
            f"train.minutes is {recipe.minutes:g}: loading, measuring and saving leave time for {max(0, num_steps)} "
            f"steps of {recipe.batch_size} pictures, and one epoch has {num_batches}; expected about {needed:g} or "
            "more minutes here; make it larger, or null to train by epochs"
        )
    return Progress(num_steps, step_seconds=step_seconds, validation_seconds=validation_seconds)


def enough_minutes(lost_seconds: float, epoch_seconds: float) -> float:
    """The fewest minutes, rounded up to tenths, that hold an epoch and a tenth, besides the time that is lost to it."""
    return math.ceil((lost_seconds + 1.1 * epoch_seconds) / 6) / 10


def _validation_seconds(trainer: "Trainer", val_part: Part) -> float:
    sample = val_part.head(MEASURED_IMAGES)
    trainer.validate(sample)  # the first call compiles
    begin = time.time()
    trainer.validate(sample)
    return (time.time() - begin) * len(val_part.rows) / len(sample.rows)


@dataclass(frozen=True)
class Watch:
    """Keeps a training to its minutes where the machine is busier, or less busy, than while the plan was made."""

    budget: Budget
    sides: list[int]
    step_seconds: list[float]
    validation_seconds: float

    def change(self, schedule: Schedule, first_step: int, step: int, seconds: float) -> int:
        """How many whole epochs to drop after a step (below zero) or to add, so that the training ends in time; the
        next epoch stays. Half of what seems due is changed at once: a disturbance may pass, and there are other looks.

        seconds: the time that the steps from first_step to `step` took."""
        slowness, left = seconds / self._planned(schedule, first_step, step), schedule.last_step - step
        budget = self.budget.seconds
        gone = budget - self.budget.seconds_left  # saving the model included
        rest = slowness * self._planned(schedule, step + 1, schedule.last_step)
        epoch, end = rest * schedule.num_batches / left, gone + rest
        tolerance = max(TOLERANCE * budget, TOLERANCE_SECONDS, TOLERANCE_EPOCHS * epoch)
        if abs(end - budget) <= tolerance:
            return 0
        due = math.floor(abs(end - budget) / epoch)
        if end < budget:
            return math.ceil(due / 2)
        at_least = math.ceil((end - budget - tolerance) / epoch)  # of long epochs, none may be due
        return -min(math.ceil(max(due, at_least) / 2), (left - 1) // schedule.num_batches)

    def _planned(self, schedule: Schedule, first: int, last: int) -> float:
        """The seconds that the plan counts for these steps and their validations; above zero."""
        by_side = dict(zip(self.sides, self.step_seconds, strict=True))
        steps = sum(by_side[schedule.picture_size(step, self.sides)] for step in range(first, last + 1))
        return max(1e-9, steps + self.validation_seconds * (last - first + 1) / schedule.num_batches)
