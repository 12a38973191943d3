"""Training: steps on augmented batches, a look at val after each epoch, the best epoch's weights kept."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from pawline.backend import GPUS, keras, tf
from pawline.checkpoint import Arrays, Checkpoint, Progress
from pawline.errors import ParamsError, PawlineError
from pawline.machine import choose_precision, has_gpu
from pawline.networks import build_network, finish_network, start_network
from pawline.params import NetworkParams, TrainParams
from pawline.schedule import Schedule, affordable_steps, batches_per_epoch, picture_sizes
from pawline.shards import Part, PreparedImages
from pawline.trainer import Trainer, all_devices, validate

SAVE_SHARE = 0.02  # of the time, at most, that keeping the state takes
FINISH_SECONDS = 10  # that saving the model and telling MLflow take, off `train.minutes`
MEASURED_IMAGES = 512  # of val, to tell how long all of it takes
LEAST_STEPS = 10  # that a budget must afford: fewer hardly change the weights that training starts with
SAMPLE_SIZE, SAMPLE_PIXELS = 500, 500 * 96 * 96  # images that the first weights are chosen by, at most
HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]

Row = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """`model` is what is to be saved: it carries the weights of the epoch with the lowest loss on val."""

    model: keras.Model
    history: pd.DataFrame
    best_epoch: int
    num_steps: int  # of the whole schedule, all of it done unless val stopped improving
    val: Row  # figures of `model` on val


def train(
    images: PreparedImages,
    split: pd.DataFrame,
    network: NetworkParams,
    params: TrainParams,
    on_epoch: Callable[[Row], object] = lambda row: None,
    checkpoint: Checkpoint | None = None,
    started: float | None = None,
) -> Trained:
    """Train on the train part, choose the best epoch on val. `on_epoch` gets each row of the history as it comes,
    with the epoch's images per second, and on continuing from a checkpoint those before it again.

    `started`: time.time() from which `train.minutes` counts, by default now. Raises PawlineError when the loss is
    no longer a number or TensorFlow cannot use the GPU, ParamsError when there are fewer images than in a batch or
    no time for training.
    """
    started = started or time.time()
    _set_up(params)
    num_classes = len(images.class_names)
    train_part, val_part = Part.of("train", images, split), Part.of("val", images, split)
    num_batches = batches_per_epoch(params, len(train_part.rows))
    with all_devices().scope():
        model = build_network(network, images.form, num_classes, choose_precision(params.precision))
        start_network(model, network, _sample(images, train_part, params.seed))
        trainer = Trainer(model, params, images, train_part)
    sizes = picture_sizes(params, network, images.form.image_size)
    saved = checkpoint.load() if checkpoint else None
    if saved:
        progress, variables, best = saved
        trainer.restore(variables)
    else:
        progress, best = Progress(_num_steps(trainer, params, sizes, num_batches, val_part, started)), []
    schedule = Schedule(params, num_batches, progress.num_steps)
    training = _Training(
        trainer=trainer,
        schedule=schedule,
        sizes=sizes,
        val_part=val_part,
        progress=progress,
        best=best,
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )
    training.to_the_end()
    model.set_weights(training.best)
    done = finish_network(model, network, images.form, num_classes, params.flip_at_test)
    history = pd.DataFrame(progress.history, columns=HISTORY_COLUMNS)
    return Trained(done, history, progress.best_epoch, progress.num_steps, validate(done, images, val_part))


def summarize(trained: Trained) -> dict[str, Any]:
    """What `metrics/train.json` holds: figures of the kept epoch, those on val of the model as it is saved."""
    best = trained.history.to_dict("records")[trained.best_epoch - 1]
    return {
        "best_epoch": trained.best_epoch,
        "num_epochs": len(trained.history),
        "num_steps": trained.num_steps,
        "num_weights": trained.model.count_params(),
        "accuracy": best["accuracy"],
        **trained.val,
    }


def _set_up(params: TrainParams) -> None:
    keras.utils.set_random_seed(params.seed)
    if params.deterministic:
        tf.config.experimental.enable_op_determinism()
    if has_gpu() and not GPUS:
        raise PawlineError(
            "train: there is an NVIDIA GPU, but TensorFlow cannot use it; TF_CPP_MIN_LOG_LEVEL=0 shows why: "
            "mend that, perhaps by installing `.[gpu]`, or set CUDA_VISIBLE_DEVICES=-1 to train on the processor"
        )


def _sample(images: PreparedImages, part: Part, seed: int) -> NDArray[np.uint8]:
    """Some of the part's images, fewer where they are large."""
    count = min(SAMPLE_SIZE, max(1, SAMPLE_PIXELS // images.form.image_size**2), len(part.rows))
    rng = np.random.default_rng([seed, 2])
    return images.pixels(np.sort(rng.choice(part.rows, count, replace=False)))


def _num_steps(
    trainer: Trainer, params: TrainParams, sizes: list[int], num_batches: int, val_part: Part, started: float
) -> int:
    if params.steps:
        return params.steps
    if params.minutes is None:
        return params.epochs * num_batches
    step_seconds = trainer.measure(sizes)
    some = val_part.first(MEASURED_IMAGES)
    trainer.validate(some)  # compiles
    begin = time.time()
    trainer.validate(some)
    now = time.time()
    left = 60 * params.minutes - (now - started) - FINISH_SECONDS
    validation_seconds = (now - begin) * len(val_part.rows) / len(some.rows)
    num_steps = affordable_steps(left, step_seconds, num_batches, validation_seconds)
    if num_steps < LEAST_STEPS:
        raise ParamsError(
            f"train.minutes is {params.minutes:g}: loading, measuring and saving leave time for "
            f"{max(0, num_steps)} steps, expected {LEAST_STEPS} or more; make it larger, or empty to "
            "train by epochs"
        )
    return num_steps


@dataclass
class _Training:
    """A training under way."""

    trainer: Trainer
    schedule: Schedule
    sizes: list[int]
    val_part: Part
    progress: Progress
    best: Arrays
    checkpoint: Checkpoint | None
    on_epoch: Callable[[Row], object]
    next_save: float = 0.0  # on the monotonic clock

    def to_the_end(self) -> None:
        for row in self.progress.history:
            self.on_epoch(row)
        self._save()
        with self._bar() as bar:
            while self.progress.step < self.schedule.num_steps and not self._is_hopeless():
                self._epoch(bar)
        self._save()
        if self.progress.step < self.schedule.num_steps:
            print(
                f"pawline: train: stopped after epoch {len(self.progress.history)} of {self._num_epochs}: "
                f"val loss has not fallen for {self.schedule.params.patience} (train.patience)",
                file=sys.stderr,
            )

    @property
    def _num_epochs(self) -> int:
        return self.schedule.epoch(self.schedule.num_steps)

    def _bar(self) -> "tqdm[Any]":
        """Counts pixels, not steps: those of small pictures are over sooner, and the time left is to be right."""
        schedule, step = self.schedule, self.progress.step
        return tqdm(
            desc="train",
            total=schedule.num_pixels(range(1, schedule.num_steps + 1), self.sizes),
            initial=schedule.num_pixels(range(1, step + 1), self.sizes),
            unit="px",
            unit_scale=True,
            disable=None,  # where standard error is no terminal
        )

    def _is_hopeless(self) -> bool:
        """Whether val has not improved for `train.patience` epochs, those in which the rate rises not counted."""
        since = max(self.progress.best_epoch, self.schedule.num_warm_up_epochs())
        return len(self.progress.history) - since >= self.schedule.params.patience

    def _epoch(self, bar: "tqdm[Any]") -> None:
        progress, schedule = self.progress, self.schedule
        epoch, first = schedule.epoch(progress.step + 1), progress.step + 1
        last = min(epoch * schedule.num_batches, schedule.num_steps)
        begin = time.monotonic()
        for step in range(first, last + 1):
            self._step(step, epoch)
            bar.update(schedule.num_pixels([step], self.sizes))
            if step < last:
                self._save_now_and_then()
        images_per_second = schedule.params.batch_size * (last - first + 1) / (time.monotonic() - begin)
        self._end_epoch(epoch, images_per_second)
        bar.set_postfix_str(f"epoch {epoch}/{self._num_epochs}, val {progress.history[-1]['val_accuracy']:.3f}")

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
            "accuracy": progress.num_correct / (num_steps * self.schedule.params.batch_size),
            **self.trainer.validate(self.val_part),
            "learning_rate": self.schedule.learning_rate(progress.step),
            "images_per_second": images_per_second,
        }
        self._refuse_nan(row["val_loss"], progress.step)
        if not self.best or row["val_loss"] < progress.history[progress.best_epoch - 1]["val_loss"]:
            progress.best_epoch, self.best = epoch, self.trainer.weights()
        progress.history.append(row)
        progress.loss_sum = progress.num_correct = 0.0
        self.on_epoch(row)
        self._save_now_and_then()

    def _save_now_and_then(self) -> None:
        if time.monotonic() > self.next_save:
            self._save()

    def _save(self) -> None:
        """The loss is of before its step, so that a step may have spoilt the weights without being found out: the
        state that is kept must not be of those."""
        if self.checkpoint:
            begin, variables = time.monotonic(), self.trainer.variables()
            if not all(np.isfinite(values).all() for values in variables):
                self._refuse(
                    f"the weights are no longer numbers after step {self.progress.step}", self.progress.step
                )
            self.checkpoint.save(self.progress, variables, self.best)
            self.next_save = time.monotonic() + (time.monotonic() - begin) / SAVE_SHARE

    def _refuse_nan(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            self._refuse(f"the loss is {loss} at step {step}", step)

    def _refuse(self, what: str, step: int) -> NoReturn:
        raise PawlineError(
            f"train: {what}, learning rate {self.schedule.learning_rate(step):.3g}; "
            "try a smaller train.learning_rate"
        )
