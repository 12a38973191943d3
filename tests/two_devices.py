"""Train on one device and on two. test_devices.py runs this in its own process: TensorFlow fixes devices at start."""

import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from pawline.model.backend import keras, tf
from pawline.params.prepare import ImageForm
from pawline.params.whole import load_params
from pawline.parts import Part
from pawline.recipe import Facts, choose
from pawline.training.networks import build_network
from pawline.training.trainer import Trainer

[processor] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
PARAMS = load_params(Path(sys.argv[1]))
FORM = ImageForm(image_size=16, color="grayscale", aspect="stretch", background=255)


class Images:
    class_names = ("a", "b", "c")
    form = FORM

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        return np.random.default_rng(1).integers(0, 256, (40, 16, 16, 1)).astype(np.uint8)[rows]


def losses_and_weights(
    network_name: str, optimizer: str, strategy: tf.distribute.Strategy | None
) -> tuple[list[float], np.ndarray]:
    """Train with batches of 5: one device gets 3 images and the other 2."""
    keras.utils.set_random_seed(1)
    classic = PARAMS.network.classic.model_copy(update={"dropout": 0.0})
    network = PARAMS.network.model_copy(update={"name": network_name, "classic": classic})
    asked = PARAMS.train.model_copy(update={"batch_size": 5, "optimizer": optimizer})
    params = choose(asked, Facts(network, 16, num_images=1000))
    part = Part([], np.arange(40), np.arange(40) % 3)
    with strategy.scope() if strategy else nullcontext():
        trainer = Trainer(build_network(network, FORM, 3, "float32"), params, Images(), part)  # type: ignore[arg-type]
    losses = [trainer.step(step, 1, step, 16, 0.001)[0] for step in (1, 2, 3)]
    losses.append(trainer.validate(part)["val_loss"])
    return losses, np.concatenate([weight.ravel() for weight in trainer.weights()])


# Create a single strategy: the messages of two strategies would collide.
two_devices = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for pair in sys.argv[2:]:
    (losses, weights), (losses_of_two, weights_of_two) = (
        losses_and_weights(*pair.split(), strategy) for strategy in (None, two_devices)
    )
    print(pair, np.abs(np.array(losses) - losses_of_two).max(), np.abs(weights - weights_of_two).max())
