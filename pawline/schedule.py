"""What a training does at which step: learning rate, picture size, ends of epochs. Needs no TensorFlow."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pawline.errors import ParamsError
from pawline.params import NetworkParams, TrainParams


@dataclass(frozen=True)
class Schedule:
    """Steps count from 1 to num_steps; an epoch has `num_batches` of them, the last one perhaps fewer."""

    params: TrainParams
    num_batches: int
    num_steps: int

    def learning_rate(self, step: int) -> float:
        """One cycle: up in a line, down in a line, to zero at the last step (Smith & Topin, "Super-Convergence",
        2017)."""
        warm_up = self.params.warm_up * self.num_steps
        if step < warm_up:
            return self.params.learning_rate * step / warm_up
        return self.params.learning_rate * (self.num_steps - step) / max(1, self.num_steps - warm_up)

    def num_warm_up_epochs(self) -> int:
        """Epochs in which the learning rate rises, whole or in part."""
        return self.epoch(math.ceil(self.params.warm_up * self.num_steps))

    def picture_size(self, step: int, sizes: list[int]) -> int:
        """Each size for an equal share of the steps, in the order given."""
        return sizes[(step - 1) * len(sizes) // self.num_steps]

    def epoch(self, step: int) -> int:
        return math.ceil(step / self.num_batches)

    def num_pixels(self, steps: Iterable[int], sizes: list[int]) -> int:
        """That the network sees in these steps: what their time goes by."""
        return sum(self.params.batch_size * self.picture_size(step, sizes) ** 2 for step in steps)

    def number_in_epoch(self, step: int) -> int:
        """From 1: also how many steps of its epoch are done after this one."""
        return (step - 1) % self.num_batches + 1


def picture_sizes(params: TrainParams, network: NetworkParams, image_size: int) -> list[int]:
    """Sides of the crops that the network is trained on, in pixels. Only `fast` takes more than one size;
    each is a multiple of its total stride: 40 pixels, halved to 5 and then 3, take nearly as long as 48."""
    if network.name != "fast":
        return [image_size]
    stride = network.fast.total_stride
    return [
        stride * max(1, min(image_size // stride, round(share * image_size / stride))) for share in params.sizes
    ]


def batches_per_epoch(params: TrainParams, num_images: int) -> int:
    """Whole ones: the images left over differ from epoch to epoch. Raises ParamsError when there is none."""
    if num_images < params.batch_size:
        raise ParamsError(
            f"train.batch_size is {params.batch_size}, but there are {num_images} images to train on; "
            "make it smaller"
        )
    return num_images // params.batch_size


def affordable_steps(
    seconds: float, step_seconds: list[float], num_batches: int, validation_seconds: float
) -> int:
    """How many steps fit, where each size is trained on for an equal share, with a validation per epoch. Not
    above zero where there is no time for one."""
    per_step = sum(step_seconds) / len(step_seconds) + validation_seconds / num_batches
    return int(seconds / per_step)
