"""EfficientNet-Lite computes what its original computes, in Keras, in the exported file and in the walk."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pawline.card import Card
from pawline.exporting.graph import onnx_graph
from pawline.model.backend import keras
from pawline.model.neutral import read_model
from pawline.model.saved import save_model
from pawline.params.network import NetworkParams
from pawline.params.prepare import ImageForm
from pawline.params.whole import load_params
from pawline.runtime.engine import Engine
from pawline.training.efficientnet_lite import SCALES, build_lite, set_lite_weights
from pawline.training.networks import build_network, finish_network
from pawline.training.pretrained_weights import PACKAGES, read_converted, with_weights
from pawline.walk.content import MAX_BYTES, walk_content
from pawline.walk.page import render_walk
from tests.cards import CONDITIONS
from tests.lite_picture import lite_picture
from tests.source import ROOT
from tests.walked import drawn_cat

REFERENCE = json.loads((ROOT / "tests/lite_features.json").read_text())
NETWORK = load_params(ROOT / "params.yaml").network


@cache
def built(architecture: str) -> keras.Model:
    return build_lite(architecture, 32, "float32")


def form(side: int, color: str) -> ImageForm:
    return ImageForm(image_size=side, color=color, aspect="stretch", background=255)  # type: ignore[arg-type]


def network(architecture: str, folder: Path) -> NetworkParams:
    pretrained = NETWORK.pretrained.model_copy(update={"architecture": architecture})
    return with_weights(NETWORK.model_copy(update={"name": "pretrained", "pretrained": pretrained}), folder)


@pytest.mark.parametrize("named", REFERENCE)
def test_the_features_are_those_of_the_original(named: str, tmp_path: Path) -> None:
    """The original is another implementation; benchmarks/lite_features.py says which, and wrote the file."""
    architecture, side = named.split()
    if architecture != "EfficientNetLite0" and not find_spec(PACKAGES[architecture].module):
        pytest.skip(f"{PACKAGES[architecture].name} is not installed")
    model = build_network(network(architecture, tmp_path), form(int(side), "rgb"), 2, "float32")
    body = keras.Model(model.input, model.get_layer("average").output)
    found = keras.ops.convert_to_numpy(body(lite_picture(int(side))[None]))[0]
    np.testing.assert_allclose(found, REFERENCE[named], atol=2e-4)
    assert max(REFERENCE[named]) > 1, "features that are all near zero would prove little"


@pytest.mark.parametrize(("architecture", "count"), [(0, 3_350_000), (1, 4_108_848), (2, 4_782_024)])
def test_the_number_of_weights_is_that_of_the_original(architecture: int, count: int) -> None:
    """4.65, 5.42 and 6.09 million of the publication, without 1.28 of ImageNet's last layer, its statistics folded."""
    assert built([*SCALES][architecture]).count_params() == count


def test_grayscale_is_repeated_and_the_model_is_exported_and_explained(tmp_path: Path) -> None:
    params = network("EfficientNetLite0", tmp_path)
    trained = build_network(params, form(32, "grayscale"), 3, "float32")
    model = finish_network(trained, params, form(32, "grayscale"), 3, flip=False)
    gray = lite_picture(32)[None, :, :, :1]
    logits = keras.ops.convert_to_numpy(model(gray))
    rgb = keras.Model(model.input, model.get_layer("as_rgb").output)
    np.testing.assert_array_equal(rgb(gray), np.repeat(gray, 3, axis=3))
    engine = Engine(onnx_graph(model), "the graph")
    assert list(engine.outputs) == ["logits", "features", "activations"]
    np.testing.assert_allclose(engine.ask(gray), logits, atol=1e-4)
    save_model(model, tmp_path / "model.keras")
    read = read_model(tmp_path / "model.keras")
    assert read.check["logits"] < 1e-4 and read.check["probabilities"] < 1e-5
    card = Card(
        digest="d" * 64, class_names=["a", "b", "c"], form=form(32, "grayscale"), network="pretrained", num_weights=1,
        training_data_digest="d" * 64, decoder="one", conditions=CONDITIONS,
    )  # fmt: skip
    page = render_walk(*walk_content(drawn_cat(), "cat.jpg", card, read, full=False))
    assert len(page) <= MAX_BYTES, (
        "the weights take more room than there is, and so many layers have long descriptions"
    )


def test_weights_of_another_architecture_do_not_fit(tmp_path: Path) -> None:
    file = network("EfficientNetLite0", tmp_path).pretrained.weights
    assert file
    with pytest.raises(ValueError, match="its layers are not those of the architecture"):
        set_lite_weights(built("EfficientNetLite1"), read_converted(Path(file)))
