"""How the network learnt: its first layer and its answer to this picture after each epoch that the training kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.card import Card
from pawline.epochs import Epochs, epochs_path, read_epochs
from pawline.files import file_digest
from pawline.pictures.decode import Pixels
from pawline.terminal import say
from pawline.walk.blob import Blob
from pawline.walk.formulas import run_network, softmax
from pawline.walk.network import (
    Array,
    Network,
    group_nodes,
    load_network,
    needed_for,
    output_layers,
    save_network,
)

MAX_BYTES = 10**6  # of the arrays of all epochs in the page
NUM_SAMPLES = 256  # values of the first layer by which the page's own are checked
NO_EPOCHS = (
    "This training kept no weights of earlier epochs. Set train.keep_epochs to 8 and train again to see them."
)


@dataclass(frozen=True)
class Learnt:
    """The kept epochs of a training and the network of each."""

    epochs: Epochs
    networks: list[Network]


def kept_epochs(model: Path, card: Card, folder: Path) -> Learnt | None:
    """Read the kept forms of a model's epochs, or read them with Keras (seconds) and keep them; None where the training
    kept none, or was made before they could be kept.

    Raises ModelError for a file that cannot be used. Call card.read_card first."""
    file = epochs_path(model)
    if not file.exists() or not (epochs := read_epochs(file, card.digest)).kept:
        return None
    places = [folder / f"{card.digest}-epochs" / file_digest(file)[:16] / str(one.epoch) for one in epochs.kept]
    networks = [network for place in places if (network := load_network(place))]
    if len(networks) < len(places):
        say(f"explain: reading {len(places)} kept epochs with Keras and checking them, once per model")
        from pawline.model.neutral import read_epochs as read_networks

        networks = read_networks(model, epochs.kept)
        for place, network in zip(places, networks, strict=True):
            save_network(place, network)
    return Learnt(epochs, networks)


def learnt_content(
    learnt: Learnt, network: Network, pixels: Pixels, temperature: float, blob: Blob
) -> dict[str, Any]:
    """What the page shows of each epoch; the model itself stands among them as its best epoch.

    The probabilities are those of the epoch's logits divided by the model's temperature, so that they compare with the
    answer. What does not fit into MAX_BYTES is left out: first the output layers, then the first layer."""
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
    room = MAX_BYTES - len(rows) * sum(_num_bytes(network, number) for number in first)
    with_first = bool(first) and room > 0
    with_heads = room > len(rows) * sum(_num_bytes(network, number) * 2 for number in heads)
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


def _num_bytes(network: Network, number: int) -> int:
    return sum(value.nbytes for value in network.nodes[number].weights.values()) + 4 * NUM_SAMPLES


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
