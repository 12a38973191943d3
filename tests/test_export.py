"""Every kind of layer, and each network, gives the same answers in the light engine as in Keras."""

import argparse
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pawline.cli.export as export_command
from pawline.card import Card, write_card
from pawline.errors import DatasetError, ModelError, PawlineError
from pawline.export import choose_unsure, export_model, export_to
from pawline.export_int8 import export_int8, lowest_gain
from pawline.exporting.graph import ACTIVATIONS, RULES, onnx_graph
from pawline.files import file_digest
from pawline.model.backend import keras
from pawline.model.saved import load_model, save_model
from pawline.params.judging import JudgingParams
from pawline.params.network import ClassicParams, FastParams, NetworkParams, PretrainedParams
from pawline.params.prepare import ImageForm
from pawline.pictures.awkward import awkward_pictures
from pawline.runtime.engine import Engine
from pawline.runtime.export_card import read_export_card, write_export_card
from pawline.runtime.model import RuntimeModel
from pawline.training.networks import build_network, finish_network, pretrained
from tests.cards import CONDITIONS

L = keras.layers


def shaken(model: Any) -> Any:
    """The model with no weight at zero or one, where a mistake would not show."""
    rng = np.random.default_rng(3)
    for weight in model.weights:
        if "seed" not in weight.path:
            moved = keras.ops.convert_to_numpy(weight) + rng.normal(0, 0.2, weight.shape)
            weight.assign(np.abs(moved) + 0.1 if weight.path.endswith("variance") else moved)
    return model


def pictures(side: int, channels: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, side, side, channels), np.uint8)


def assert_same(model: Any, side: int, channels: int) -> Engine:
    engine, pixels = Engine(onnx_graph(model), "the graph"), pictures(side, channels)
    expected = model(pixels, training=False).numpy()
    found = engine.ask(pixels)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 0, "the example tells pictures apart"
    return engine


def network_of(*layers: Any, side: int = 7) -> Any:
    """A network with these layers between its pixels and its output."""
    small = [L.Rescaling(1 / 50, offset=[-1.0, 0.5, 2.0]), *layers]
    return shaken(keras.Sequential([keras.Input((side, side, 3)), *small, L.Flatten(), L.Dense(2, name="output")]))


# One network or more for each kind of layer; sides and strides are odd, so that a shift by one pixel shows.
EXAMPLES: dict[str, list[Callable[[], Any]]] = {
    "Activation": [lambda name=name: network_of(L.Activation(name)) for name in ACTIVATIONS],
    "Conv2D": [
        lambda: network_of(L.Conv2D(4, 3, strides=2, padding="same", activation="relu")),
        lambda: network_of(L.Conv2D(4, (2, 3), padding="valid", use_bias=False)),
        lambda: network_of(L.Conv2D(4, 4, strides=2, padding="same"), side=8),
        lambda: network_of(L.Conv2D(6, 3, groups=3, activation="silu")),
    ],
    "DepthwiseConv2D": [
        lambda: network_of(L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)),
        lambda: network_of(L.DepthwiseConv2D(5, strides=2, padding="valid", use_bias=False)),
    ],
    "MaxPooling2D": [
        lambda: network_of(L.MaxPooling2D(3, strides=2)),
        lambda: network_of(L.MaxPooling2D(2, strides=2, padding="same")),
    ],
    "BatchNormalization": [
        lambda: network_of(L.BatchNormalization()),
        lambda: network_of(L.BatchNormalization(scale=False, center=False, epsilon=0.01)),
    ],
    "Normalization": [lambda: network_of(L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 0.25, 9.0]))],
    "Rescaling": [lambda: network_of(L.Rescaling(0.5), L.Rescaling(1.0, offset=3.0))],
    "ReLU": [lambda: network_of(L.ReLU()), lambda: network_of(L.ReLU(max_value=1.5))],
    "ZeroPadding2D": [lambda: network_of(L.ZeroPadding2D(((1, 2), (3, 0))))],
    "Dropout": [lambda: network_of(L.Dropout(0.5))],
    "Flatten": [lambda: network_of(L.Flatten())],
    "Reshape": [lambda: network_of(L.Reshape((21, 7, 1))), lambda: network_of(L.Reshape((49, 3)), L.Flatten())],
    "Dense": [lambda: network_of(L.Flatten(), L.Dense(5, activation="sigmoid"))],
    "GlobalAveragePooling2D": [lambda: network_of(L.GlobalAveragePooling2D(keepdims=True))],
    "Add": [lambda: joined(lambda maps: L.Add()([maps, L.Conv2D(3, 1)(maps)])), lambda: joined(lambda x: x + 3.0)],
    "Multiply": [lambda: joined(lambda maps: L.Multiply()([maps, L.GlobalAveragePooling2D(keepdims=True)(maps)]))],
    "Average": [lambda: joined(lambda maps: L.Average()([maps, L.Conv2D(3, 1)(maps), maps]))],
    "Concatenate": [lambda: joined(lambda maps: L.Concatenate()([maps, L.Conv2D(2, 1)(maps)]))],
    "Flip": [lambda: joined(lambda maps: keras.ops.flip(maps, axis=2))],
    "InputLayer": [lambda: joined(lambda maps: maps)],
}


