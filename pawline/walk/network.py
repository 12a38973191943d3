"""The neutral form of a network: a list of nodes in JSON and their weights in arrays, readable without TensorFlow.

`pawline/model/neutral.py` reads it from a Keras model once; NumPy and the page compute from it.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.errors import ModelError
from pawline.files import whole_folder

FORM_VERSION = 1  # raise it when the meaning of a node changes: older folders are then read again from Keras

FOLLOWERS = ("normalization", "activation")  # shown together with the layer before them

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Node:
    """One operation. `kind` is a function of walk/formulas.py; `inputs` are positions in the list of nodes, -1 is the
    picture. `weights` are float32."""

    name: str
    kind: str
    inputs: list[int]
    settings: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """nodes: in an order in which each follows its inputs; the last gives the logits. check: see model/neutral.py."""

    nodes: list[Node]
    check: dict[str, Any]


def save_network(folder: Path, network: Network) -> None:
    """Write `network.json` and `weights.npz`, both or neither."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as partial:
        arrays = {
            f"{i}:{key}": value for i, node in enumerate(network.nodes) for key, value in node.weights.items()
        }
        np.savez(partial / "weights.npz", **arrays)  # type: ignore[arg-type]  # the stub means allow_pickle
        nodes = [
            {"name": n.name, "kind": n.kind, "inputs": n.inputs, "settings": n.settings} for n in network.nodes
        ]
        content = {"version": FORM_VERSION, "nodes": nodes, "check": network.check}
        (partial / "network.json").write_text(json.dumps(content, indent=1))


def load_network(folder: Path) -> Network | None:
    """Read what `save_network` wrote; None where nothing usable is there."""
    try:
        content = json.loads((folder / "network.json").read_text())
        if content["version"] != FORM_VERSION:
            return None
        with np.load(folder / "weights.npz") as arrays:
            weights: list[dict[str, Array]] = [{} for _ in content["nodes"]]
            for key in arrays.files:
                number, _, name = key.partition(":")
                weights[int(number)][name] = arrays[key]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    nodes = [Node(**node, weights=own) for node, own in zip(content["nodes"], weights, strict=True)]
    return Network(nodes, content["check"])


def group_nodes(nodes: list[Node]) -> list[dict[str, Any]]:
    """Steps as people see them: a layer with the normalization and activation that follow it, as [first, last]."""
    consumers: list[list[int]] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        for place in node.inputs:
            if place >= 0:
                consumers[place].append(number)
    steps, taken = list[dict[str, Any]](), set[int]()
    for number, node in enumerate(nodes):
        if number in taken:
            continue
        chain = [number]
        while len(consumers[chain[-1]]) == 1 and nodes[(after := consumers[chain[-1]][0])].kind in FOLLOWERS:
            chain.append(after)
        taken.update(chain)
        steps.append({"name": node.name, "kind": node.kind, "chain": chain})
    return steps


def output_layers(nodes: list[Node]) -> list[int]:
    """The fully connected layers that give the logits: one, or two whose mean the network takes (`flip_at_test`); none
    where the network ends otherwise."""
    last = nodes[-1]
    ends = last.inputs if last.kind == "average" else [len(nodes) - 1]
    return ends if all(end >= 0 and nodes[end].kind == "dense" for end in ends) else []


def needed_for(nodes: list[Node], end: int) -> list[int]:
    """The nodes from which a node is computed and the node itself, in order."""
    found, asked = set[int](), [end]
    while asked:
        if (number := asked.pop()) >= 0 and number not in found:
            found.add(number)
            asked += nodes[number].inputs
    return sorted(found)


def unknown_layer(name: str, kind: str) -> ModelError:
    return ModelError(
        f"layer '{name}' is a {kind}, which the walk cannot compute; use a network that Pawline trained"
    )
