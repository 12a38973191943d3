"""Read a Keras model into the neutral form of walk/network.py, and check NumPy's arithmetic against Keras, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pawline.model.backend import keras
from pawline.model.saved import load_model
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
    model = load_model(file)
    reader = _Reader(_checked_pictures(model.input_shape[1:]))
    reader.add_model(model, [-1])
    logits = keras.ops.convert_to_numpy(model(reader.pictures, training=False))
    difference = np.abs(reader.ours[-1] - logits).max()
    shares = np.abs(softmax(reader.ours[-1], axis=1) - softmax(logits, axis=1)).max()
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
    def __init__(self, pictures: NDArray[np.float32]) -> None:
        self.pictures = pictures
        self.nodes: list[Node] = []
        self.ours: list[Array] = []  # NumPy's output of each node
        self.theirs: list[Any] = []  # Keras's output
        self.differences: list[dict[str, float]] = []

    def add_model(self, model: Any, inputs: list[int]) -> int:
        """Add the layers of a model, also of models inside it; return the position of its output."""
        if isinstance(model, keras.Sequential):
            model = keras.Model(model.inputs, model.outputs)
        places = {id(tensor): place for tensor, place in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):  # Keras has no public way to list the calls
            for call in model._nodes_by_depth[depth]:
                if call.is_input:
                    continue
                [output] = call.output_tensors
                places[id(output)] = self._add_call(call, [places[id(tensor)] for tensor in call.input_tensors])
        [output] = model.outputs
        return places[id(output)]

    def _add_call(self, call: Any, inputs: list[int]) -> int:
        layer = call.operation
        if isinstance(layer, keras.Model):
            return self.add_model(layer, inputs)
        if type(layer).__name__ in SKIPPED:
            return inputs[0]
        kind, settings, weights = _describe(layer, call)
        node = Node(layer.name, kind, inputs, settings, weights)
        keras_inputs = iter([self.pictures if i < 0 else self.theirs[i] for i in inputs])
        arguments, keywords = (
            _filled(call.arguments.args, keras_inputs),
            _filled(call.arguments.kwargs, keras_inputs),
        )
        theirs = layer(*arguments, **{key: value for key, value in keywords.items() if key != "training"})
        self.nodes.append(node)
        self.theirs.append(theirs)
        self.ours.append(run_node(node, [self.pictures if i < 0 else self.ours[i] for i in inputs]))
        expected = keras.ops.convert_to_numpy(theirs)
        self.differences.append(
            {
                "difference": float(np.abs(self.ours[-1] - expected).max()),
                "largest": float(np.abs(expected).max()),
            }
        )
        return len(self.nodes) - 1


def _filled(value: Any, tensors: Any) -> Any:
    """The arguments of a call, its symbolic tensors replaced by real ones in order."""
    if isinstance(value, keras.KerasTensor):
        return next(tensors)
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(item, tensors) for item in value)
    if isinstance(value, dict):
        return {key: _filled(item, tensors) for key, item in value.items()}
    return value


Description = tuple[str, dict[str, Any], dict[str, Array]]


def _describe(layer: Any, call: Any) -> Description:
    if type(layer).__name__ in CONSTANT and len(call.input_tensors) == 1:
        return _with_constant(layer, call)
    describe = DESCRIPTIONS.get(type(layer).__name__)
    if not describe:
        raise unknown_layer(layer.name, type(layer).__name__)
    kind, settings, weights = describe(layer, call)
    arrays = {key: np.ascontiguousarray(value, np.float32) for key, value in weights.items()}
    return kind, settings, arrays


def _with_constant(layer: Any, call: Any) -> Description:
    """An addition of, or a multiplication by, one number, as Keras writes `x + 3`."""
    numbers = [value for value in call.arguments.args if not isinstance(value, keras.KerasTensor)]
    if len(numbers) != 1 or np.size(numbers[0]) != 1:
        raise unknown_layer(layer.name, f"{type(layer).__name__} with a constant array")
    number = np.ravel(np.asarray(numbers[0], np.float32))
    adds = type(layer).__name__ == "Add"
    return "scale", {}, {"scale": np.ones(1) if adds else number, "shift": number if adds else np.zeros(1)}


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


def _convolution(layer: Any, _: Any) -> Description:
    depthwise = "Depthwise" in type(layer).__name__
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    if depthwise and kernel.shape[3] != 1:
        raise unknown_layer(layer.name, "depthwise convolution with a multiplier")
    bias = _array(layer.bias, np.zeros(kernel.shape[2 if depthwise else 3]))
    settings = _windowed(layer, layer.kernel_size) | _activation(layer)
    return "depthwise" if depthwise else "convolution", settings, {"kernel": kernel, "bias": bias}


def _array(variable: Any, absent: Any) -> NDArray[Any]:
    return absent if variable is None else keras.ops.convert_to_numpy(variable)


def _normalization(layer: Any, _: Any) -> Description:
    mean, variance = (np.float64(_array(v, None)) for v in (layer.moving_mean, layer.moving_variance))
    scale = _array(layer.gamma, 1.0) / np.sqrt(variance + layer.epsilon)
    return "normalization", {}, {"scale": scale, "shift": _array(layer.beta, 0.0) - mean * scale}


def _dense(layer: Any, _: Any) -> Description:
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    weights = {"kernel": kernel, "bias": _array(layer.bias, np.zeros(kernel.shape[1]))}
    return "dense", _activation(layer), weights


def _relu(layer: Any, _: Any) -> Description:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6):
        raise unknown_layer(layer.name, "ReLU with a slope, threshold or other limit")
    return "activation", {"activation": "relu6" if layer.max_value else "relu"}, {}


def _input_scale(layer: Any, _: Any) -> Description:
    deviation = np.sqrt(np.ravel(np.asarray(keras.ops.convert_to_numpy(layer.variance), np.float64)))
    mean = np.ravel(keras.ops.convert_to_numpy(layer.mean))
    return "scale", {}, {"scale": 1 / deviation, "shift": -mean / deviation}


def _rescaling(layer: Any, _: Any) -> Description:
    return "scale", {}, {"scale": np.ravel(layer.scale), "shift": np.ravel(layer.offset)}


def _pooling(kind: str) -> Callable[[Any, Any], Description]:
    return lambda layer, _: (kind, _windowed(layer, layer.pool_size), {})


def _global(kind: str) -> Callable[[Any, Any], Description]:
    return lambda layer, _: (kind, {"keepdims": bool(layer.keepdims)}, {})


def _plain(kind: str) -> Callable[[Any, Any], Description]:
    return lambda layer, _: (kind, {}, {})


def _flip(layer: Any, _: Any) -> Description:
    if layer.axis not in (2, (2,), [2]):
        raise unknown_layer(layer.name, "flip along another axis than the width")
    return "mirror", {}, {}


DESCRIPTIONS: dict[str, Callable[[Any, Any], Description]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "Rescaling": _rescaling,
    "Normalization": _input_scale,
    "BatchNormalization": _normalization,
    "ReLU": _relu,
    "Activation": lambda layer, _: ("activation", _activation(layer), {}),
    "MaxPooling2D": _pooling("max_pooling"),
    "AveragePooling2D": _pooling("average_pooling"),
    "GlobalAveragePooling2D": _global("global_average"),
    "GlobalMaxPooling2D": _global("global_max"),
    "Dense": _dense,
    "Flatten": _plain("flatten"),
    "Reshape": lambda layer, call: ("reshape", {"shape": list(call.output_tensors[0].shape[1:])}, {}),
    "ZeroPadding2D": lambda layer, _: ("zero_padding", {"margins": [list(p) for p in layer.padding]}, {}),
    "Add": _plain("add"),
    "Average": _plain("average"),
    "Multiply": _plain("multiply"),
    "Concatenate": _plain("concatenate"),
    "Flip": _flip,
}
