"""The networks match their descriptions, and the saved network computes the same as the trained one."""

import math
from pathlib import Path

import numpy as np
import pytest

from pawline.errors import ModelError
from pawline.model.backend import keras
from pawline.model.saved import load_model, predict_probabilities, save_model
from pawline.params.network import FastParams, NetworkParams
from pawline.params.prepare import ImageForm
from pawline.params.whole import load_params
from pawline.training.networks import build_network, finish_network, pretrained
from pawline.training.networks.classic import build as build_classic
from pawline.training.networks.fast import FusedBatchNormalization
from pawline.training.networks.fast import build as build_fast
from pawline.training.networks.fast import start as start_fast
from tests.source import ROOT

NETWORK = load_params(ROOT / "params.yaml").network
CLASSIC = NETWORK.classic
KERAS_LAYERS = {
    "InputLayer", "Rescaling", "Conv2D", "ReLU", "Add", "GlobalAveragePooling2D", "Dense", "MaxPooling2D",
    "Flatten", "Dropout", "Sequential", "Functional", "Flip", "Average",
}  # fmt: skip


def form(image_size: int, num_channels: int) -> ImageForm:
    color = "grayscale" if num_channels == 1 else "rgb"
    return ImageForm(image_size=image_size, color=color, aspect="stretch", background=255)


def test_the_classic_network_has_the_layers_of_its_description() -> None:
    model = build_classic(CLASSIC, form(64, 1), num_classes=2)
    names = [layer.name for layer in model.layers if not layer.name.startswith(("dropout", "flatten"))]
    assert names == [
        "rescale", "convolution_1", "pooling_1", "convolution_2", "pooling_2", "fully_connected", "output"
    ]  # fmt: skip


def test_the_number_of_weights_matches_a_count_by_hand() -> None:
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
def test_map_sizes_match_the_built_network(size: int, stride: tuple[int, int]) -> None:
    params = CLASSIC.model_copy(update={"stride": stride})
    model = build_classic(params, form(size, 1), num_classes=2)
    layers = [model.get_layer(name) for name in ("convolution_1", "pooling_1", "convolution_2", "pooling_2")]
    assert [layer.output.shape[1] for layer in layers] == params.map_sizes(size)


def test_pooling_keeps_the_largest_value_of_each_window() -> None:
    pooling = build_classic(CLASSIC, form(64, 1), num_classes=2).get_layer("pooling_1")
    pixels = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    # The 3 x 3 windows move by 2, so their lower right corners are 12, 14, 22 and 24.
    assert keras.ops.convert_to_numpy(pooling(pixels)).ravel().tolist() == [12, 14, 22, 24]


def test_pixels_are_rescaled_inside_the_model() -> None:
    rescale = build_classic(CLASSIC, form(64, 1), num_classes=2).get_layer("rescale")
    assert keras.ops.convert_to_numpy(rescale(np.array([0.0, 255.0]))).tolist() == [0.0, 1.0]


def test_the_fast_network_halves_its_maps_and_has_the_expected_weights() -> None:
    model = build_fast(FastParams(filters=(4, 8)), form(32, 3), num_classes=5)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [(layer.kernel_size, layer.strides, layer.filters) for layer in convolutions] == [
        ((4, 4), (2, 2), 4), ((3, 3), (2, 2), 8), *[((3, 3), (1, 1), 8)] * 2
    ]  # fmt: skip
    kernels = 4 * 4 * 3 * 4 + 3 * 3 * 4 * 8 + 2 * 3 * 3 * 8 * 8
    # Each normalized channel has a scale, a shift, a mean and a variance.
    assert model.count_params() == kernels + 4 * (1 * 4 + 3 * 8) + (8 * 5 + 5)
    assert keras.Model(model.input, model.get_layer("average").input)(np.zeros((1, 32, 32, 3))).shape == (
        1,
        8,
        8,
        8,
    )
    assert model(np.zeros((2, 24, 40, 3))).shape == (2, 5)


def test_the_stem_starts_with_the_principal_components_of_patches() -> None:
    """Tiles with a strong and a weaker pattern plus noise: the stem must find both patterns, the strong one first."""
    rng = np.random.default_rng(1)
    across, down = np.zeros((2, 4, 4, 3))
    across[:, :2], across[:, 2:], down[:2], down[2:] = 1, -1, 1, -1
    amounts = rng.normal(0, (40, 20), (300, 2)) @ [across.ravel(), down.ravel()]
    tiles = (128 + amounts.reshape(300, 4, 4, 3) + rng.normal(0, 2, (300, 4, 4, 3))).clip(0, 255).astype(np.uint8)
    model = build_fast(FastParams(filters=(6, 8)), form(32, 3), num_classes=2)
    start_fast(model, tiles)
    kernel = keras.ops.convert_to_numpy(model.get_layer("stem").kernel).reshape(-1, 6)
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), math.sqrt(2), rtol=1e-5)
    np.testing.assert_array_equal(kernel[:, 3:], -kernel[:, :3])
    cosines = np.abs(kernel[:, :2].T @ np.stack([across.ravel(), down.ravel()], axis=1)) / math.sqrt(2 * 48)
    np.testing.assert_allclose(cosines, np.eye(2), atol=0.1)


def test_filters_beyond_the_principal_components_stay_random() -> None:
    model = build_fast(FastParams(filters=(40, 8)), form(32, 1), num_classes=2)
    stem = model.get_layer("stem")
    before = keras.ops.convert_to_numpy(stem.kernel).copy()
    start_fast(model, np.random.default_rng(1).integers(0, 256, (20, 32, 32, 1)).astype(np.uint8))
    after = keras.ops.convert_to_numpy(stem.kernel)
    np.testing.assert_array_equal(after[..., 16:32], -after[..., :16])
    np.testing.assert_array_equal(after[..., 32:], before[..., 32:])
    assert not np.array_equal(after[..., :16], before[..., :16])


