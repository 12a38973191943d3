"""Train a network: run steps on augmented batches, validate after each epoch, keep the best epoch's weights.

Only the function `train` imports TensorFlow, which takes seconds to load, so bad params are refused at once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.epochs import Epochs, KeptEpoch
from pawline.errors import ParamsError
from pawline.model.machine import choose_precision
from pawline.params.network import NetworkParams
from pawline.params.train import TrainParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.softmax import softmax
from pawline.temperature import MIN_IMAGES, fit_temperature
from pawline.terminal import say
from pawline.training.checkpoint import Arrays, Checkpoint, EpochRow, Progress
from pawline.training.kept_epochs import epochs_to_keep, kept_epoch
from pawline.training.schedule import Schedule, affordable_steps, batches_per_epoch, with_fitting_batch

if TYPE_CHECKING:
    from pawline.training.loop import Loop
    from pawline.training.trainer import Trainer

FINISH_SECONDS = 10  # of `train.minutes`, reserved for saving and logging the model
KEPT_SECONDS = 1  # for each epoch whose weights are kept
MEASURED_IMAGES = 512  # of val, to estimate the time of a validation
MIN_STEPS = 10  # of a time budget: fewer steps hardly change the first weights
SAMPLE_SIZE, SAMPLE_PIXELS = 500, 500 * 96 * 96  # at most, of the images that set the first weights
HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


@dataclass(frozen=True)
class Trained:
    """A finished training. `model` is the model to save, with the weights of the epoch with the lowest loss on val."""

    model: Any  # a keras.Model; its type would need TensorFlow
    history: pd.DataFrame
    best_epoch: int
    num_steps: int  # of the whole schedule; fewer were done if val stopped improving
    batch_size: int | None  # where the train part is smaller than `train.batch_size`
    val: EpochRow  # loss and accuracy of `model` on val, before the temperature
    temperature: float  # fitted on val, see temperature.py
    kept: list[KeptEpoch] = field(default_factory=list)  # see `train.keep_epochs`
    penalty: float | None = None  # of the last layer of a frozen network


def refuse_impossible(params: TrainParams) -> None:
    """Raise ParamsError if the machine does not support the precision."""
    choose_precision(params.precision)


def train(
    images: PreparedImages,
    split: pd.DataFrame,
    network: NetworkParams,
    params: TrainParams,
    on_epoch: Callable[[EpochRow], object] = lambda row: None,
    checkpoint: Checkpoint | None = None,
    started: float | None = None,
    features: Path | None = None,
) -> Trained:
    """Train on the train part, choose the best epoch on val.

    on_epoch: called with each row of the history at the end of its epoch, which also holds images_per_second; a
    training that continues from a checkpoint calls it with the earlier rows first.
    started: the time.time() from which `train.minutes` counts, by default now.
    features: the folder that keeps the features of a pretrained network; None keeps none.

    A batch larger than the train part shrinks to it. Raises PawlineError if the loss is no longer a number or
    TensorFlow cannot use the GPU, ParamsError if `train.minutes` leaves no time for training.
    """
    started = started or time.time()
    from pawline.model.saved import logits_of_rows
    from pawline.training.fine_tuning import start_last_layer
    from pawline.training.networks import build_network, finish_network, start_network
    from pawline.training.trainer import Trainer, all_devices, set_up, val_figures

    set_up(params)
    form, num_classes = images.form, len(images.class_names)
    train_part, val_part = Part.of("train", images, split), Part.of("val", images, split)
    if network.name == "pretrained":
        for line in network.pretrained.advice(form):
            say(f"train: {line}")
    if network.is_frozen:
        return _train_frozen(images, train_part, val_part, network, params, on_epoch, features)
    asked_batch_size, params = params.batch_size, with_fitting_batch(params, len(train_part.rows))
    if params.batch_size < asked_batch_size:
        say(
            f"train: train.batch_size is {asked_batch_size}, but there are {params.batch_size} images to train on: "
            f"a batch holds these {params.batch_size}"
        )
    with all_devices().scope():
        model = build_network(network, form, num_classes, choose_precision(params.precision))
        start_network(model, network, _sample(images, train_part, params.seed))
        if network.name == "pretrained":
            start_last_layer(model, images, (train_part, val_part), network, params, features)
        trainer = Trainer(model, params, images, train_part)
    sizes = network.section.picture_sizes(form.image_size, params.sizes)
    loop = _loop(trainer, params, sizes, (train_part, val_part), checkpoint, started)
    loop.on_epoch = on_epoch
    loop.finish()

    def finish(weights: Arrays) -> Any:
        model.set_weights(weights)
        return finish_network(model, network, form, num_classes, params.flip_at_test)

    finished, progress = finish(loop.best), loop.progress
    logits = logits_of_rows(finished, images, val_part.rows)
    saved = finished.get_weights()
    return Trained(
        model=finished,
        history=pd.DataFrame(progress.history, columns=HISTORY_COLUMNS),
        best_epoch=progress.best_epoch,
        num_steps=progress.num_steps,
        batch_size=params.batch_size if params.batch_size < asked_batch_size else None,
        val=val_figures(val_part.labels, softmax(logits)),
        temperature=_temperature(val_part.labels, logits),
        kept=[
            kept_epoch(epoch, finish(weights).get_weights(), saved, progress.history)
            for epoch, weights in loop.kept.items()
        ],
    )


def _loop(
    trainer: "Trainer",
    params: TrainParams,
    sizes: list[int],
    parts: tuple[Part, Part],
    checkpoint: Checkpoint | None,
    started: float,
) -> "Loop":
    """The training as far as its checkpoint says, or a new one. parts: train and val."""
    from pawline.training.loop import Loop

    num_batches = batches_per_epoch(params, len(parts[0].rows))
    if state := checkpoint.load() if checkpoint else None:
        progress, variables, best, kept = state
        trainer.restore(variables)
    else:
        progress = Progress(_num_steps(trainer, params, sizes, num_batches, parts[1], started))
        best, kept = [], {}
    schedule = Schedule(params, num_batches, progress.num_steps)
    num_bytes = sum(weight.nbytes for weight in trainer.model.get_weights())
    return Loop(
        trainer=trainer,
        schedule=schedule,
        sizes=sizes,
        val_part=parts[1],
        progress=progress,
        best=best,
        keep=epochs_to_keep(params.keep_epochs, schedule.epoch(progress.num_steps), num_bytes),
        kept=kept,
        checkpoint=checkpoint,
    )


def _train_frozen(
    images: PreparedImages,
    train_part: Part,
    val_part: Part,
    network: NetworkParams,
    params: TrainParams,
    on_epoch: Callable[[EpochRow], object],
    features: Path | None,
) -> Trained:
    from pawline.training.frozen import train_frozen

    frozen = train_frozen(images, train_part, val_part, network, params, features)
    on_epoch(frozen.row)
    return Trained(
        model=frozen.model,
        history=pd.DataFrame([frozen.row], columns=HISTORY_COLUMNS),
        best_epoch=1,
        num_steps=frozen.head.num_iterations,
        batch_size=None,
        val={name: frozen.row[name] for name in ("val_loss", "val_accuracy")},
        temperature=_temperature(val_part.labels, frozen.val_logits),
        penalty=frozen.head.penalty,
    )


def summarize(trained: Trained) -> dict[str, Any]:
    """The content of `metrics/train.json`: figures of the best epoch; its val figures are those of the saved model."""
    best = trained.history.to_dict("records")[trained.best_epoch - 1]
    return {
        "best_epoch": trained.best_epoch,
        "num_epochs": len(trained.history),
        "num_steps": trained.num_steps,
        **({"batch_size": trained.batch_size} if trained.batch_size else {}),
        **({"penalty": trained.penalty} if trained.penalty else {}),
        "num_weights": trained.model.count_params(),
        "accuracy": best["accuracy"],
        **trained.val,
        "temperature": trained.temperature,
    }


def epochs_of(trained: Trained, model_digest: str) -> Epochs:
    """The content of `models/epochs.npz`."""
    return Epochs(model_digest, trained.best_epoch, len(trained.history), trained.kept)


def _temperature(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    if len(labels) < MIN_IMAGES or len(np.unique(labels)) < 2:
        say(
            f"train: val has {len(labels)} images of {len(np.unique(labels))} classes: too few to calibrate "
            f"probabilities (expected {MIN_IMAGES} of 2), so they stay as the network gives them"
        )
    return fit_temperature(labels, logits)


def _sample(images: PreparedImages, part: Part, seed: int) -> NDArray[np.uint8]:
    """A random sample of the part's images, smaller for large images: uint8 (n, height, width, channels)."""
    count = min(SAMPLE_SIZE, max(1, SAMPLE_PIXELS // images.form.image_size**2), len(part.rows))
    rng = np.random.default_rng([seed, 2])
    return images.pixels(part.rows[np.sort(rng.choice(len(part.rows), count, replace=False))])


def _num_steps(
    trainer: "Trainer", params: TrainParams, sizes: list[int], num_batches: int, val_part: Part, started: float
) -> int:
    """Number of steps of the training: `train.steps` overrides `train.minutes`, which overrides `train.epochs`."""
    if params.steps:
        return params.steps
    if params.minutes is None:
        return params.epochs * num_batches
    step_seconds = trainer.step_seconds(sizes)
    sample = val_part.head(MEASURED_IMAGES)
    trainer.validate(sample)  # the first call compiles
    begin = time.time()
    trainer.validate(sample)
    now = time.time()
    seconds_left = 60 * params.minutes - (now - started) - FINISH_SECONDS - params.keep_epochs * KEPT_SECONDS
    validation_seconds = (now - begin) * len(val_part.rows) / len(sample.rows)
    num_steps = affordable_steps(seconds_left, step_seconds, num_batches, validation_seconds)
    if num_steps < MIN_STEPS:
        raise ParamsError(
            f"train.minutes is {params.minutes:g}: loading, measuring and saving leave time for "
            f"{max(0, num_steps)} steps, expected {MIN_STEPS} or more; make it larger, or empty to "
            "train by epochs"
        )
    return num_steps
