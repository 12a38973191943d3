"""The walk computes each layer as the textbook says and as Keras does, and its page holds pixels only."""

import argparse
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import pawline.cli.explain as explain_command
import pawline.walk.page
from pawline.card import read_card
from pawline.errors import ModelError, PawlineError
from pawline.walk.blob import Blob
from pawline.walk.content import walk_content
from pawline.walk.formulas import padding_of, run_node
from pawline.walk.kept import kept_epochs
from pawline.walk.learnt import NO_EPOCHS, learnt_content
from pawline.walk.network import Network, Node, group_nodes, load_network, save_network
from pawline.walk.page import SCRIPTS, SECTIONS, render_walk
from tests.planted import plant_gps
from tests.walked import CLASSES, drawn_cat, flipped_network, keep_two_epochs, save_untrained

RNG = np.random.default_rng(4)


def node(kind: str, settings: dict[str, Any] | None = None, **weights: np.ndarray) -> Node:
    arrays = {key: np.asarray(value, np.float32) for key, value in weights.items()}
    return Node("layer", kind, [-1], settings or {}, arrays)


def window(size: int, stride: int, padding: str) -> dict[str, Any]:
    return {"window": [size, size], "stride": [stride, stride], "padding": padding}


def textbook_windows(maps: np.ndarray, size: int, stride: int, padding: str) -> dict[tuple[int, int], list[Any]]:
    """List, for each output pixel, (row in window, column in window, row, column) of each input pixel below the window.

    TensorFlow's "same" makes ceil(side / stride) outputs; the odd row of zeros stands at the end."""
    found = {}
    sides = []
    for side in maps.shape[:2]:
        outputs = -(-side // stride) if padding == "same" else (side - size) // stride + 1
        zeros = max(0, (outputs - 1) * stride + size - side) if padding == "same" else 0
        sides.append((outputs, zeros // 2))
    for row in range(sides[0][0]):
        for column in range(sides[1][0]):
            below = []
            for i in range(size):
                for j in range(size):
                    y, x = row * stride - sides[0][1] + i, column * stride - sides[1][1] + j
                    if 0 <= y < maps.shape[0] and 0 <= x < maps.shape[1]:
                        below.append((i, j, y, x))
            found[row, column] = below
    return found


GEOMETRIES = [(3, 1, "same"), (5, 1, "same"), (4, 2, "same"), (3, 2, "valid"), (2, 2, "same"), (3, 3, "valid")]


@pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_convolution_is_the_sum_over_window_and_all_channels(
    channels: int, size: int, stride: int, padding: str
) -> None:
    maps = RNG.normal(size=(7, 8, channels)).astype(np.float32)
    kernel, bias = RNG.normal(size=(size, size, channels, 2)), RNG.normal(size=2)
    made = node("convolution", {**window(size, stride, padding), "activation": "relu"}, kernel=kernel, bias=bias)
    found = run_node(made, [maps[None]])[0]
    windows = textbook_windows(maps, size, stride, padding)
    assert found.size == 2 * len(windows)
    for (row, column), below in windows.items():
        for k in range(2):
            total = float(bias[k])
            for i, j, y, x in below:
                for c in range(channels):
                    total += float(maps[y, x, c]) * float(kernel[i, j, c, k])
            assert found[row, column, k] == pytest.approx(max(total, 0), abs=1e-5)


@pytest.mark.parametrize(("size", "stride", "padding"), GEOMETRIES)
def test_pooling_keeps_the_largest_value_or_the_mean_below_the_window(
    size: int, stride: int, padding: str
) -> None:
    maps = RNG.normal(size=(7, 8, 2)).astype(np.float32)
    largest = run_node(node("max_pooling", window(size, stride, padding)), [maps[None]])[0]
    mean = run_node(node("average_pooling", window(size, stride, padding)), [maps[None]])[0]
    for (row, column), below in textbook_windows(maps, size, stride, padding).items():
        for c in range(2):
            values = [float(maps[y, x, c]) for _, _, y, x in below]
            assert largest[row, column, c] == max(values)
            assert mean[row, column, c] == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_a_unit_weighs_every_value_and_softmax_adds_up_to_one() -> None:
    values, kernel, bias = RNG.normal(size=6), RNG.normal(size=(6, 3)), RNG.normal(size=3)
    found = run_node(node("dense", kernel=kernel, bias=bias), [values[None].astype(np.float32)])[0]
    for k in range(3):
        total = bias[k]
        for i in range(6):
            total += values[i] * kernel[i, k]
        assert found[k] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("side", [7, 8, 32])
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 3), (4, 4)])
def test_windows_skip_no_pixel(side: int, size: int, stride: int) -> None:
    before, after = padding_of(side, size, stride, "same")
    covered = set()
    for start in range(0, side + before + after - size + 1, stride):
        covered |= {start - before + place for place in range(size)}
    assert set(range(side)) <= covered


