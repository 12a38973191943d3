"""The conditions of a training: what its result depends on besides data and params. Needs no TensorFlow."""

from importlib.metadata import version

from pawline.card import Conditions
from pawline.model.machine import choose_precision, processor, uses_one_dnn
from pawline.params.network import NetworkParams
from pawline.params.train import TrainParams
from pawline.threads import num_threads


def conditions_of(
    params: TrainParams, num_steps: int = 0, network: NetworkParams | None = None, weights: str | None = None
) -> Conditions:
    """Collect the conditions on this machine, in the form of the model's card.

    weights: the digest of the file that the network starts from. A frozen network computes in float32.
    Raises ParamsError if the machine does not support `train.precision`."""
    return Conditions(
        num_steps=num_steps,
        flip_at_test=params.flip_at_test is True,  # auto: not yet known
        precision="float32" if network and network.is_frozen else choose_precision(params.precision),
        processor=processor(),
        num_threads=num_threads(),
        one_dnn=uses_one_dnn(),
        deterministic=params.deterministic,
        tensorflow=version("tensorflow"),
        keras=version("keras"),
        weights=weights,
    )
