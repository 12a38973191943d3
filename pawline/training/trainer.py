"""The network, its optimizer and the compiled step."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pawline.cross_entropy import cross_entropy
from pawline.errors import PawlineError
from pawline.model.backend import GPUS, NUM_PIECES, keras, tf
from pawline.model.machine import has_gpu
from pawline.model.saved import predict_rows
from pawline.params.train import Recipe, TrainParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.training.augment import Changes, augment, random_changes
from pawline.training.checkpoint import Arrays
from pawline.training.fine_tuning import adapt
from pawline.training.optimizers import build_optimizer

MEASURED_STEPS, MEASURED_SECONDS = 4, 1.5  # at least, for each picture size
MIN_PIECE_SIZE = 16  # images; fewer estimate the mean and variance of normalization badly
Batch = tuple[NDArray[np.uint8], NDArray[np.int64], Changes]  # pixels, labels, random changes


def set_up(params: TrainParams) -> None:
    """Seed Keras and set determinism. Raises PawlineError if the machine has a GPU that TensorFlow cannot use."""
    keras.utils.set_random_seed(params.seed)
    if params.deterministic:
        tf.config.experimental.enable_op_determinism()
    if has_gpu() and not GPUS:
        raise PawlineError(
            "train: there is an NVIDIA GPU, but TensorFlow cannot use it; TF_CPP_MIN_LOG_LEVEL=0 shows why: "
            "mend that, perhaps by installing `.[gpu]`, or set CUDA_VISIBLE_DEVICES=-1 to train on the processor"
        )


@lru_cache(maxsize=1)
def all_devices() -> tf.distribute.Strategy:
    """The strategy that splits each batch among several GPUs; with one GPU or none the batch stays whole.

    One for all trainings of a process: the messages of a second one would meet those of the first."""
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


class Trainer:
    """Create the trainer in the scope of the strategy, like the model.

    model: takes pixels as they are (0 to 255), gives logits. part: the images to train on."""

    def __init__(self, model: keras.Model, recipe: Recipe, images: PreparedImages, part: Part) -> None:
        self.model = model
        self._strategy = tf.distribute.get_strategy()
        self._recipe, self._images, self._part = recipe, images, part
        self._num_classes = len(images.class_names)
        self._class_weights, self._chances = _balance(recipe, part.labels, self._num_classes)
        self._optimizer = build_optimizer(recipe)
        adapt(self._optimizer, model)
        self._optimizer.build(model.trainable_variables)
        self._losses = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing, reduction=None
        )
        self._num_pieces = _num_pieces(self._strategy, recipe.batch_size)
        self._step = tf.function(self._update_all)
        self._order_of: tuple[int, NDArray[np.int64]] = (0, part.rows)

    def step(self, step: int, epoch: int, number: int, size: int, learning_rate: float) -> tuple[float, float]:
        """Update the weights with the `number`-th batch of an epoch. Returns (mean loss, number of correct images).

        Order and augmentation depend on seed, epoch and step alone, so a training can resume from any step."""
        recipe = self._recipe
        positions = self.order(epoch)[(number - 1) * recipe.batch_size : number * recipe.batch_size]
        self._optimizer.learning_rate.assign(learning_rate)
        mirrored = self.mirror_mask(epoch)[positions]
        changes = random_changes(mirrored, recipe, np.random.default_rng([recipe.seed, 1, step]))
        labels = self._part.labels[positions]
        batch = (self._images.pixels(self._part.rows[positions]), labels, changes)
        loss, correct = self._step(self._distributed(batch), size)
        return float(loss), float(correct)

    def step_seconds(self, sizes: list[int]) -> list[float]:
        """Measure the seconds of a step at each picture size. The weights and the optimizer stay as they were.

        The median ignores the steps in which another process used the processor."""
        variables = self.variables()
        medians: dict[int, float] = {}
        for size in dict.fromkeys(sizes):
            self.step(step=1, epoch=1, number=1, size=size, learning_rate=0.0)
            seconds: list[float] = []
            while len(seconds) < MEASURED_STEPS or sum(seconds) < MEASURED_SECONDS:
                start = time.perf_counter()
                self.step(step=1, epoch=1, number=1, size=size, learning_rate=0.0)
                seconds.append(time.perf_counter() - start)
            medians[size] = float(np.median(seconds))
        self.restore(variables)
        return [medians[size] for size in sizes]

    def validate(self, part: Part) -> dict[str, float]:
        """Loss and accuracy on a part, with the weights that would be saved."""
        with self._averaged():
            return validate(self.model, self._images, part)

    def weights(self) -> Arrays:
        """The weights that would be saved: the moving average if `train.ema` is set."""
        with self._averaged():
            return self.model.get_weights()

    def variables(self) -> Arrays:
        """Copies of every variable that a step changes, of the model and the optimizer."""
        return [keras.ops.convert_to_numpy(variable).copy() for variable in self._all_variables()]

    def restore(self, values: Arrays) -> None:
        """Set the variables to values from `variables`."""
        for variable, value in zip(self._all_variables(), values, strict=True):
            variable.assign(value)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The order in which an epoch visits the part: int64 (n,), positions."""
        if self._order_of[0] != epoch:
            rng = np.random.default_rng([self._recipe.seed, 0, epoch])
            count = len(self._part.rows)
            sampling = self._chances is not None
            order = rng.choice(count, count, p=self._chances) if sampling else rng.permutation(count)
            self._order_of = (epoch, order)
        return self._order_of[1]

    def mirror_mask(self, epoch: int) -> NDArray[np.bool_]:
        """The images of the part that an epoch shows mirrored: bool (n,).

        Odd epochs mirror one half of the images and even epochs the other half, so that two epochs show each image
        both ways (Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024)."""
        rng = np.random.default_rng([self._recipe.seed, 3])
        mirrored_in_odd_epochs = rng.random(len(self._part.rows)) < 0.5
        return self._recipe.flip & (mirrored_in_odd_epochs == (epoch % 2 == 1))

    def _all_variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self._optimizer.variables]

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the moving average into the model for a while, if `train.ema` is set."""
        if not self._recipe.ema:
            yield
            return
        current = [keras.ops.convert_to_numpy(weight).copy() for weight in self.model.trainable_variables]
        self._optimizer.finalize_variable_values(self.model.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, current, strict=True):
                variable.assign(value)

    def _distributed(self, batch: Batch) -> Batch:
        """Give each device its own part of the batch."""
        if (count := self._strategy.num_replicas_in_sync) == 1:
            return batch
        distribute = self._strategy.experimental_distribute_values_from_function
        return tf.nest.map_structure(
            lambda array: distribute(lambda device: tf.constant(array[device.replica_id_in_sync_group :: count])),
            batch,
        )

    def _update_all(self, batch: Batch, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        loss, correct = self._strategy.run(self._update, args=(*batch, size))
        return self._strategy.reduce("SUM", loss, None), self._strategy.reduce("SUM", correct, None)

    def _update(
        self, pixels: tf.Tensor, labels: tf.Tensor, changes: Changes, size: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            pieces = [self._forward(*piece, size) for piece in self._pieces((pixels, labels, changes))]
            loss, correct = (tf.add_n(summands) for summands in zip(*pieces, strict=True))
        weights = self.model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, weights), weights)
        return loss, correct

    def _pieces(self, batch: tuple[tf.Tensor, tf.Tensor, Changes]) -> list[tuple[tf.Tensor, tf.Tensor, Changes]]:
        """Cut the batch into consecutive pieces: gathering every other image would take a twentieth of a step."""
        length = math.ceil(self._recipe.batch_size / self._num_pieces)

        def piece(start: int) -> tuple[tf.Tensor, tf.Tensor, Changes]:
            return tf.nest.map_structure(lambda array: array[start : start + length], batch)

        return [piece(start) for start in range(0, self._recipe.batch_size, length)]

    def _forward(
        self, pixels: tf.Tensor, labels: tf.Tensor, changes: Changes, size: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The piece's summand of the batch's mean loss, and its number of correct images."""
        logits = self.model(augment(pixels, changes, size, self._recipe), training=True)
        targets = tf.one_hot(labels, self._num_classes)
        losses = self._losses(targets, logits, sample_weight=tf.gather(self._class_weights, labels))
        correct = tf.equal(tf.argmax(logits, axis=1), labels)
        return tf.reduce_sum(losses) / self._recipe.batch_size, tf.reduce_sum(tf.cast(correct, tf.float32))


