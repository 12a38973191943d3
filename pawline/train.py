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
from pawline.model.machine import choose_precision
from pawline.params.network import NetworkParams
from pawline.params.record import AUTO
from pawline.params.train import Recipe, TrainParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.recipe import chosen_keys, recipe_line
from pawline.softmax import softmax
from pawline.temperature import MIN_IMAGES, fit_temperature
from pawline.terminal import say
from pawline.training.checkpoint import Arrays, Checkpoint, EpochRow, Progress
from pawline.training.kept_epochs import kept_epoch, num_to_keep
from pawline.training.plan import Budget, Watch, plan_recipe, plan_steps
from pawline.training.schedule import Schedule, batches_per_epoch

if TYPE_CHECKING:
    from pawline.training.head import Head
    from pawline.training.loop import Loop
    from pawline.training.trainer import Trainer

SAMPLE_SIZE, SAMPLE_PIXELS = 500, 500 * 96 * 96  # at most, of the images that set the first weights
HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]

Parts = tuple[Part, Part]  # train, val


@dataclass(frozen=True)
class Trained:
    """A finished training. `model` is the model to save, with the weights of the epoch with the lowest loss on val."""

    model: Any  # a keras.Model; its type would need TensorFlow
    images: PreparedImages  # as the model sees them
    history: pd.DataFrame
    best_epoch: int
    recipe: Recipe  # with `steps` and `cuts`, unless the network is frozen: it repeats this training
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

    What is `auto` in params is chosen (pawline/recipe.py), unless a checkpoint has the choice already. A batch larger
    than the train part shrinks to it. Raises PawlineError if the loss is no longer a number or TensorFlow cannot use
    the GPU, ParamsError if `train.minutes` leaves no time for an epoch.
    """
    from pawline.training.trainer import set_up

    set_up(params)
    state = checkpoint.load() if checkpoint else None
    spent, begun = (state[0].spent_seconds, state[0].recipe) if state else (0.0, None)
    budget = Budget.of(params, network, (started or time.time()) - spent)
    last_layer = None if state else _first_last_layer(images, split, network, params, features)
    recipe = plan_recipe(params, network, images, Part.of("train", images, split), budget, begun)
    sides, side = network.sides(images.form.image_size, recipe.sizes, recipe.predict_size)
    seen = images.shrunk_to(side)
    parts = Part.of("train", seen, split), Part.of("val", seen, split)
    _say_choice(params, recipe, network, seen, len(parts[0].rows))
    if network.is_frozen:
        return _train_frozen(seen, parts, network, recipe, on_epoch, features)
    trainer = _trainer(seen, parts[0], network, recipe, last_layer)
    loop = _loop(trainer, recipe, parts, sides, budget, state)
    loop.on_epoch, loop.checkpoint = on_epoch, checkpoint
    loop.finish()
    return _finished(loop, seen, network, params.batch_size)


def _say_choice(
    params: TrainParams, recipe: Recipe, network: NetworkParams, seen: PreparedImages, num_images: int
) -> None:
    if network.name == "pretrained":
        for line in network.pretrained.advice(seen.form):
            say(f"train: {line}")
    if params.batch_size not in (AUTO, recipe.batch_size) and not network.is_frozen:
        say(
            f"train: train.batch_size is {params.batch_size}, but there are {recipe.batch_size} pictures to train on: "
            f"a batch holds these {recipe.batch_size}"
        )
    if params.steps and params.minutes and not network.is_frozen:
        say(
            f"train: train.steps is {params.steps:,}, so train.minutes {params.minutes:g} does not count: "
            "-S train.steps=null lets it count"
        )
    if chosen_keys(params, network):
        say(f"train: {recipe_line(params, recipe, network, num_images, len(seen.class_names))}")


def _first_last_layer(
    images: PreparedImages, split: pd.DataFrame, network: NetworkParams, params: TrainParams, features: Path | None
) -> "Head | None":
    """The last layer that a fine-tuned network begins with; None for others. The features of many pictures take
    minutes, so ask for it before the plan, which counts the time that is left."""
    if not network.is_fine_tuned:
        return None
    from pawline.training.frozen import fit_first_layer

    return fit_first_layer(images, split, network, params, features)


def _trainer(
    images: PreparedImages, train_part: Part, network: NetworkParams, recipe: Recipe, last_layer: "Head | None"
) -> "Trainer":
    """The network with its first weights; a checkpoint may set later ones."""
    from pawline.training.networks import build_network, start_network
    from pawline.training.trainer import Trainer, all_devices, set_up

    set_up(recipe)  # again: the network that was measured took numbers of the seed
    with all_devices().scope():
        model = build_network(network, images.form, len(images.class_names), choose_precision(recipe.precision))
        start_network(model, network, _sample(images, train_part, recipe.seed))
        if last_layer:
            model.get_layer("output").set_weights([last_layer.kernel, last_layer.bias])
        return Trainer(model, recipe, images, train_part)


def _loop(
    trainer: "Trainer",
    recipe: Recipe,
    parts: Parts,
    sides: list[int],
    budget: Budget | None,
    state: tuple[Progress, Arrays, Arrays, dict[int, Arrays]] | None,
) -> "Loop":
    """The training before its first step, or where a checkpoint left it."""
    from pawline.training.loop import Loop

    if state:
        progress, variables, best, kept = state
        trainer.restore(variables)
        if budget:
            trainer.step_seconds(sides)  # compiles, which its watch must not take for a slow machine
    else:
        progress, best, kept = plan_steps(trainer, recipe, sides, len(parts[0].rows), parts[1], budget), [], {}
        progress.recipe = recipe.model_dump_json()
    cuts = tuple((after, last) for after, last in progress.cuts)
    schedule = Schedule(recipe, batches_per_epoch(recipe, len(parts[0].rows)), progress.num_steps, cuts)
    num_bytes = sum(weight.nbytes for weight in trainer.model.get_weights())
    return Loop(
        trainer=trainer,
        schedule=schedule,
        sizes=sides,
        val_part=parts[1],
        progress=progress,
        best=best,
        num_keep=num_to_keep(recipe.keep_epochs, num_bytes),
        kept=kept,
        watch=Watch(budget, sides, progress.step_seconds, progress.validation_seconds) if budget else None,
    )


def _finished(loop: "Loop", images: PreparedImages, network: NetworkParams, asked_batch: int | str) -> Trained:
    """The model of the best epoch, measured on val. asked_batch: `train.batch_size`."""
    from pawline.model.saved import logits_of_rows
    from pawline.training.networks import finish_network
    from pawline.training.trainer import val_figures

    recipe, progress, val_part = loop.schedule.recipe, loop.progress, loop.val_part
    trained, num_classes = loop.trainer.model, len(images.class_names)

    def finish(weights: Arrays) -> Any:
        trained.set_weights(weights)
        return finish_network(trained, network, images.form, num_classes, recipe.flip_at_test)

    model = finish(loop.best)
    logits, saved = logits_of_rows(model, images, val_part.rows), model.get_weights()
    exact = {"minutes": None, "steps": progress.num_steps, "cuts": loop.schedule.cuts}
    return Trained(
        model=model,
        images=images,
        history=pd.DataFrame(progress.history, columns=HISTORY_COLUMNS),
        best_epoch=progress.best_epoch,
        recipe=recipe.model_copy(update=exact),
        num_steps=loop.schedule.last_step,
        batch_size=recipe.batch_size if asked_batch not in (AUTO, recipe.batch_size) else None,
        val=val_figures(val_part.labels, softmax(logits)),
        temperature=_temperature(val_part.labels, logits),
        kept=[
            kept_epoch(epoch, finish(weights).get_weights(), saved, progress.history)
            for epoch, weights in loop.kept.items()
        ],
    )


def _train_frozen(
    images: PreparedImages,
    parts: Parts,
    network: NetworkParams,
    recipe: Recipe,
    on_epoch: Callable[[EpochRow], object],
    features: Path | None,
) -> Trained:
    from pawline.training.frozen import train_frozen

    frozen = train_frozen(images, parts, network, recipe, features)
    on_epoch(frozen.row)
    return Trained(
        model=frozen.model,
        images=images,
        history=pd.DataFrame([frozen.row], columns=HISTORY_COLUMNS),
        best_epoch=1,
        recipe=recipe,
        num_steps=frozen.head.num_iterations,
        batch_size=None,
        val={name: frozen.row[name] for name in ("val_loss", "val_accuracy")},
        temperature=_temperature(parts[1].labels, frozen.val_logits),
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
            f"train: val has {len(labels)} pictures of {len(np.unique(labels))} classes: too few to calibrate "
            f"probabilities (expected {MIN_IMAGES} of 2), so they stay as the network gives them"
        )
    return fit_temperature(labels, logits)


def _sample(images: PreparedImages, part: Part, seed: int) -> NDArray[np.uint8]:
    """A random sample of the part's images, smaller for large images: uint8 (n, height, width, channels)."""
    count = min(SAMPLE_SIZE, max(1, SAMPLE_PIXELS // images.form.image_size**2), len(part.rows))
    rng = np.random.default_rng([seed, 2])
    return images.pixels(part.rows[np.sort(rng.choice(len(part.rows), count, replace=False))])