def test_a_layer_is_shown_with_the_activation_behind_it() -> None:
    nodes = [node("convolution"), Node("relu", "activation", [0]), Node("sum", "add", [0, 1])]
    assert [step["chain"] for step in group_nodes(nodes)] == [[0], [1], [2]], (
        "both values are used: neither is inner"
    )
    nodes = [node("convolution"), Node("relu", "activation", [0]), Node("pool", "max_pooling", [1])]
    assert [step["chain"] for step in group_nodes(nodes)] == [[0, 1], [2]]


def test_the_neutral_form_comes_back_as_it_was(tmp_path: Path) -> None:
    network = Network([node("dense", {"activation": "relu"}, kernel=np.eye(2), bias=np.ones(2))], {"logits": 0.0})
    save_network(tmp_path / "form", network)
    back = load_network(tmp_path / "form")
    assert back is not None and back.check == network.check
    assert [(n.name, n.kind, n.inputs, n.settings) for n in back.nodes] == [
        ("layer", "dense", [-1], {"activation": "relu"})
    ]
    np.testing.assert_array_equal(back.nodes[0].weights["kernel"], np.eye(2))
    (tmp_path / "form/network.json").write_text("{half")
    assert load_network(tmp_path / "form") is None


KINDS = """Conv2D DepthwiseConv2D MaxPooling2D BatchNormalization Normalization Rescaling ReLU ZeroPadding2D Reshape
Dense Add Multiply Average Concatenate Flip Activation GlobalAveragePooling2D"""


@pytest.mark.parametrize("kind", KINDS.split())
def test_each_kind_of_layer_is_read_and_computes_as_in_keras(kind: str, tmp_path: Path) -> None:
    from pawline.model.neutral import read_model
    from pawline.model.saved import save_model
    from tests.test_export import EXAMPLES

    for number, example in enumerate(EXAMPLES[kind]):
        file = tmp_path / f"{number}.keras"
        save_model(example(), file)
        try:
            check = read_model(file).check
        except ModelError as error:
            assert re.search("groups|multiplier|other limit", str(error)), "only these are refused"
            assert number > 0 or kind == "DepthwiseConv2D"
            continue
        assert max(one["difference"] / max(one["largest"], 1e-9) for one in check["layers"]) < 1e-4
        assert check["logits"] < 1e-4 * max(1, check["layers"][-1]["largest"])


@pytest.mark.parametrize(
    ("name", "color", "flip"),
    [("fast", "grayscale", True), ("classic", "rgb", False), ("pretrained", "rgb", False)],
)
def test_a_network_is_read_whole(name: str, color: str, flip: bool, tmp_path: Path) -> None:
    from pawline.model.neutral import read_model

    path = save_untrained(tmp_path, name, color, flip)
    network = read_model(path)
    assert network.check["logits"] < 1e-4 and network.check["probabilities"] < 1e-5
    content, arrays = walk_content(drawn_cat(), "cat.jpg", read_card(path), network, False)
    assert sum(content["probabilities"]) == pytest.approx(1)
    assert len(render_walk(content, arrays)) < 8e6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("untrained"))


