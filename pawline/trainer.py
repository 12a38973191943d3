"""The network, its optimizer and the compiled step."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from pawline.augment import Draw, augment, draw
from pawline.backend import SHARES, keras, tf
from pawline.checkpoint import Arrays
from pawline.loss import cross_entropy
from pawline.model import predict_rows
from pawline.optimizers import build_optimizer
from pawline.params import TrainParams
from pawline.shards import Part, PreparedImages

MEASURED_STEPS, MEASURED_SECONDS = 4, 1.5  # at least, of each size
LEAST_SHARE = 16  # images that tell enough of their mean and variance
Batch = tuple[NDArray[np.uint8], NDArray[np.int64], Draw]  # pixels, labels, what is done to them


def all_devices() -> tf.distribute.Strategy:
    """Several GPUs share each batch; with one or none it stays whole."""
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


class Trainer:
    """To be made in the scope of the strategy, as the model is."""

    def __init__(self, model: keras.Model, params: TrainParams, images: PreparedImages, part: Part) -> None:
        self.model = model
        self._strategy = tf.distribute.get_strategy()
        self._params, self._images, self._part = params, images, part
        self._num_classes = len(images.class_names)
        self.class_weights, self._chances = _balance(params, part.labels, self._num_classes)
        self._optimizer = build_optimizer(params)
        self._optimizer.build(model.trainable_variables)
        self._losses = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=params.label_smoothing, reduction=None
        )
        self._num_shares = _num_shares(self._strategy, params.batch_size)
        self._step = tf.function(self._update_all)
        self._order_of: tuple[int, NDArray[np.int64]] = (0, part.rows)

    def step(self, step: int, epoch: int, number: int, size: int, learning_rate: float) -> tuple[float, float]:
        """One update with the `number`-th batch of an epoch. Returns its mean loss and how many were right.

        Order and augmentation depend on seed, epoch and step alone: a training can go on from any step."""
        params = self._params
        chosen = self.order(epoch)[(number - 1) * params.batch_size : number * params.batch_size]
        self._optimizer.learning_rate.assign(learning_rate)
        drawn = draw(self.mirrored(epoch)[chosen], params, np.random.default_rng([params.seed, 1, step]))
        labels = self._part.labels[chosen]
        batch = (self._images.pixels(self._part.rows[chosen]), labels, drawn)
        loss, correct = self._step(self._shared(batch), size)
        return float(loss), float(correct)

    def measure(self, sizes: list[int]) -> list[float]:
        """Seconds that a step takes at each size, the median of several, as another process may take a moment
        of some. Leaves everything as it was, but for what is compiled."""
        before = self.variables()
        medians = []
        for size in sizes:
            self.step(step=1, epoch=1, number=1, size=size, learning_rate=0.0)
            seconds: list[float] = []
            while len(seconds) < MEASURED_STEPS or sum(seconds) < MEASURED_SECONDS:
                start = time.perf_counter()
                self.step(step=1, epoch=1, number=1, size=size, learning_rate=0.0)
                seconds.append(time.perf_counter() - start)
            medians.append(float(np.median(seconds)))
        self.restore(before)
        return medians

    def validate(self, part: Part) -> dict[str, float]:
        with self._averaged():
            return validate(self.model, self._images, part)

    def weights(self) -> Arrays:
        """What would be saved: averaged where `train.ema` says so."""
        with self._averaged():
            return self.model.get_weights()

    def variables(self) -> Arrays:
        """All that a step changes, of model and optimizer."""
        return [keras.ops.convert_to_numpy(variable).copy() for variable in self._all()]

    def restore(self, values: Arrays) -> None:
        for variable, value in zip(self._all(), values, strict=True):
            variable.assign(value)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Of the epoch, positions in the part."""
        if self._order_of[0] != epoch:
            rng = np.random.default_rng([self._params.seed, 0, epoch])
            count = len(self._part.rows)
            drawn = self._chances is not None
            order = rng.choice(count, count, p=self._chances) if drawn else rng.permutation(count)
            self._order_of = (epoch, order)
        return self._order_of[1]

    def mirrored(self, epoch: int) -> NDArray[np.bool_]:
        """Of each position in the part: half of the images in the first epoch, the others in the second, and so
        on, so that two epochs show each both ways (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
        2024)."""
        rng = np.random.default_rng([self._params.seed, 3])
        in_odd_epochs = rng.random(len(self._part.rows)) < 0.5
        return self._params.flip & (in_odd_epochs == (epoch % 2 == 1))

    def _all(self) -> list[keras.Variable]:
        return [*self.model.variables, *self._optimizer.variables]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        if not self._params.ema:
            yield
            return
        current = [keras.ops.convert_to_numpy(weight).copy() for weight in self.model.trainable_variables]
        self._optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, current, strict=True):
                variable.assign(value)

    def _shared(self, batch: Batch) -> Batch:
        """A part for each device."""
        if (count := self._strategy.num_replicas_in_sync) == 1:
            return batch
        distribute = self._strategy.experimental_distribute_values_from_function
        return tf.nest.map_structure(
            lambda array: distribute(lambda one: tf.constant(array[one.replica_id_in_sync_group :: count])), batch
        )

    def _update_all(self, batch: Batch, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        loss, correct = self._strategy.run(self._update, args=(*batch, size))
        return self._strategy.reduce("SUM", loss, None), self._strategy.reduce("SUM", correct, None)

    def _update(self, pixels: tf.Tensor, labels: tf.Tensor, drawn: Draw, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            shares = [self._forward(*share, size) for share in self._side_by_side((pixels, labels, drawn))]
            loss, correct = (tf.add_n(figures) for figures in zip(*shares, strict=True))
        weights = self.model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, weights), weights)
        return loss, correct

    def _side_by_side(self, batch: tuple[tf.Tensor, tf.Tensor, Draw]) -> list[tuple[tf.Tensor, tf.Tensor, Draw]]:
        """The shares. Each is a run of the batch: to gather every other image takes a twentieth of a step."""
        length = math.ceil(self._params.batch_size / self._num_shares)

        def share(start: int) -> tuple[tf.Tensor, tf.Tensor, Draw]:
            return tf.nest.map_structure(lambda array: array[start : start + length], batch)

        return [share(start) for start in range(0, self._params.batch_size, length)]

    def _forward(
        self, pixels: tf.Tensor, labels: tf.Tensor, drawn: Draw, size: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The share's part in the loss of the batch, and how many were right."""
        logits = self.model(augment(pixels, drawn, size, self._params), training=True)
        targets = tf.one_hot(labels, self._num_classes)
        losses = self._losses(targets, logits, sample_weight=tf.gather(self.class_weights, labels))
        correct = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(losses) / self._params.batch_size, tf.reduce_sum(tf.cast(correct, tf.float32))


def _num_shares(strategy: tf.distribute.Strategy, batch_size: int) -> int:
    """A processor takes a batch in two shares, each worked on by half of the threads: that beats all of them on
    one operation after the other. Each share is normalized by itself, as on several devices (Hoffer et al., "Train
    longer, generalize better", 2017, on such ghost batches)."""
    alone = strategy.num_replicas_in_sync == 1
    return SHARES if alone and batch_size >= SHARES * LEAST_SHARE else 1


def validate(model: keras.Model, images: PreparedImages, part: Part) -> dict[str, float]:
    """Loss (cross-entropy, without label smoothing) and accuracy on a whole part, nothing augmented."""
    probabilities = predict_rows(model, images, part.rows)
    return {
        "val_loss": cross_entropy(part.labels, probabilities),
        "val_accuracy": float((probabilities.argmax(axis=1) == part.labels).mean()),
    }


def _balance(
    params: TrainParams, labels: NDArray[np.int64], num_classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Of each class the weight of its loss, and of each image the chance to be drawn, where `train.balance` says
    so: either way all classes count the same."""
    counts = np.bincount(labels, minlength=num_classes).clip(1)
    rarity = len(labels) / (num_classes * counts)
    if params.balance == "weights":
        return rarity.astype(np.float32), None
    chances = rarity[labels] / rarity[labels].sum() if params.balance == "sampling" else None
    return np.ones(num_classes, np.float32), chances