def joined(join: Callable[[Any], Any]) -> Any:
    pixels = keras.Input((7, 7, 3))
    maps = join(L.Rescaling(1 / 100)(pixels))
    return shaken(keras.Model(pixels, L.Dense(2, name="output")(L.Flatten()(maps))))


def test_every_rule_has_an_example() -> None:
    assert set(EXAMPLES) == set(RULES)


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, number) for kind, examples in EXAMPLES.items() for number in range(len(examples))]
)
def test_a_layer_computes_the_same_as_in_keras(kind: str, number: int) -> None:
    model = EXAMPLES[kind][number]()
    side = model.input_shape[1]
    assert_same(model, side, 3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: L.AveragePooling2D(2),
            r"^the layer \S+ \(AveragePooling2D\) has no ONNX form here; expected Activation",
        ),
        (lambda: L.Activation("gelu"), "^the activation gelu has no ONNX form here"),
        (lambda: L.Conv2D(2, 2, dilation_rate=2), "is dilated"),
        (lambda: L.ReLU(negative_slope=0.1), "is a leaky ReLU"),
    ],
)
def test_a_layer_without_a_rule_is_refused_by_its_name(layer: Callable[[], Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        onnx_graph(network_of(layer()))


def form(side: int, color: str) -> ImageForm:
    return ImageForm(image_size=side, color=color, aspect="stretch", background=255)  # type: ignore[arg-type]


PARAMS = NetworkParams(
    name="fast",
    fast=FastParams(filters=(4, 6)),
    classic=ClassicParams(
        filters=(3, 4), kernel=(5, 3), stride=(1, 1), pool_window=(3, 3), pool_stride=(2, 2), dense_units=8,
        dropout=0.2,
    ),
    pretrained=PretrainedParams(architecture="MobileNetV3Small", weights=None, sha256=None, fine_tune=False),
)  # fmt: skip


def finished(name: str, side: int, color: str, flip: bool) -> Any:
    keras.utils.set_random_seed(3)
    params = PARAMS.model_copy(update={"name": name})
    trained = build_network(params, form(side, color), 3, "float32")
    return finish_network(shaken(trained), params, form(side, color), 3, flip)


@pytest.mark.parametrize(
    ("name", "color", "flip"),
    [
        ("fast", "rgb", False),
        ("fast", "grayscale", True),
        ("classic", "grayscale", False),
        ("classic", "rgb", True),
    ],
)
def test_a_network_gives_the_logits_of_keras(name: str, color: str, flip: bool) -> None:
    model = finished(name, 18, color, flip)
    engine = assert_same(model, 18, 1 if color == "grayscale" else 3)
    assert list(engine.outputs) == ["logits", "features", *(["activations"] if name == "fast" else [])]


@pytest.mark.parametrize("architecture", ["MobileNetV3Small", "EfficientNetV2B0"])
def test_a_pretrained_network_gives_the_logits_of_keras(architecture: str) -> None:
    params = PARAMS.pretrained.model_copy(update={"architecture": architecture})
    assert_same(pretrained._network(params, form(32, "grayscale"), 2, "float32", None), 32, 1)


@pytest.mark.parametrize("flip", [False, True])
def test_the_mean_of_the_activations_is_the_logits(flip: bool) -> None:
    engine, pixels = Engine(onnx_graph(finished("fast", 16, "rgb", flip)), "the graph"), pictures(16, 3)
    activations = engine.ask(pixels, "activations")
    assert activations.shape == (3, 3, 4, 4)
    np.testing.assert_allclose(activations.mean(axis=(2, 3)), engine.ask(pixels), rtol=1e-4)


def test_the_features_are_the_input_of_the_last_layer() -> None:
    model = finished("classic", 18, "grayscale", flip=False)
    engine, pixels = Engine(onnx_graph(model), "the graph"), pictures(18, 1)
    kernel, bias = model.get_layer("output").get_weights()
    np.testing.assert_allclose(engine.ask(pixels, "features") @ kernel + bias, engine.ask(pixels), rtol=1e-4)


def test_a_mirrored_picture_has_mirrored_activations() -> None:
    engine, pixels = Engine(onnx_graph(finished("fast", 16, "rgb", flip=True)), "the graph"), pictures(16, 3)
    mirrored = engine.ask(np.ascontiguousarray(pixels[:, :, ::-1]), "activations")
    np.testing.assert_allclose(mirrored[..., ::-1], engine.ask(pixels, "activations"), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card]:
    """A small saved model with its card."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    save_model(finished("fast", 16, "rgb", flip=False), path)
    card = Card(
        digest=file_digest(path), class_names=["a", "b", "c"], form=form(16, "rgb"), network="fast", num_weights=1,
        training_data_digest="d" * 64, decoder="one", conditions=CONDITIONS,
    )  # fmt: skip
    write_card(path, card)
    return path, card


def test_an_export_is_repeated_to_the_byte_by_another_process(finished_workspace: Path) -> None:
    graph = onnx_graph(load_model(finished_workspace / "models/model.keras"))
    assert hashlib.sha256(graph).hexdigest() == file_digest(finished_workspace / "models/model.onnx")


def test_the_card_of_an_export_names_both_models_and_no_folder(saved: tuple[Path, Card], tmp_path: Path) -> None:
    path, card = saved
    export_model(path, card.model_copy(update={"temperature": 1.25}), tmp_path / "model.onnx")
    content = json.loads((tmp_path / "export.json").read_text())
    assert content["temperature"] == 1.25
    assert content["digest"] == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    assert content["model_digest"] == card.digest
    assert str(tmp_path) not in json.dumps(content)


def test_the_threshold_is_chosen_on_val_and_handed_on_to_another_form(
    saved: tuple[Path, Card], tmp_path: Path
) -> None:
    path = Path(shutil.copy(saved[0], tmp_path))
    exported = path.with_suffix(".onnx")
    export_model(path, saved[1], exported)
    pixels = pictures(16, 3, count=30)
    asked = RuntimeModel(exported).probabilities(pixels)
    val = pd.DataFrame({"path": "", "digest": range(30), "label": asked.argmax(axis=1), "split": "val"})

    class Prepared:
        def pixels(self, rows: np.ndarray) -> np.ndarray:
            return pixels[rows]

        def rows_of(self, paths: pd.Series) -> np.ndarray:
            return np.arange(len(paths))

    costs = JudgingParams(cost_of_error=1.0, cost_of_unsure=0.2)
    images: Any = Prepared()
    chosen = choose_unsure(exported, images, val, costs).unsure_below
    # Every answer is right, so none may be unsure; as far as that allows, theory says 0.8.
    assert chosen == pytest.approx(min(0.8, np.floor(asked.max(axis=1).min() * 100) / 100))
    write_export_card(exported, replace(read_export_card(exported), reference={"measured": "on data"}))
    export_to("onnx", path, saved[1], tmp_path / "other/model.onnx")
    kept = read_export_card(tmp_path / "other/model.onnx")
    assert (kept.unsure_below, kept.reference) == (chosen, {"measured": "on data"})


def test_a_failed_export_leaves_no_file(
    saved: tuple[Path, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.exporting.graph.onnx_graph", lambda model: b"no graph")
    with pytest.raises(ModelError, match="the engine cannot load it"):
        export_model(*saved, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "name"), [("onnx", "model.onnx"), ("litert", "model.tflite"), ("saved-model", "saved_model")]
)
def test_each_form_agrees_with_keras(saved: tuple[Path, Card], tmp_path: Path, to: str, name: str) -> None:
    parity = export_to(to, *saved, tmp_path / name, [pictures(16, 3, count=5), pictures(16, 3, count=2)])
    assert parity.num_pictures == parity.num_same_class == 64 + len(awkward_pictures()) + 7
    assert parity.largest_difference < 1e-5
    assert (tmp_path / name).exists()


def test_the_command_writes_a_form_with_its_card_and_one_row(
    saved: tuple[Path, Card], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved[0].parent)  # no checkout
    parser = argparse.ArgumentParser()
    export_command.add_command(parser.add_subparsers())
    arguments = parser.parse_args(["export", "--model", str(saved[0]), "--out", str(tmp_path)])
    assert arguments.run(arguments) == 0
    [row], [said] = (text.splitlines() for text in capsys.readouterr())
    count = 64 + len(awkward_pictures())
    assert row.startswith(
        f"onnx: {tmp_path}/model.onnx, 0.0 MB; {count} of {count} random and awkward pictures get the class that Keras"
    )
    assert said.endswith("not on test pictures: data/prepared is not there; make it with `dvc repro split`")
    arguments = parser.parse_args(["export", "--to", "onnx-int8", "--model", str(saved[0])])
    with pytest.raises(DatasetError, match="with the pictures of a checkout, but data/prepared is not there"):
        arguments.run(arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "export.json", "model.onnx"]
    assert RuntimeModel(tmp_path / "model.onnx").card.model_digest == saved[1].digest


def test_a_model_that_is_missing_or_damaged_is_not_exported(saved: tuple[Path, Card], tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    export_command.add_command(parser.add_subparsers())
    for name in ("model.keras", "card.json"):
        shutil.copy(saved[0].with_name(name), tmp_path)
    with (tmp_path / "model.keras").open("ab") as file:
        file.write(b"x")
    for model, message in [
        ("none/model.keras", r"card\.json: not found; name another with --model"),
        (str(tmp_path / "model.keras"), "the file was changed or the card is another model's"),
    ]:
        arguments = parser.parse_args(["export", "--model", model, "--out", str(tmp_path / "out")])
        with pytest.raises(ModelError, match=message):
            arguments.run(arguments)
    assert not (tmp_path / "out").exists()


def test_a_form_that_answers_differently_is_called_so(
    saved: tuple[Path, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(path: Path) -> Any:
        return lambda pixels: np.eye(3, dtype=np.float32)[np.arange(len(pixels)) % 3]

    monkeypatch.setitem(__import__("pawline.exporting.other_forms", fromlist=["ASKERS"]).ASKERS, "onnx", another)
    with pytest.raises(
        PawlineError, match=r"model\.onnx: a probability differs .* expected at most 0\.0001; do not"
    ):
        export_to("onnx", *saved, tmp_path / "model.onnx")


def test_predicted_rows_are_those_of_keras(saved: tuple[Path, Card], tmp_path: Path) -> None:
    from pawline.model.saved import predict_probabilities

    export_model(*saved, tmp_path / "model.onnx")
    pixels = pictures(16, 3, count=40)

    class Prepared:
        def pixels(self, rows: np.ndarray) -> np.ndarray:
            return pixels[rows]

    rows = np.arange(40)[::-1].copy()
    found = RuntimeModel(tmp_path / "model.onnx").predict_rows(Prepared(), rows)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, predict_probabilities(load_model(saved[0]), pixels[rows]), atol=1e-5)


class Photographs:
    """Prepared pictures of noise, and their split: 40 of train, 60 of val, 20 of test, with the given labels."""

    class_names = ["a", "b", "c"]

    def __init__(self, labels: Any) -> None:
        self._pixels = pictures(16, 3, count=120) // np.arange(1, 121, dtype=np.uint8)[:, None, None, None]
        names = [f"{number:03}" for number in range(120)]
        parts = ["train"] * 40 + ["val"] * 60 + ["test"] * 20
        self.split = pd.DataFrame(
            {"path": names, "digest": names, "group": names, "given_group": "", "label": labels, "split": parts}
        )

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        return self._pixels[rows]

    def rows_of(self, paths: pd.Series) -> np.ndarray:
        return np.array([int(path) for path in paths], np.int64)


def test_whole_numbers_of_8_bits_answer_nearly_the_same(saved: tuple[Path, Card], tmp_path: Path) -> None:
    export_model(*saved, tmp_path / "model.onnx")
    pixels = Photographs(0).pixels(np.arange(120))
    expected = RuntimeModel(tmp_path / "model.onnx").probabilities(pixels)
    images: Any = Photographs(expected.argmax(axis=1))
    found = export_int8(*saved, tmp_path / "int8/model.onnx", images, images.split)
    assert (found.num_val, found.num_test, found.agreement, found.is_shown) == (60, 20, 1.0, False)
    assert str(found).startswith(
        "100.00% of 60 val pictures get the class of the float form; accuracy +0.00 points, -3.16 at worst (95 %), "
        "so a loss of more than 0.1 is not excluded by 60 pictures; on 20 test pictures 100.0% (83.9% to 100.0%)"
    )
    rounded = RuntimeModel(tmp_path / "int8/model.onnx")
    assert rounded.card.model_digest == saved[1].digest
    difference = np.abs(rounded.probabilities(pixels) - expected)
    assert 0 < difference.max() < 0.1
    assert {*rounded.engine.outputs} == {"logits", "features", "activations"}


def test_a_rounding_that_changes_answers_is_refused(
    saved: tuple[Path, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: Any = Photographs(1)
    export_model(*saved, tmp_path / "model.onnx")
    likeliest = (
        RuntimeModel(tmp_path / "model.onnx").probabilities(images.pixels(np.arange(40, 100))).argmax(axis=1)
    )
    never: Any = finished("fast", 16, "rgb", False)  # answers what the model answers least, whatever the picture
    kernel, bias = never.get_layer("output").get_weights()
    least = np.eye(3)[np.bincount(likeliest, minlength=3).argmin()]
    never.get_layer("output").set_weights([kernel * 0, bias * 0 + least])
    monkeypatch.setattr("pawline.exporting.int8.int8_graph", lambda content, pixels: onnx_graph(never))
    with pytest.raises(
        PawlineError, match=r"int8/model.onnx: [0-9.]+% of 60 val pictures get the class of the float"
    ):
        export_int8(*saved, tmp_path / "int8/model.onnx", images, images.split)
    assert (tmp_path / "int8/model.onnx").exists()


@pytest.mark.parametrize(
    ("fixed", "broken", "count", "low"),
    [
        (0, 0, 2698, -1.959964 / 2700),  # gain 0, variance 1/2700 of half a picture each way
        (9, 9, 98, -1.959964 * np.sqrt(0.19 / 100)),
        (0, 20, 98, -0.2 - 1.959964 * np.sqrt(0.21 - 0.04) / 10),
    ],
)
def test_the_lowest_gain_is_that_of_agresti_and_min(fixed: int, broken: int, count: int, low: float) -> None:
    assert lowest_gain(fixed, broken, count) == pytest.approx(low)
