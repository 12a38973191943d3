"""The conditions of a training: what its result depends on besides data and params. Needs no TensorFlow."""

from importlib.metadata import version

from pawline.card import Conditions
from pawline.model.machine import choose_precision, processor, uses_one_dnn
from pawline.params.train import TrainParams
from pawline.threads import num_threads


def conditions_of(params: TrainParams, num_steps: int = 0) -> Conditions:
    """Collect the conditions on this machine, in the form of the model's card.

    Raises ParamsError if the machine does not support `train.precision`."""
    return Conditions(
        num_steps=num_steps,
        flip_at_test=params.flip_at_test is True,  # auto: not yet known
        precision=choose_precision(params.precision),
        processor=processor(),
        num_threads=num_threads(),
        one_dnn=uses_one_dnn(),
        deterministic=params.deterministic,
        tensorflow=version("tensorflow"),
        keras=version("keras"),
    )
