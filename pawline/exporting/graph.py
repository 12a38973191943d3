"""Write a Keras model as an ONNX graph, layer by layer.

The `onnx` package only builds and stores the graph here. The networks need few kinds of layers, and each kind has a
test that compares it with Keras (tests/test_export.py). docs/decisions/0008-light-engine.md says why no converter
made by others does this.

Keras keeps maps as (n, height, width, channels), ONNX as (n, channels, height, width); so a graph turns its pixels
once, at its start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pawline.errors import ModelError
from pawline.model.backend import keras

OPSET, IR_VERSION = 17, 8  # of 2022: engines of the last years read them
HEAD = "output"  # the name of the last layer of every network


@dataclass(frozen=True)
class Value:
    """A tensor of the graph. `shape` is the shape that Keras gives it: (None, height, width, channels)."""

    name: str
    shape: tuple[int | None, ...]


def onnx_graph(model: keras.Model) -> bytes:
    """The bytes of an ONNX file that computes the same function; equal models give equal bytes.

    Input: `pixels`, uint8 (n, height, width, channels). Outputs: `logits`, float32 (n, num_classes); `features`,
    float32 (n, num_features), the input of the last layer; and `activations`, float32 (n, num_classes, rows, columns),
    where the network averages its last maps: their mean over the places is the logits, so each tells how much a place
    speaks for a class (class activation maps: Zhou et al., "Learning Deep Features for Discriminative Localization",
    2016).

    Raises ModelError for a layer without a rule here."""
    graph = _Graph()
    graph.convert(model)
    return graph.serialized(model)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.heads: list[tuple[Any, Value]] = []  # each use of the last layer: (layer, its input)
        self.averaged: dict[str, Value] = {}  # the maps behind a global average, by the average's name
        self.logits = Value("", ())

    def convert(self, model: keras.Model) -> None:
        shape = tuple(model.input_shape)
        as_float = self.node("Cast", ["pixels"], to=TensorProto.FLOAT)
        maps = self.node("Transpose", [as_float], perm=[0, 3, 1, 2])
        self.logits = self.apply(model, [Value(maps, shape)])

    def apply(self, operation: Any, inputs: list[Value]) -> Value:
        """Add what a layer, an operation of `keras.ops` or a whole model does with its inputs."""
        if isinstance(operation, keras.Sequential):
            [value] = inputs
            for layer in operation.layers:
                value = self.apply(layer, [value])
            return value
        if isinstance(operation, keras.Model):
            return self._functional(operation, inputs)
        kind = type(operation).__name__
        if kind not in RULES:
            raise ModelError(
                f"the layer {operation.name} ({kind}) has no ONNX form here; expected {', '.join(RULES)}"
            )
        shape = _output_shape(operation, [value.shape for value in inputs])
        return Value(RULES[kind](self, operation, inputs, shape), shape)

    def _functional(self, model: keras.Model, inputs: list[Value]) -> Value:
        def operation_of(operation: Any) -> Callable[..., Value]:
            def call(first: Any, *others: Any, **_: Any) -> Value:
                given = [*(first if isinstance(first, list) else [first]), *others]
                return self.apply(operation, [self._value(each) for each in given])

            return call

        result = model._run_through_graph(inputs, operation_of)
        [value] = result if isinstance(result, list) else [result]
        assert isinstance(value, Value)
        return value

    def _value(self, given: Any) -> Value:
        """A tensor as it is; a number, as in `maps + 3`, as a constant."""
        if isinstance(given, Value):
            return given
        return Value(self.constant(f"number_{float(given)!r}", given), ())

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, array: Any, dtype: Any = np.float32) -> str:
        """Add a constant, once for equal names; return its name."""
        if isinstance(array, keras.Variable):
            array = keras.ops.convert_to_numpy(array)
        self.constants.setdefault(name, np.asarray(array, dtype))
        return name

    def activation(self, function: Any, value: str) -> str:
        kind = function.__name__
        if kind not in ACTIVATIONS:
            raise ModelError(f"the activation {kind} has no ONNX form here; expected {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[kind](self, value)

    def mean(self, values: list[str]) -> str:
        if len(values) == 1:
            return self.node("Identity", values)
        return self.node("Mul", [self.node("Sum", values), self.constant("part", 1 / len(values))])

    def serialized(self, model: keras.Model) -> bytes:
        if not self.heads:
            raise ModelError(f"the model {model.name} has no layer named {HEAD}; it is no network of Pawline")
        outputs = {"logits": (self.mean([self.logits.name]), ["n", *self.logits.shape[1:]])}
        features = [value for _, value in self.heads]
        outputs["features"] = self.mean([value.name for value in features]), ["n", *features[0].shape[1:]]
        if all(value.name in self.averaged for value in features):
            outputs["activations"] = self._activations()
        renamed = {name: output for output, (name, _) in outputs.items()}
        for node in self.nodes:
            if node.output[0] in renamed:
                node.output[0] = renamed[node.output[0]]
        pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *model.input_shape[1:]])
        graph = helper.make_graph(
            self.nodes,
            model.name,
            [pixels],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, (_, shape) in outputs.items()
            ],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pawline")
        onnx.checker.check_model(made, full_check=True)
        return bytes(made.SerializeToString(deterministic=True))

    def _activations(self) -> tuple[str, list[Any]]:
        """The last layer applied to each place of the last maps. The second use of the last layer saw the mirror image
        (`flip_at_test`), so its map is mirrored back."""
        maps = []
        for number, (layer, value) in enumerate(self.heads):
            behind = self.averaged[value.name]
            kernel = keras.ops.convert_to_numpy(layer.kernel).T[:, :, None, None]
            weights = [self.constant(f"{layer.name}.each_place", kernel), f"{layer.name}.bias"]
            one = self.node("Conv", [behind.name, *weights])
            maps.append(_mirrored(self, one) if number else one)
        rows, columns = self.averaged[self.heads[0][1].name].shape[1:3]
        return self.mean(maps), ["n", self.logits.shape[-1], rows, columns]


Shape = tuple[int | None, ...]
Rule = Callable[[_Graph, Any, list[Value], Shape], str]


def _output_shape(operation: Any, shapes: list[Shape]) -> Shape:
    if not isinstance(operation, keras.Layer):  # of `keras.ops`: a sum, a product, a mirror image
        return max(shapes, key=len)
    return tuple(operation.compute_output_shape(shapes if len(shapes) > 1 else shapes[0]))


def _weights(graph: _Graph, layer: Any, kernel: NDArray[Any]) -> list[str]:
    names = [graph.constant(f"{layer.name}.kernel", kernel)]
    if layer.use_bias:
        names.append(graph.constant(f"{layer.name}.bias", layer.bias))
    return names


def _padding(sides: Shape, kernel: tuple[int, ...], strides: tuple[int, ...], padding: str) -> list[int]:
    """The rows and columns of zeros: TensorFlow's `same` puts the odd one at the end."""
    if padding == "valid":
        return [0, 0, 0, 0]
    total = []
    for side, window, stride in zip(sides, kernel, strides, strict=True):
        assert side is not None
        total.append(max(0, (-(-side // stride) - 1) * stride + window - side))
    before = [count // 2 for count in total]
    return [*before, *(count - first for count, first in zip(total, before, strict=True))]


def _convolution(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    [value] = inputs
    kernel = keras.ops.convert_to_numpy(layer.kernel)  # (height, width, channels in, channels out)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        groups = kernel.shape[2]
        kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    else:
        groups = layer.groups
        kernel = kernel.transpose(3, 2, 0, 1)
    if tuple(layer.dilation_rate) != (1, 1):
        raise ModelError(f"the layer {layer.name} is dilated, which has no ONNX form here")
    result = graph.node(
        "Conv",
        [value.name, *_weights(graph, layer, kernel)],
        strides=list(layer.strides),
        pads=_padding(value.shape[1:3], layer.kernel_size, layer.strides, layer.padding),
        group=groups,
    )
    return graph.activation(layer.activation, result)


def _dense(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    [value] = inputs
    if layer.name == HEAD:
        graph.heads.append((layer, value))
    result = graph.node("Gemm", [value.name, *_weights(graph, layer, layer.kernel)])
    return graph.activation(layer.activation, result)


def _max_pooling(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    [value] = inputs
    window, strides = list(layer.pool_size), list(layer.strides)
    pads = _padding(value.shape[1:3], layer.pool_size, layer.strides, layer.padding)
    return graph.node("MaxPool", [value.name], kernel_shape=window, strides=strides, pads=pads)


def _global_average(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    result = graph.node("GlobalAveragePool", [inputs[0].name])
    if layer.keepdims:
        return result
    flat = graph.node("Flatten", [result])
    graph.averaged[flat] = inputs[0]
    return flat


def _rescaling(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    scaled = graph.node("Mul", [inputs[0].name, graph.constant(f"{layer.name}.scale", _per_channel(layer.scale))])
    if not np.any(layer.offset):
        return scaled
    return graph.node("Add", [scaled, graph.constant(f"{layer.name}.offset", _per_channel(layer.offset))])


def _normalization(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    mean = _per_channel(keras.ops.convert_to_numpy(layer.mean).ravel())
    deviation = np.sqrt(keras.ops.convert_to_numpy(layer.variance).ravel())
    deviation = _per_channel(np.maximum(deviation, keras.config.epsilon()))
    centred = graph.node("Sub", [inputs[0].name, graph.constant(f"{layer.name}.mean", mean)])
    return graph.node("Div", [centred, graph.constant(f"{layer.name}.deviation", deviation)])


def _per_channel(values: Any) -> NDArray[np.float32]:
    """A number stays one; a number per channel stands along the channels."""
    array = np.asarray(values, np.float32)
    return array.reshape(-1, 1, 1) if array.ndim else array


def _batch_normalization(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    num_channels = layer.moving_mean.shape[0]
    weights = {
        "gamma": layer.gamma if layer.scale else np.ones(num_channels),
        "beta": layer.beta if layer.center else np.zeros(num_channels),
        "mean": layer.moving_mean,
        "variance": layer.moving_variance,
    }
    names = [graph.constant(f"{layer.name}.{name}", array) for name, array in weights.items()]
    return graph.node("BatchNormalization", [inputs[0].name, *names], epsilon=layer.epsilon)


def _relu(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    if layer.negative_slope or layer.threshold:
        raise ModelError(f"the layer {layer.name} is a leaky ReLU, which has no ONNX form here")
    if layer.max_value is None:
        return graph.node("Relu", [inputs[0].name])
    limits = [graph.constant("zero", 0), graph.constant(f"{layer.name}.limit", layer.max_value)]
    return graph.node("Clip", [inputs[0].name, *limits])


def _zero_padding(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    (top, bottom), (left, right) = layer.padding
    pads = graph.constant(f"{layer.name}.pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
    return graph.node("Pad", [inputs[0].name, pads])


def _reshape(graph: _Graph, layer: Any, inputs: list[Value], shape: Shape) -> str:
    flat = _as_keras(graph, inputs[0])
    target = graph.constant(f"{layer.name}.shape", [0, *shape[1:]], np.int64)  # 0: as before
    return _as_onnx(graph, graph.node("Reshape", [flat, target]), shape)


def _flatten(graph: _Graph, layer: Any, inputs: list[Value], shape: Shape) -> str:
    return graph.node("Flatten", [_as_keras(graph, inputs[0])])


def _as_keras(graph: _Graph, value: Value) -> str:
    return graph.node("Transpose", [value.name], perm=[0, 2, 3, 1]) if len(value.shape) == 4 else value.name


def _as_onnx(graph: _Graph, name: str, shape: Shape) -> str:
    return graph.node("Transpose", [name], perm=[0, 3, 1, 2]) if len(shape) == 4 else name


def _concatenate(graph: _Graph, layer: Any, inputs: list[Value], shape: Shape) -> str:
    if layer.axis not in (-1, len(shape) - 1):
        raise ModelError(f"the layer {layer.name} joins along axis {layer.axis}, expected the channels")
    return graph.node("Concat", [value.name for value in inputs], axis=1)


def _elementwise(kind: str) -> Rule:
    def rule(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
        if len({len(value.shape) for value in inputs if value.shape}) > 1:
            raise ModelError(
                f"the layer {layer.name} joins tensors of different rank, which has no ONNX form here"
            )
        result = inputs[0].name
        for value in inputs[1:]:
            result = graph.node(kind, [result, value.name])
        return result

    return rule


def _average(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    return graph.mean([value.name for value in inputs])


def _flip(graph: _Graph, operation: Any, inputs: list[Value], _: Shape) -> str:
    if operation.axis != 2:
        raise ModelError(f"pixels are mirrored along axis {operation.axis}, expected 2, the columns")
    return _mirrored(graph, inputs[0].name)


def _mirrored(graph: _Graph, maps: str) -> str:
    numbers = {"from_last": [-1], "to_first": [np.iinfo(np.int64).min], "columns": [3], "backwards": [-1]}
    return graph.node("Slice", [maps, *(graph.constant(name, n, np.int64) for name, n in numbers.items())])


def _same(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    return inputs[0].name


def _activation_layer(graph: _Graph, layer: Any, inputs: list[Value], _: Shape) -> str:
    return graph.activation(layer.activation, inputs[0].name)


def _gated(gate: str, **attributes: Any) -> Callable[[_Graph, str], str]:
    def rule(graph: _Graph, value: str) -> str:
        return graph.node("Mul", [value, graph.node(gate, [value], **attributes)])

    return rule


HARD = {"alpha": 1 / 6, "beta": 0.5}

ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "linear": lambda graph, value: value,
    "relu": lambda graph, value: graph.node("Relu", [value]),
    "sigmoid": lambda graph, value: graph.node("Sigmoid", [value]),
    "silu": _gated("Sigmoid"),
    "hard_sigmoid": lambda graph, value: graph.node("HardSigmoid", [value], **HARD),
    "hard_silu": _gated("HardSigmoid", **HARD),
}

RULES: dict[str, Rule] = {
    "Activation": _activation_layer,
    "Add": _elementwise("Add"),
    "Average": _average,
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "Dropout": _same,
    "Flatten": _flatten,
    "Flip": _flip,
    "GlobalAveragePooling2D": _global_average,
    "InputLayer": _same,
    "MaxPooling2D": _max_pooling,
    "Multiply": _elementwise("Mul"),
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding,
}