def explain(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    explain_command.add_command(parser.add_subparsers())
    given = parser.parse_args(["explain", *arguments])
    code: int = given.run(given)
    return code


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(explain_command, "main_checkout", lambda: tmp_path / "checkout")
    return tmp_path / "checkout"


def test_the_page_holds_pixels_only(model: Path, state: Path, tmp_path: Path, capsys: Any) -> None:
    picture, page = tmp_path / "cat.jpg", tmp_path / "walk.html"
    picture.write_bytes(drawn_cat())
    plant_gps(picture)
    assert explain(str(picture), "--model", str(model), "--out", str(page)) == 0
    html = page.read_text()
    assert page.stat().st_size <= 8e6
    assert "PLANTED" not in html and "Exif" not in html and str(tmp_path) not in html
    pictures = re.findall(r"data:image/(?:jpeg|png);base64,([A-Za-z0-9+/=]+)", html)
    import base64

    assert len(pictures) >= 4
    assert all(
        b"PLANTED" not in base64.b64decode(one) and b"Exif" not in base64.b64decode(one) for one in pictures
    )
    assert not re.search(r"https?://|<link|<iframe|@import|url\(", html), "nothing is loaded from anywhere"
    assert CLASSES[2] not in html, "a class name stays text"
    said = capsys.readouterr()
    assert "walk.html: " in said.out and "MB, made in" in said.out
    assert [path.name for path in state.rglob("network.json")] == ["network.json"]


def test_the_second_page_needs_no_keras(model: Path, state: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "cat.jpg").write_bytes(drawn_cat())
    arguments = (str(tmp_path / "cat.jpg"), "--model", str(model), "--out", str(tmp_path / "walk.html"))
    explain(*arguments)
    monkeypatch.setattr("pawline.model.neutral.read_model", lambda file: pytest.fail("read again"))
    assert explain(*arguments) == 0
    assert NO_EPOCHS in (tmp_path / "walk.html").read_text(), "also for a model made before epochs could be kept"


def test_kept_epochs_are_read_once_and_damaged_ones_are_named(
    model: Path, state: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    own = Path(shutil.copytree(model.parent, tmp_path / "models")) / "model.keras"
    keep_two_epochs(own)
    (tmp_path / "cat.jpg").write_bytes(drawn_cat())
    arguments = (str(tmp_path / "cat.jpg"), "--model", str(own), "--out", str(tmp_path / "walk.html"))
    assert explain(*arguments) == 0
    first = (tmp_path / "walk.html").read_text()
    assert '"best_epoch":3,"num_epochs":4' in first and len(first) < 8e6
    monkeypatch.setattr("pawline.model.neutral.read_networks", lambda *given: pytest.fail("read again"))
    assert explain(*arguments) == 0
    assert (tmp_path / "walk.html").read_text() == first
    capsys.readouterr()
    own.with_name("epochs.npz").write_bytes(b"half")
    assert explain(*arguments) == 0
    said = capsys.readouterr().err
    assert re.search(
        r"no earlier epochs: .*epochs\.npz: damaged \(.*\); get it again together with the model, for", said
    )
    assert "epochs.npz beside the model cannot be used" in (tmp_path / "walk.html").read_text()


def test_an_epoch_has_the_answer_of_its_weights_and_little_room(
    model: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Epoch 2 adds 3 to the last logit. Where there is no room, the output layers go first, then the first layer."""
    from pawline.model.neutral import read_model

    own = Path(shutil.copytree(model.parent, tmp_path / "models")) / "model.keras"
    keep_two_epochs(own)
    card, network = read_card(own), read_model(own)
    found = kept_epochs(own, card, tmp_path / "walks")
    assert found is not None
    pixels = RNG.integers(0, 256, (card.form.image_size, card.form.image_size, 1)).astype(np.uint8)
    shown = learnt_content(found, network, pixels, 2.0, Blob(10**6))
    _, second, last = shown["epochs"]
    assert [one["epoch"] for one in shown["epochs"]] == [0, 2, 3] and second["val_accuracy"] == 0.75
    assert np.subtract(second["logits"], last["logits"]) == pytest.approx([0, 0, 3], abs=1e-5)
    exponents = np.exp(np.array(second["logits"]) / 2)
    assert second["probabilities"] == pytest.approx(exponents / exponents.sum())
    assert shown["first"] == [0, 1] and shown["heads"] == [len(network.nodes) - 1]
    # For each of three epochs: 104 weights of the convolution, 2 of the scaling and 256 samples of 8 bytes, together
    # 2,472 bytes; then 51 weights of the output layer and the 16 values that it gets, 268 bytes.
    for room, first, heads in ((8_220, True, True), (8_219, True, False), (7_415, False, False)):
        monkeypatch.setattr("pawline.walk.learnt.MAX_EPOCH_BYTES", room)
        shown = learnt_content(found, network, pixels, 2.0, Blob(10**6))
        assert (bool(shown["first"]), bool(shown["heads"])) == (first, heads)


def test_the_page_of_a_large_network_of_many_classes_has_a_bounded_size(monkeypatch: Any) -> None:
    """Its maps alone would take 16 MB: 200 layers of 20 maps of 32 x 32 pixels."""
    monkeypatch.setattr("pawline.walk.content.MAX_OCCLUSION_PRODUCTS", 1)
    kernel, zeros = np.ones((1, 1, 1, 20)), np.zeros(20)
    nodes = [node("convolution", window(1, 1, "valid"), kernel=kernel, bias=zeros)]
    for number in range(200):
        one = node("scale", scale=RNG.uniform(0.5, 1.5, 20), shift=zeros + number)
        nodes.append(replace(one, name=f"a layer with a long name, {number}", inputs=[number]))
    nodes.append(replace(node("global_average"), inputs=[200]))
    nodes.append(replace(node("dense", kernel=RNG.normal(size=(20, 1000)), bias=np.zeros(1000)), inputs=[201]))
    check = {"layers": [{"difference": 1.234567e-7, "largest": 1.234567}] * len(nodes), "logits": 0.0}
    names = [f"class {number}" for number in range(1000)]
    card = flipped_network()[1].model_copy(update={"class_names": names})
    page = render_walk(*walk_content(drawn_cat(), "cat.jpg", card, Network(nodes, check), False))
    assert 6e6 < len(page.encode()) <= 8e6


def test_each_section_of_the_page_has_the_script_of_its_name() -> None:
    room = Path(pawline.walk.page.__file__).parent
    sections = re.findall(r'<section id="([a-z-]+)"', (room / "walk.html").read_text())
    assert len(sections) == 10
    assert {f"{section.replace('-', '_')}.js" for section in sections} <= set(SECTIONS)
    assert sorted(SCRIPTS) == sorted(file.name for file in room.glob("*.js")), "each is in the page, once"


def test_equal_arrays_stand_once_in_a_page() -> None:
    blob = Blob(1000)
    places = [blob.add(np.arange(5)), blob.add(np.ones(3)), blob.add(np.arange(5))]
    assert places == [[0, 5], [20, 3], [0, 5]] and blob.size == 32
    assert (blob.cost(np.ones(3)), blob.cost(np.zeros(3))) == (0, 12)


def test_bad_input_is_one_line_and_writes_nothing(model: Path, state: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(drawn_cat())
    (tmp_path / "text.jpg").write_text("no picture")
    other = tmp_path / "other.keras"
    other.write_bytes(b"no model")
    out = tmp_path / "walk.html"
    cases = [
        ("none.jpg", model, out, "none.jpg: no such file; give one picture's file"),
        ("text.jpg", model, out, "text.jpg: .*; give a picture that can be decoded"),
        ("cat.jpg", tmp_path / "none.keras", out, "card.json: not found; name another with --model"),
        ("cat.jpg", tmp_path / "model.onnx", out, "is an exported model.*name the model.keras"),
        ("cat.jpg", model, tmp_path / "none/walk.html", "walk.html: its folder does not exist; name another"),
        ("cat.jpg", model, tmp_path / "cat.jpg", "cat.jpg: is an input of this command; name another with --out"),
    ]
    for picture, file, page, message in cases:
        with pytest.raises(PawlineError, match=message) as error:
            explain(str(tmp_path / picture), "--model", str(file), "--out", str(page))
        is_wrong_usage = picture == "none.jpg" or page != out or file.suffix == ".onnx"
        assert error.value.exit_code == (2 if is_wrong_usage else 3) and "\n" not in str(error.value)
    assert not out.exists() and not list(tmp_path.rglob("*.partial"))


def test_a_layer_that_the_walk_does_not_know_is_named(tmp_path: Path) -> None:
    from pawline.model.backend import keras
    from pawline.model.neutral import read_model
    from pawline.model.saved import save_model
    from tests.test_export import network_of

    save_model(network_of(keras.layers.Conv2D(2, 2, dilation_rate=2, name="holes")), tmp_path / "model.keras")
    with pytest.raises(ModelError, match="^layer 'holes' is a Conv2D with dilation or groups, which the walk"):
        read_model(tmp_path / "model.keras")


def test_a_map_is_beside_the_training_pictures_in_which_it_is_largest() -> None:
    """The map is the brightest pixel: the brightest pictures excite it, a black one never does."""
    import pandas as pd

    from pawline.walk.exciting import find_exciting, for_page

    identity = Node("same", "convolution", [-1], window(1, 1, "valid"), {"kernel": np.ones((1, 1, 1, 1), np.float32),
                                                                          "bias": np.zeros(1, np.float32)})  # fmt: skip
    brightness = np.array([30, 200, 0, 90, 250, 120])
    images = SimpleNamespace(
        pixels=lambda rows: (
            np.ones((len(rows), 4, 4, 1), np.uint8) * brightness[rows, None, None, None].astype(np.uint8)
        ),
        rows_of=lambda paths: np.array([int(path) for path in paths], np.int64),
    )
    train = pd.DataFrame({"path": list("012345"), "digest": list("fedcba")})
    found = find_exciting(Network([identity], {}), images, train)  # type: ignore[arg-type]
    assert found["layers"] == {"0": [["b", "e", "a", "c"]]} and found["num_pictures"] == 6
    page = for_page(found, images, train[train["path"] != "1"])  # type: ignore[arg-type]
    assert page["layers"] == {"0": [[1, 0, 2]]}, "a picture that is gone is left out"
    assert len(page["pictures"]) == 3 and page["pictures"][0].startswith("data:image/jpeg;base64,")


def test_the_content_divides_the_logits_by_the_temperature(model: Path, tmp_path: Path) -> None:
    from pawline.model.neutral import read_model

    card = read_card(model)
    hot = card.model_copy(update={"temperature": 2.0})
    content, _ = walk_content(drawn_cat(), "cat.jpg", hot, read_model(model), False)
    exponents = [np.exp(logit / 2.0) for logit in content["logits"]]
    assert content["probabilities"] == pytest.approx([one / sum(exponents) for one in exponents])
    assert json.dumps(content)
