"""The training loop: shuffled batches, augmentation, AdamW on a warm-up and cosine schedule, early stopping."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from pawline.backend import keras, tf
from pawline.errors import PawlineError
from pawline.evaluate import cross_entropy
from pawline.model import predict_rows
from pawline.network import build_classic
from pawline.params import NetworkParams, TrainParams
from pawline.shards import Part, PreparedImages

WARM_UP_FRACTION = 0.1
HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]

Row = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """`model` carries the weights of the epoch with the lowest loss on val."""

    model: keras.Model
    history: pd.DataFrame
    best_epoch: int


def train(
    images: PreparedImages,
    split: pd.DataFrame,
    network: NetworkParams,
    params: TrainParams,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> Trained:
    """Train on the train part, choose the best epoch on val. `on_epoch` gets each row of the history.

    Raises PawlineError when the loss is no longer a number.
    """
    keras.utils.set_random_seed(params.seed)
    tf.config.experimental.enable_op_determinism()
    model = build_classic(network.classic, images.form, len(images.class_names))
    train_part, val_part = Part.of("train", images, split), Part.of("val", images, split)
    trainer = _Trainer(model, params, num_batches=math.ceil(len(train_part.rows) / params.batch_size))

    history: list[Row] = []
    best = {"epoch": 0, "val_loss": math.inf}
    for epoch in range(1, params.epochs + 1):
        row = {"epoch": epoch} | trainer.run_epoch(epoch, images, train_part) | _validate(model, images, val_part)
        trainer.refuse_nan(row["val_loss"], epoch * trainer.num_batches)
        history.append(row | {"learning_rate": trainer.learning_rate(epoch * trainer.num_batches)})
        on_epoch(history[-1])
        if row["val_loss"] < best["val_loss"]:
            best, best_weights = row, model.get_weights()
        if epoch - best["epoch"] >= params.patience:
            break
    model.set_weights(best_weights)
    return Trained(model, pd.DataFrame(history, columns=HISTORY_COLUMNS), int(best["epoch"]))


def summarize(trained: Trained) -> dict[str, Any]:
    """What `metrics/train.json` holds: the kept epoch's row."""
    best = trained.history.to_dict("records")[trained.best_epoch - 1]
    return {
        "best_epoch": trained.best_epoch,
        "num_epochs": len(trained.history),
        "num_weights": trained.model.count_params(),
        **{name: best[name] for name in ("accuracy", "val_accuracy", "val_loss")},
    }


def _validate(model: keras.Model, images: PreparedImages, part: Part) -> Row:
    """Loss (cross-entropy, without label smoothing) and accuracy on a whole part, nothing augmented."""
    probabilities = predict_rows(model, images, part.rows)
    return {
        "val_loss": cross_entropy(part.labels, probabilities),
        "val_accuracy": float((probabilities.argmax(axis=1) == part.labels).mean()),
    }


class _Trainer:
    """The model, its optimizer and the compiled step."""

    def __init__(self, model: keras.Model, params: TrainParams, num_batches: int) -> None:
        self.num_batches = num_batches
        self._model, self._params = model, params
        self._optimizer = keras.optimizers.AdamW(params.learning_rate, weight_decay=params.weight_decay)
        self._optimizer.exclude_from_weight_decay(var_names=["bias"])
        self._optimizer.build(model.trainable_variables)
        self._loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=params.label_smoothing)
        self._step = tf.function(self._update, reduce_retracing=True)  # the last batch of an epoch is shorter

    def learning_rate(self, step: int) -> float:
        """Up in a line, down in half a cosine: to zero at the last step."""
        total = self._params.epochs * self.num_batches
        warm_up = WARM_UP_FRACTION * total
        if step < warm_up:
            return self._params.learning_rate * step / warm_up
        return self._params.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up)))

    def run_epoch(self, epoch: int, images: PreparedImages, part: Part) -> Row:
        # One generator per epoch, so that an epoch's order and augmentation depend on nothing before it.
        rng = np.random.default_rng([self._params.seed, epoch])
        order = rng.permutation(len(part.rows))
        losses, hits = [], 0.0
        bar = tqdm(range(self.num_batches), desc=f"epoch {epoch}/{self._params.epochs}", unit="step", disable=None)
        for batch in bar:
            chosen = order[batch * self._params.batch_size : (batch + 1) * self._params.batch_size]
            step = (epoch - 1) * self.num_batches + batch + 1
            self._optimizer.learning_rate.assign(self.learning_rate(step))
            boxes = random_boxes(len(chosen), self._params.crop_fraction, self._params.flip, rng)
            loss, correct = self._step(images.pixels(part.rows[chosen]), part.labels[chosen], boxes)
            losses.append(float(loss) * len(chosen))
            hits += float(correct)
            self.refuse_nan(losses[-1], step)
        return {"loss": sum(losses) / len(order), "accuracy": hits / len(order)}

    def refuse_nan(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise PawlineError(
                f"train: the loss is {loss} at step {step}, learning rate {self.learning_rate(step):.3g}; "
                "try a smaller train.learning_rate"
            )

    def _update(self, pixels: tf.Tensor, labels: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """One optimizer update. Cropping, resizing and mirroring are one operation: a box whose left and
        right are swapped reads the picture mirrored."""
        size = self._model.input_shape[1:3]
        augmented = tf.image.crop_and_resize(pixels, boxes, tf.range(tf.shape(pixels)[0]), size)
        with tf.GradientTape() as tape:
            logits = self._model(augmented, training=True)
            loss = self._loss(tf.one_hot(labels, tf.shape(logits)[1]), logits)
        weights = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, weights), weights)
        correct = tf.equal(tf.argmax(logits, axis=1), labels)
        return loss, tf.reduce_sum(tf.cast(correct, tf.float32))


def random_boxes(count: int, least_fraction: float, flip: bool, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32 (count, 4): top, left, bottom, right of random crops, in shares of the picture.

    Each covers between `least_fraction` of the area and all of it, at an aspect between 3:4 and 4:3
    (Szegedy et al., "Going deeper with convolutions", 2014); half of them mirrored if `flip`.
    """
    area = rng.uniform(least_fraction, 1, count)
    aspect = np.exp(rng.uniform(-1, 1, count) * math.log(4 / 3))
    height = np.minimum(1, np.sqrt(area / aspect))
    width = np.minimum(1, np.sqrt(area * aspect))
    top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
    boxes = np.stack([top, left, top + height, left + width], axis=1).astype(np.float32)
    mirrored = rng.random(count) < 0.5
    if flip:
        boxes[mirrored] = boxes[mirrored][:, [0, 3, 2, 1]]
    return boxes
