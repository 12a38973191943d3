"""Read a Keras model into the neutral form of walk/network.py, and check NumPy's arithmetic against Keras, once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.epochs import KeptEpoch
from pawline.model.backend import keras
from pawline.model.saved import load_model
from pawline.softmax import softmax
from pawline.walk.formulas import ACTIVATIONS, run_node
from pawline.walk.network import Array, Network, Node, unknown_layer

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
SKIPPED = ("InputLayer", "Dropout", "SpatialDropout2D", "Identity")
CONSTANT = ("Add", "Multiply")  # also operations of one tensor and a number
NUM_CHECKED = 3  # pictures


def read_model(file: Path) -> Network:
    """Read a model file and check it. Call card.read_card first. Raises ModelError for a layer that is not known.

    The check computes each layer on three fixed pictures, in Keras and in NumPy, each from its own values of the layer
    before. It holds, per node, the largest difference and Keras's largest absolute value; and the largest difference of
    logits and probabilities."""
    return _read(load_model(file))


def read_networks(file: Path, kept: list[KeptEpoch]) -> list[Network]:
    """Read and check the network of each kept epoch of a model, as `read_model` does."""
    model = load_model(file)
    saved, networks = model.get_weights(), []
    for one in kept:
        model.set_weights([one.weights.get(at, weight) for at, weight in enumerate(saved)])
        networks.append(_read(model))
    return networks


def _read(model: keras.Model) -> Network:
    reader = _Reader(_checked_pictures(model.input_shape[1:]))
    reader.apply(model, [_Place(-1)])
    logits = keras.ops.convert_to_numpy(model(reader.pictures, training=False))
    difference = np.abs(reader.ours[-1] - logits).max()
    shares = np.abs(softmax(reader.ours[-1]) - softmax(logits)).max()
    check = {
        "layers": reader.differences,
        "logits": float(difference),
        "probabilities": float(shares),
        "num_pictures": NUM_CHECKED,
        "keras": keras.__version__,
    }
    return Network(reader.nodes, check)


def _checked_pictures(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise, smooth noise and a ramp: float32 (3, height, width, channels), values 0 to 255."""
    height, width, channels = shape
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, shape)
    coarse = rng.integers(0, 256, (8, 8, channels))
    smooth = coarse[np.arange(height)[:, None] * 8 // height, np.arange(width) * 8 // width]
    ramp = np.broadcast_to(np.linspace(0, 255, width)[None, :, None], shape)
    return np.rint(np.stack([noise, smooth, ramp])).astype(np.float32)


class _Reader:
    """Goes through a model once, with real pictures in place of its symbolic tensors. A tensor is named by the position
    of the node that makes it; -1 is the picture."""

    def __init__(self, pictures: NDArray[np.float32]) -> None:
        self.pictures = pictures
        self.nodes: list[Node] = []
        self.ours: list[Array] = []  # NumPy's output of each node
        self.theirs: list[Any] = []  # Keras's output
        self.differences: list[dict[str, float]] = []

    def apply(self, operation: Any, inputs: list[Any]) -> "_Place":
        """Add what a layer, an operation of `keras.ops` or a whole model does; return the position of its output.

        inputs: positions, and numbers as `_Number`."""
        if isinstance(operation, keras.Sequential):
            [place] = inputs
            for layer in operation.layers:
                place = self.apply(layer, [place])
            return _Place(place)
        if isinstance(operation, keras.Model):
            return self._functional(operation, inputs)
        if type(operation).__name__ in SKIPPED:
            return _Place(inputs[0])
        places = [each for each in inputs if not isinstance(each, _Number)]
        kind, settings, weights = _describe(operation, [each for each in inputs if isinstance(each, _Number)])
        self._add(operation, Node(operation.name, kind, places, settings, weights), inputs)
        return _Place(len(self.nodes) - 1)

    def _functional(self, model: Any, inputs: list["_Place"]) -> "_Place":
        def operation_of(operation: Any) -> Callable[..., _Place]:
            def call(first: Any, *others: Any, **_: Any) -> _Place:
                given = [*(first if isinstance(first, (list, tuple)) else [first]), *others]
                return self.apply(operation, [_place_or_number(operation, each) for each in given])

            return call

        result = model._run_through_graph(inputs, operation_of)  # Keras has no public way to list the calls
        [place] = result if isinstance(result, list) else [result]
        return _Place(place)

    def _add(self, operation: Any, node: Node, inputs: list[Any]) -> None:
        values = [each.value if isinstance(each, _Number) else self._of(self.theirs, each) for each in inputs]
        joins = isinstance(operation, keras.Layer) and len(values) > 1
        theirs = operation(values) if joins else operation(*values)
        self.nodes.append(node)
        self.theirs.append(theirs)
        self.ours.append(run_node(node, [self._of(self.ours, place) for place in node.inputs]))
        expected = keras.ops.convert_to_numpy(theirs)
        difference = float(np.abs(self.ours[-1] - expected).max())
        self.differences.append({"difference": difference, "largest": float(np.abs(expected).max())})

    def _of(self, outputs: list[Any], place: int) -> Any:
        return self.pictures if place < 0 else outputs[place]


class _Place(int):
    """A position, in a type of its own: the 3 of `maps + 3` is a number."""


@dataclass(frozen=True)
class _Number:
    value: float


def _place_or_number(operation: Any, given: Any) -> Any:
    if isinstance(given, _Place):
        return given
    if np.size(given) != 1:
        raise unknown_layer(operation.name, f"{type(operation).__name__} with a constant array")
    return _Number(float(given))


Description = tuple[str, dict[str, Any], dict[str, Array]]


def _describe(layer: Any, numbers: list[_Number]) -> Description:
    if numbers and type(layer).__name__ in CONSTANT:
        return _with_number(type(layer).__name__, numbers[0].value)
    describe = DESCRIPTIONS.get(type(layer).__name__)
    if not describe:
        raise unknown_layer(layer.name, type(layer).__name__)
    kind, settings, weights = describe(layer)
    arrays = {key: np.ascontiguousarray(value, np.float32) for key, value in weights.items()}
    return kind, settings, arrays


def _with_number(kind: str, number: float) -> Description:
    """An addition of, or a multiplication by, one number, as Keras writes `x + 3`."""
    scale, shift = (1.0, number) if kind == "Add" else (number, 0.0)
    return "scale", {}, {"scale": np.array([scale], np.float32), "shift": np.array([shift], np.float32)}


def _activation(layer: Any, function: Any = None) -> dict[str, str]:
    name = getattr(function or layer.activation, "__name__", "?")
    name = ALIASES.get(name, name)
    if name not in ACTIVATIONS:
        raise unknown_layer(layer.name, f"{type(layer).__name__} with the activation {name}")
    return {"activation": name}


def _windowed(layer: Any, window: Any) -> dict[str, Any]:
    if max(getattr(layer, "dilation_rate", (1, 1))) > 1 or getattr(layer, "groups", 1) > 1:
        raise unknown_layer(layer.name, f"{type(layer).__name__} with dilation or groups")
    return {"window": list(window), "stride": list(layer.strides), "padding": layer.padding}


def _convolution(layer: Any) -> Description:
    depthwise = "Depthwise" in type(layer).__name__
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    if depthwise and kernel.shape[3] != 1:
        raise unknown_layer(layer.name, "depthwise convolution with a multiplier")
    bias = _array(layer.bias, np.zeros(kernel.shape[2 if depthwise else 3]))
    settings = _windowed(layer, layer.kernel_size) | _activation(layer)
    return "depthwise" if depthwise else "convolution", settings, {"kernel": kernel, "bias": bias}


def _array(variable: Any, absent: Any) -> NDArray[Any]:
    return absent if variable is None else keras.ops.convert_to_numpy(variable)


def _normalization(layer: Any) -> Description:
    mean, variance = (np.float64(_array(v, None)) for v in (layer.moving_mean, layer.moving_variance))
    scale = _array(layer.gamma, 1.0) / np.sqrt(variance + layer.epsilon)
    return "normalization", {}, {"scale": scale, "shift": _array(layer.beta, 0.0) - mean * scale}


def _dense(layer: Any) -> Description:
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    weights = {"kernel": kernel, "bias": _array(layer.bias, np.zeros(kernel.shape[1]))}
    return "dense", _activation(layer), weights


def _relu(layer: Any) -> Description:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
        raise unknown_layer(layer.name, "ReLU with a slope, threshold or other limit")
    return "activation", {"activation": "relu6" if layer.max_value else "relu"}, {}


def _input_scale(layer: Any) -> Description:
    deviation = np.sqrt(np.ravel(np.asarray(keras.ops.convert_to_numpy(layer.variance), np.float64)))
    deviation = np.maximum(deviation, keras.config.epsilon())
    mean = np.ravel(keras.ops.convert_to_numpy(layer.mean))
    return "scale", {}, {"scale": 1 / deviation, "shift": -mean / deviation}


def _rescaling(layer: Any) -> Description:
    return "scale", {}, {"scale": np.ravel(layer.scale), "shift": np.ravel(layer.offset)}


def _pooling(kind: str) -> Callable[[Any], Description]:
    return lambda layer: (kind, _windowed(layer, layer.pool_size), {})


def _global(kind: str) -> Callable[[Any], Description]:
    return lambda layer: (kind, {"keepdims": bool(layer.keepdims)}, {})


def _plain(kind: str) -> Callable[[Any], Description]:
    return lambda layer: (kind, {}, {})


def _flip(layer: Any) -> Description:
    if layer.axis not in (2, (2,), [2]):
        raise unknown_layer(layer.name, "flip along another axis than the width")
    return "mirror", {}, {}


DESCRIPTIONS: dict[str, Callable[[Any], Description]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "Rescaling": _rescaling,
    "Normalization": _input_scale,
    "BatchNormalization": _normalization,
    "ReLU": _relu,
    "Activation": lambda layer: ("activation", _activation(layer), {}),
    "MaxPooling2D": _pooling("max_pooling"),
    "AveragePooling2D": _pooling("average_pooling"),
    "GlobalAveragePooling2D": _global("global_average"),
    "GlobalMaxPooling2D": _global("global_max"),
    "Dense": _dense,
    "Flatten": _plain("flatten"),
    "Reshape": lambda layer: ("reshape", {"shape": list(layer.target_shape)}, {}),
    "ZeroPadding2D": lambda layer: ("zero_padding", {"margins": [list(p) for p in layer.padding]}, {}),
    "Add": _plain("add"),
    "Average": _plain("average"),
    "Multiply": _plain("multiply"),
    "Concatenate": _plain("concatenate"),
    "Flip": _flip,
}