def _num_pieces(strategy: tf.distribute.Strategy, batch_size: int) -> int:
    """Number of pieces of a batch. A processor computes two pieces at the same time, each with half of its threads,
    which is faster than all threads on one operation after the other. Each piece is normalized by itself, as on several
    devices (Hoffer et al., "Train longer, generalize better", 2017, call them ghost batches)."""
    single_device = strategy.num_replicas_in_sync == 1
    return NUM_PIECES if single_device and batch_size >= NUM_PIECES * MIN_PIECE_SIZE else 1


def validate(model: keras.Model, images: PreparedImages, part: Part) -> dict[str, float]:
    """Loss (cross-entropy, without label smoothing) and accuracy on a whole part, without augmentation."""
    return val_figures(part.labels, predict_rows(model, images, part.rows))


def val_figures(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> dict[str, float]:
    """Loss and accuracy by the names of the history. labels: (n,) int64; probabilities: (n, num_classes) float32."""
    return {
        "val_loss": cross_entropy(labels, probabilities),
        "val_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
    }


def _balance(
    recipe: Recipe, labels: NDArray[np.int64], num_classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """(Weight of each class in the loss: float32 (num_classes,); probability of each image to be drawn: float64 (n,),
    or None to use every image once an epoch.)

    With `train.balance` weights or sampling all classes count the same; with none the weights are 1."""
    counts = np.bincount(labels, minlength=num_classes).clip(1)
    rarity = len(labels) / (num_classes * counts)
    if recipe.balance == "weights":
        return rarity.astype(np.float32), None
    chances = rarity[labels] / rarity[labels].sum() if recipe.balance == "sampling" else None
    return np.ones(num_classes, np.float32), chances
