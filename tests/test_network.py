"""The classic network is the one that the mission names."""

import numpy as np
import pytest

from pawline.backend import keras
from pawline.network import build_classic
from pawline.params import ImageForm, load_params
from tests.source import ROOT

CLASSIC = load_params(ROOT / "params.yaml").network.classic


def form(image_size: int, num_channels: int) -> ImageForm:
    color = "grayscale" if num_channels == 1 else "rgb"
    return ImageForm(image_size=image_size, color=color, aspect="stretch", background=255)


def test_layers_are_convolution_pooling_twice_then_fully_connected_and_output() -> None:
    model = build_classic(CLASSIC, form(64, 1), num_classes=2)
    names = [layer.name for layer in model.layers if not layer.name.startswith(("dropout", "flatten"))]
    assert names == [
        "rescale", "convolution_1", "pooling_1", "convolution_2", "pooling_2", "fully_connected", "output"
    ]  # fmt: skip


def test_weights_are_counted_by_hand() -> None:
    params = CLASSIC.model_copy(
        update={
            "filters": (4, 6),
            "kernel": (3, 5),
            "pool_window": (3, 3),
            "pool_stride": (2, 2),
            "dense_units": 7,
        }
    )
    model = build_classic(params, form(16, 3), num_classes=5)
    # 16 -> pool 7 -> pool 3: 3 x 3 x 6 values reach the fully connected layer.
    convolutions = (3 * 3 * 3 * 4 + 4) + (5 * 5 * 4 * 6 + 6)
    assert model.count_params() == convolutions + (3 * 3 * 6 * 7 + 7) + (7 * 5 + 5)
    assert params.map_sizes(16) == [16, 7, 7, 3]
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize(("size", "stride"), [(17, (1, 1)), (16, (2, 1)), (33, (2, 3))])
def test_map_sizes_are_those_of_the_built_network(size: int, stride: tuple[int, int]) -> None:
    params = CLASSIC.model_copy(update={"stride": stride})
    model = build_classic(params, form(size, 1), num_classes=2)
    layers = [model.get_layer(name) for name in ("convolution_1", "pooling_1", "convolution_2", "pooling_2")]
    assert [layer.output.shape[1] for layer in layers] == params.map_sizes(size)


def test_pooling_keeps_the_largest_value_of_each_window() -> None:
    pooling = build_classic(CLASSIC, form(64, 1), num_classes=2).get_layer("pooling_1")
    pixels = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    # 3 x 3 windows that move by 2: their lower right corners are 12, 14, 22 and 24.
    assert keras.ops.convert_to_numpy(pooling(pixels)).ravel().tolist() == [12, 14, 22, 24]


def test_values_are_rescaled_inside_the_model() -> None:
    rescale = build_classic(CLASSIC, form(64, 1), num_classes=2).get_layer("rescale")
    assert keras.ops.convert_to_numpy(rescale(np.array([0.0, 255.0]))).tolist() == [0.0, 1.0]
