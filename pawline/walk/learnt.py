"""How the network learnt: its first layer and its answer to this picture after each epoch that the training kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.epochs import Epochs
from pawline.pictures.decode import Pixels
from pawline.walk.blob import Blob
from pawline.walk.formulas import run_network, softmax
from pawline.walk.network import Array, Network, group_nodes, needed_for, output_layers

MAX_EPOCH_BYTES = 10**6  # of the arrays of all epochs in the page
NUM_SAMPLES = 256  # values of the first layer by which the page's own are checked
SAMPLE_BYTES = 8  # a value and its place
NO_EPOCHS = (
    "This training kept no weights of earlier epochs. Set train.keep_epochs to 8 and train again to see them."
)


@dataclass(frozen=True)
class Learnt:
    """The kept epochs of a training and the network of each."""

    epochs: Epochs
    networks: list[Network]


def learnt_content(
    learnt: Learnt, network: Network, pixels: Pixels, temperature: float, blob: Blob
) -> dict[str, Any]:
    """What the page shows of each epoch; the model itself stands among them as its best epoch.

    The probabilities are those of the epoch's logits divided by the model's temperature, so that they compare with the
    answer. What does not fit into MAX_EPOCH_BYTES is left out: first the output layers, then the first layer."""
    best = learnt.epochs.best_epoch
    rows = [
        ({"epoch": one.epoch, **one.figures}, net)
        for one, net in zip(learnt.epochs.kept, learnt.networks, strict=True)
        if one.epoch != best
    ]
    figures = next((one.figures for one in learnt.epochs.kept if one.epoch == best), {})
    rows = sorted([*rows, ({"epoch": best, **figures}, network)], key=lambda row: row[0]["epoch"])
    seen = [_one_epoch(net, pixels, temperature) for _, net in rows]
    first, heads = _first_layer(network), output_layers(network.nodes)
    bytes_of_first = len(rows) * (_num_bytes(network, first) + NUM_SAMPLES * SAMPLE_BYTES)
    bytes_of_heads = len(rows) * (_num_bytes(network, heads) + 4 * sum(_num_inputs(network, at) for at in heads))
    with_first = bool(first) and bytes_of_first <= MAX_EPOCH_BYTES
    with_heads = bytes_of_first + bytes_of_heads <= MAX_EPOCH_BYTES
    return {
        "best_epoch": best,
        "num_epochs": learnt.epochs.num_epochs,
        "first": first if with_first else [],
        "heads": heads if with_heads else [],
        "epochs": [
            figures
            | {"logits": one["logits"], "probabilities": one["probabilities"], "check": _summary(net.check)}
            | (_first_of(net, first, one["outputs"], blob) if with_first else {})
            | ({"heads": [_head_of(net, number, one["outputs"], blob) for number in heads]} if with_heads else {})
            for (figures, net), one in zip(rows, seen, strict=True)
        ],
    }


def _one_epoch(network: Network, pixels: Pixels, temperature: float) -> dict[str, Any]:
    outputs = run_network(network, pixels[None])
    logits = outputs[-1][0].astype(np.float64)
    return {
        "outputs": outputs,
        "logits": logits.tolist(),
        "probabilities": softmax(logits[None], temperature)[0].tolist(),
    }


def _first_layer(network: Network) -> list[int]:
    """The nodes from the picture to the end of the first convolution; none where there is no convolution."""
    ends = [step["chain"][-1] for step in group_nodes(network.nodes) if step["kind"] == "convolution"]
    return needed_for(network.nodes, ends[0]) if ends else []


def _num_bytes(network: Network, numbers: list[int]) -> int:
    """Bytes of the weights of these nodes."""
    return sum(value.nbytes for number in numbers for value in network.nodes[number].weights.values())


def _num_inputs(network: Network, head: int) -> int:
    """The number of values that an output layer gets."""
    return len(network.nodes[head].weights["kernel"])


def _summary(check: dict[str, Any]) -> dict[str, float]:
    """The largest differences of NumPy and Keras, see model/neutral.py."""
    layers = max(one["difference"] / one["largest"] if one["largest"] else 0.0 for one in check["layers"])
    return {"layers": layers, "logits": check["logits"], "probabilities": check["probabilities"]}


def _first_of(network: Network, first: list[int], outputs: list[Array], blob: Blob) -> dict[str, Any]:
    """The weights up to the first convolution's end, and samples of its maps, which the page computes itself."""
    values = outputs[first[-1]][0]
    places = np.linspace(0, values.size - 1, NUM_SAMPLES).astype(np.int64)
    return {
        "weights": {number: _weights(network, number, blob) for number in first if network.nodes[number].weights},
        "samples": [blob.add(places, "<i4"), blob.add(values.ravel()[places])],
        "largest": float(np.abs(values).max()),
    }


def _head_of(network: Network, number: int, outputs: list[Array], blob: Blob) -> dict[str, Any]:
    """An output layer's weights, and the values that it gets."""
    values: NDArray[Any] = outputs[network.nodes[number].inputs[0]][0]
    return {"values": blob.add(values), **_weights(network, number, blob)}


def _weights(network: Network, number: int, blob: Blob) -> dict[str, list[int]]:
    return {key: blob.add(value) for key, value in network.nodes[number].weights.items()}
