"""Every kind of layer as a formula in NumPy, float32. Maps are (n, height, width, channels).

The padding "same" is that of TensorFlow: the output has ceil(size / stride) values, and of an odd number of zeros the
larger half stands behind the picture.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pawline.walk.network import Array, Network, Node


def _sigmoid(x: Array) -> Array:
    return np.float32(0.5) * (1 + np.tanh(x / 2))


def _gelu(x: Array) -> Array:
    from scipy.special import erf  # no network of Pawline's has it, and the service does without SciPy

    return np.asarray(np.float32(0.5) * x * (1 + erf(x / np.float32(np.sqrt(2)))))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "relu6": lambda x: np.clip(x, np.float32(0), np.float32(6)),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
    "gelu": _gelu,
    "hard_sigmoid": lambda x: np.clip(x / 6 + np.float32(0.5), 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + np.float32(0.5), 0, 1),
}


def run_network(network: Network, pictures: NDArray[Any]) -> list[Array]:
    """The output of every node, each float32. pictures: (n, height, width, channels), values 0 to 255."""
    pixels, outputs = pictures.astype(np.float32), list[Array]()
    for node in network.nodes:
        outputs.append(run_node(node, [pixels if i < 0 else outputs[i] for i in node.inputs]))
    return outputs


def run_node(node: Node, inputs: Sequence[Array]) -> Array:
    """One node's output, float32."""
    output = KINDS[node.kind](node, *inputs)
    return np.asarray(ACTIVATIONS[node.settings.get("activation", "linear")](output), np.float32)


def num_products(network: Network, outputs: list[Array]) -> int:
    """Multiplications of one picture's way through the convolutions and fully connected layers."""
    total = 0
    for node, output in zip(network.nodes, outputs, strict=True):
        if (kernel := node.weights.get("kernel")) is not None:
            places = output[0].size // output.shape[-1]
            total += places * kernel.size
    return total


def padding_of(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and after `size` values."""
    if padding == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _windows(maps: Array, node: Node, fill: float = 0) -> Array:
    """(n, rows, columns, channels, window height, window width), a view."""
    (high, wide), (down, across) = node.settings["window"], node.settings["stride"]
    rows = padding_of(maps.shape[1], high, down, node.settings["padding"])
    columns = padding_of(maps.shape[2], wide, across, node.settings["padding"])
    padded = np.pad(maps, ((0, 0), rows, columns, (0, 0)), constant_values=fill)
    return sliding_window_view(padded, (high, wide), axis=(1, 2))[:, ::down, ::across]


def _convolution(node: Node, maps: Array) -> Array:
    kernel = node.weights["kernel"]
    windows = _windows(maps, node).transpose(0, 1, 2, 4, 5, 3)
    flat = windows.reshape(-1, int(np.prod(kernel.shape[:3]))) @ kernel.reshape(-1, kernel.shape[3])
    return np.asarray(flat.reshape(*windows.shape[:3], -1) + node.weights["bias"])


def _depthwise(node: Node, maps: Array) -> Array:
    kernel = node.weights["kernel"][:, :, :, 0]  # (height, width, channels)
    sums = np.einsum("nrcmhw,hwm->nrcm", _windows(maps, node), kernel, optimize=True)
    return np.asarray(sums + node.weights["bias"])


def _max_pooling(node: Node, maps: Array) -> Array:
    return np.asarray(_windows(maps, node, -np.inf).max(axis=(4, 5)))


def _average_pooling(node: Node, maps: Array) -> Array:
    return np.asarray(_windows(maps, node).sum(axis=(4, 5)) / _windows(np.ones_like(maps), node).sum(axis=(4, 5)))


def _global_average(node: Node, maps: Array) -> Array:
    return np.asarray(maps.mean(axis=(1, 2), keepdims=node.settings.get("keepdims", False)))


def _zero_padding(node: Node, maps: Array) -> Array:
    return np.pad(maps, ((0, 0), *node.settings["margins"], (0, 0)))


def _multiply(node: Node, *maps: Array) -> Array:
    return maps[0] * maps[1]


KINDS: dict[str, Callable[..., Array]] = {
    "convolution": _convolution,
    "depthwise": _depthwise,
    "max_pooling": _max_pooling,
    "average_pooling": _average_pooling,
    "global_average": _global_average,
    "global_max": lambda node, maps: maps.max(axis=(1, 2), keepdims=node.settings.get("keepdims", False)),
    "scale": lambda node, maps: maps * node.weights["scale"] + node.weights["shift"],
    "normalization": lambda node, maps: maps * node.weights["scale"] + node.weights["shift"],
    "activation": lambda node, maps: maps,
    "add": lambda node, *maps: np.sum(maps, axis=0),
    "average": lambda node, *maps: np.mean(maps, axis=0),
    "multiply": _multiply,
    "concatenate": lambda node, *maps: np.concatenate(maps, axis=-1),
    "zero_padding": _zero_padding,
    "flatten": lambda node, maps: maps.reshape(len(maps), -1),
    "reshape": lambda node, maps: maps.reshape(len(maps), *node.settings["shape"]),
    "mirror": lambda node, maps: maps[:, :, ::-1],
    "dense": lambda node, values: values @ node.weights["kernel"] + node.weights["bias"],
}


def softmax(logits: Array, temperature: float) -> NDArray[np.float64]:
    """Turn logits, (n, num_classes), into probabilities: float64, the precision in which the page computes them."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
