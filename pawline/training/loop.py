"""The training loop: it runs the steps, validates after each epoch and saves the state at intervals."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

from pawline.errors import PawlineError
from pawline.parts import Part
from pawline.terminal import say
from pawline.training.checkpoint import Arrays, Checkpoint, EpochRow, Progress
from pawline.training.kept_epochs import planned_epochs
from pawline.training.plan import Watch
from pawline.training.schedule import Schedule
from pawline.training.trainer import Trainer

LOOK_SECONDS = 5  # between two looks at the time that is left: a look counts steps, and an epoch may have few
SAVE_FRACTION = 0.02  # of the training time, at most, is spent on saving the state


@dataclass
class Loop:
    """An unfinished training: its state, and the rest of its steps."""

    trainer: Trainer
    schedule: Schedule
    sizes: list[int]
    val_part: Part
    progress: Progress
    best: Arrays
    num_keep: int  # of epochs whose weights are kept
    kept: dict[int, Arrays]  # their weights, as far as the training has come
    watch: Watch | None = None  # of a budget of minutes
    checkpoint: Checkpoint | None = None
    on_epoch: Callable[[EpochRow], object] = lambda row: None
    next_save: float = 0.0  # on the monotonic clock
    next_look: float = 0.0  # at the time that is left

    def finish(self) -> None:
        """Report the finished epochs again, then run the remaining steps, fewer where val stops improving.

        Raises PawlineError if the loss or the weights become NaN or infinite."""
        for row in self.progress.history:
            self.on_epoch(row)
        if 0 in self._keep and self.progress.step == 0:
            self.kept[0] = self.trainer.model.get_weights()  # the moving average begins with the first step
        self._save()
        first_step, begin = self.progress.step + 1, time.monotonic()
        with self._bar() as bar:
            while self.progress.step < self.schedule.last_step and not self._is_hopeless():
                self._epoch(bar)
                self._keep_to_minutes(first_step, time.monotonic() - begin, bar)
        self._save()
        if self.progress.step < self.schedule.last_step:
            say(
                f"train: stopped after epoch {len(self.progress.history)} of {self._num_epochs}: val loss has not "
                f"fallen for {self.schedule.recipe.patience} (train.patience)"
            )

    @property
    def _num_epochs(self) -> int:
        return self.schedule.epoch(self.schedule.last_step)

    @property
    def _keep(self) -> list[int]:
        """The epochs whose weights are kept; 0: before the first step."""
        return planned_epochs(self.schedule, self.num_keep)

    def _bar(self) -> "tqdm[Any]":
        """Count pixels, not steps: steps on small pictures take less time, and the time left must be right."""
        schedule, step = self.schedule, self.progress.step
        return tqdm(
            desc="train",
            total=schedule.num_pixels(range(1, schedule.last_step + 1), self.sizes),
            initial=schedule.num_pixels(range(1, step + 1), self.sizes),
            unit="px",
            unit_scale=True,
            disable=None,  # no bar where standard error is not a terminal
        )

    def _is_hopeless(self) -> bool:
        """Whether val has not improved for `train.patience` epochs. Epochs in which the rate rises do not count."""
        since = max(self.progress.best_epoch, self.schedule.num_warm_up_epochs())
        return len(self.progress.history) - since >= self.schedule.recipe.patience

    def _epoch(self, bar: "tqdm[Any]") -> None:
        progress, schedule = self.progress, self.schedule
        epoch, first_step = schedule.epoch(progress.step + 1), progress.step + 1
        last_step = min(epoch * schedule.num_batches, schedule.last_step)
        begin = time.monotonic()
        for step in range(first_step, last_step + 1):
            self._step(step, epoch)
            bar.update(schedule.num_pixels([step], self.sizes))
            if step < last_step:
                self._save_when_due()
        images_per_second = schedule.recipe.batch_size * (last_step - first_step + 1) / (time.monotonic() - begin)
        self._end_epoch(epoch, images_per_second)
        bar.set_postfix_str(f"epoch {epoch}/{self._num_epochs}, val {progress.history[-1]['val_accuracy']:.3f}")

    def _keep_to_minutes(self, first_step: int, seconds: float, bar: "tqdm[Any]") -> None:
        """Change the plan where the training would end much too late or early. seconds: since first_step began."""
        schedule, step, now = self.schedule, self.progress.step, time.monotonic()
        if not self.watch or step >= schedule.last_step or now < self.next_look:
            return
        self.next_look = now + LOOK_SECONDS
        if change := self.watch.change(schedule, first_step, step, seconds):
            before, self.schedule = self._num_epochs, schedule.changed(step, change)
            self.progress.cuts = [[*cut] for cut in self.schedule.cuts]
            bar.total = self.schedule.num_pixels(range(1, self.schedule.last_step + 1), self.sizes)
            say(
                f"train: the plan would end too {'early' if change > 0 else 'late'}: {self._num_epochs} epochs instead "
                f"of {before}, to keep to train.minutes"
            )

    def _step(self, step: int, epoch: int) -> None:
        size = self.schedule.picture_size(step, self.sizes)
        number = self.schedule.number_in_epoch(step)
        loss, correct = self.trainer.step(step, epoch, number, size, self.schedule.learning_rate(step))
        self._refuse_nan(loss, step)
        self.progress.step = step
        self.progress.loss_sum += loss
        self.progress.num_correct += correct

    def _end_epoch(self, epoch: int, images_per_second: float) -> None:
        progress = self.progress
        num_steps = self.schedule.number_in_epoch(progress.step)
        row = {
            "epoch": epoch,
            "loss": progress.loss_sum / num_steps,
            "accuracy": progress.num_correct / (num_steps * self.schedule.recipe.batch_size),
            **self.trainer.validate(self.val_part),
            "learning_rate": self.schedule.learning_rate(progress.step),
            "images_per_second": images_per_second,
        }
        self._refuse_nan(row["val_loss"], progress.step)
        if not self.best or row["val_loss"] < progress.history[progress.best_epoch - 1]["val_loss"]:
            progress.best_epoch, self.best = epoch, self.trainer.weights()
        if epoch in self._keep:
            self.kept[epoch] = self.trainer.weights()
        progress.history.append(row)
        progress.loss_sum = progress.num_correct = 0.0
        self.on_epoch(row)
        self._save_when_due()

    def _save_when_due(self) -> None:
        if time.monotonic() > self.next_save:
            self._save()

    def _save(self) -> None:
        """Save the state. The loss was computed before the update, so the update may have produced NaN weights unseen:
        never save those."""
        if self.checkpoint:
            begin, variables = time.monotonic(), self.trainer.variables()
            if self.watch:
                self.progress.spent_seconds = time.time() - self.watch.budget.began
            if not all(np.isfinite(values).all() for values in variables):
                self._refuse(
                    f"the weights are no longer numbers after step {self.progress.step}", self.progress.step
                )
            self.checkpoint.save(self.progress, variables, self.best, self.kept)
            self.next_save = time.monotonic() + (time.monotonic() - begin) / SAVE_FRACTION

    def _refuse_nan(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            self._refuse(f"the loss is {loss} at step {step}", step)

    def _refuse(self, what: str, step: int) -> NoReturn:
        raise PawlineError(
            f"train: {what}, learning rate {self.schedule.learning_rate(step):.3g}; "
            "try a smaller train.learning_rate"
        )