def test_the_default_fast_network_has_two_million_weights() -> None:
    assert build_fast(NETWORK.fast, form(64, 3), num_classes=2).count_params() == 1_942_914
    assert NETWORK.fast.total_stride == 16


def slightly_trained(network: str, form: ImageForm) -> tuple[keras.Model, np.ndarray]:
    """A network whose statistics differ from their first values, and pictures."""
    keras.utils.set_random_seed(1)
    model = build_network(NETWORK.model_copy(update={"name": network}), form, 3, "float32")
    pixels = np.random.default_rng(1).integers(0, 256, (8, form.image_size, form.image_size, form.num_channels))
    for layer in model.layers:
        if isinstance(layer, FusedBatchNormalization):
            layer.gamma.assign(np.random.default_rng(2).uniform(0.5, 1.5, layer.gamma.shape))
    for _ in range(3):
        model(pixels.astype(np.float32), training=True)
    return model, pixels.astype(np.uint8)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("network", ["fast", "classic"])
def test_the_saved_network_computes_the_same_with_keras_layers_alone(
    network: str, flip: bool, tmp_path: Path
) -> None:
    rgb = form(32, 3)
    model, pixels = slightly_trained(network, rgb)
    params = NETWORK.model_copy(update={"name": network})
    save_model(finish_network(model, params, rgb, 3, flip), tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    inner = [layer for outer in loaded.layers for layer in getattr(outer, "layers", [outer])]
    assert {type(layer).__name__ for layer in [*loaded.layers, *inner]} <= KERAS_LAYERS
    expected = keras.ops.convert_to_numpy(model(pixels, training=False))
    if flip:
        expected = (expected + keras.ops.convert_to_numpy(model(pixels[:, :, ::-1], training=False))) / 2
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded(pixels)), expected, rtol=1e-4, atol=1e-4)


def test_fused_normalization_equals_that_of_keras() -> None:
    maps = np.random.default_rng(1).normal(3, 2, (6, 5, 5, 4)).astype(np.float32)
    ours, theirs = FusedBatchNormalization(momentum=0.9), keras.layers.BatchNormalization(momentum=0.9)
    np.testing.assert_allclose(ours(maps, training=True), theirs(maps, training=True), atol=1e-4)
    np.testing.assert_allclose(ours.moving_mean.numpy(), 0.1 * maps.mean((0, 1, 2)), rtol=1e-4)
    # The fused operation divides the variance by n - 1, Keras by n.
    np.testing.assert_allclose(ours.moving_variance.numpy(), 0.9 + 0.1 * maps.var((0, 1, 2), ddof=1), rtol=1e-4)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(maps, training=False), theirs(maps, training=False), atol=1e-4)


def test_bfloat16_computes_with_float32_weights() -> None:
    model = build_network(NETWORK.model_copy(update={"name": "fast"}), form(16, 1), 2, "bfloat16")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("stem").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def with_file(file: Path) -> NetworkParams:
    update = {"architecture": "MobileNetV3Small", "weights": str(file)}
    return NETWORK.model_copy(
        update={"name": "pretrained", "pretrained": NETWORK.pretrained.model_copy(update=update)}
    )


def test_the_pretrained_network_gets_the_weights_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.weights.h5"
    keras.utils.set_random_seed(7)
    source = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    source.save_weights(file)
    params = with_file(file)
    model = build_network(params, form(32, 1), 3, "float32")
    [body] = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    for ours, theirs in zip(body.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {"output"}
    file.unlink()  # from now on the model must not need the file
    save_model(finish_network(model, params, form(32, 1), 3, flip=False), tmp_path / "model.keras")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 32, 32, 1)).astype(np.uint8)
    np.testing.assert_allclose(
        predict_probabilities(load_model(tmp_path / "model.keras"), pixels),
        predict_probabilities(model, pixels),
        atol=1e-5,
    )


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_unusable_weights_are_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "some.weights.h5"
    if content is not None:
        file.write_bytes(content)
    assert_refused_in_one_line(file)


def test_weights_of_another_architecture_are_refused_in_one_line(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    file = tmp_path / "some.weights.h5"
    other = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.25)
    other.save_weights(file)
    assert_refused_in_one_line(file)
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]


@pytest.mark.parametrize(("text", "reason"), [("", "ValueError"), ("\n first:\n second", "first")])
def test_an_error_without_text_or_first_line_is_reported_too(
    text: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ValueError(text)

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", fail)
    assert f"MobileNetV3Small: {reason}; name a file" in assert_refused_in_one_line(Path("some.weights.h5"))


def assert_refused_in_one_line(file: Path) -> str:
    with pytest.raises(
        ModelError, match=r"network.pretrained.weights: .*some.weights.h5: not usable as headless weights"
    ) as caught:
        build_network(with_file(file), form(32, 3), 2, "float32")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.parametrize("content", [None, b"no weights"])
def test_converted_weights_that_were_damaged_meanwhile_are_refused_with_advice(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "converted.npz"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(pretrained, "build_lite", lambda *_: None)  # it takes a second
    params = NETWORK.pretrained.model_copy(update={"weights": str(file)})
    with pytest.raises(ModelError) as caught:
        pretrained.build(params, form(32, 3), num_classes=2, policy="float32")
    message = str(caught.value)
    assert message.startswith(f"{file}: not usable as weights of EfficientNetLite0: ") and "\n" not in message
    assert "; delete this file and run again" in message
