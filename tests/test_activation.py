"""The map of a mistake shows where the picture speaks for the wrong class."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pawline.exporting.graph import onnx_graph
from pawline.judging.mistake_maps import mistake_maps
from pawline.model.backend import keras
from pawline.params.prepare import ImageForm
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.runtime.export_card import ExportCard, write_export_card
from pawline.runtime.maps import ACTIVATION, OCCLUSION
from pawline.runtime.model import RuntimeModel

SIDE = 16


@pytest.fixture
def images(tmp_path: Path) -> PreparedImages:
    """Two black pictures with a white corner: top left, and bottom right."""
    pixels = np.zeros((2, SIDE, SIDE, 1), np.uint8)
    pixels[0, :4, :4] = pixels[1, -4:, -4:] = 255
    table = pd.DataFrame({"path": ["0", "1"], "class_name": "cat", "label": 0, "digest": ["a", "b"]})
    write_shard(tmp_path, 0, Concatenation([pixels]), np.arange(2))
    form = ImageForm(image_size=SIDE, color="grayscale", aspect="stretch", background=255)
    write_description(tmp_path, table, np.zeros((2, 4), np.uint64), ["cat", "dog"], "none", form)
    return PreparedImages(tmp_path)


def exported(model: keras.Model, folder: Path) -> RuntimeModel:
    content, file = onnx_graph(model), folder / "model.onnx"
    file.write_bytes(content)
    form = {"image_size": SIDE, "color": "grayscale", "aspect": "stretch", "background": 255}
    digest = hashlib.sha256(content).hexdigest()
    write_export_card(file, ExportCard(digest, "m" * 64, ["cat", "dog"], form, "none", ["logits"]))
    return RuntimeModel(file)


PREDICTIONS = pd.DataFrame(
    {
        "path": ["0", "1"],
        "actual": "cat",
        "predicted": "dog",
        "probability_cat": [0.1, 0.2],
        "probability_dog": [0.9, 0.8],
    }
)


def pooled_model() -> keras.Model:
    """White is a dog: one map of the mean grey level of 4 x 4 pixels, averaged, with the weights -1 and 1."""
    pixels = keras.Input((SIDE, SIDE, 1))
    maps = keras.layers.Conv2D(1, 4, strides=4, kernel_initializer=keras.initializers.Constant(1 / 16))(
        keras.layers.Rescaling(1 / 255)(pixels)
    )
    dense = keras.layers.Dense(2, name="output")
    model = keras.Model(pixels, dense(keras.layers.GlobalAveragePooling2D()(maps)))
    dense.set_weights([np.array([[-1.0, 1.0]], np.float32), np.zeros(2, np.float32)])
    return model


def flipped_too(model: keras.Model) -> keras.Model:
    pixels = keras.Input((SIDE, SIDE, 1))
    mean = keras.layers.Average()([model(pixels), model(keras.ops.flip(pixels, axis=2))])
    return keras.Model(pixels, mean)


@pytest.mark.parametrize("flip", [False, True])
def test_a_network_that_pools_globally_gets_its_class_activation_map(
    images: PreparedImages, tmp_path: Path, flip: bool
) -> None:
    model = flipped_too(pooled_model()) if flip else pooled_model()
    found = mistake_maps(exported(model, tmp_path), images, PREDICTIONS)
    assert found["method"].tolist() == [ACTIVATION] * 2 and found["side"].tolist() == [4, 4]
    first, second = (np.frombuffer(one, np.uint8).reshape(4, 4) for one in found["map"])
    expected = np.zeros((4, 4), np.uint8)
    expected[0, 0] = 255  # the only white block; the others speak for no class
    assert np.array_equal(first, expected) and np.array_equal(second, expected[::-1, ::-1])


def test_another_network_is_asked_with_places_covered(images: PreparedImages, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((SIDE, SIDE, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    )
    dense = keras.layers.Dense(2, name="output")
    model.add(dense)
    kernel = np.full((SIDE * SIDE, 2), [-0.05, 0.05], np.float32)
    dense.set_weights([kernel, np.zeros(2, np.float32)])
    found = mistake_maps(exported(model, tmp_path), images, PREDICTIONS)
    assert found["method"].tolist() == [OCCLUSION] * 2
    first = np.frombuffer(found["map"][0], np.uint8).reshape(8, 8)
    assert first[0, 0] == 255 or first[1, 1] == 255  # grey over white takes away what speaks for a dog
    assert not first[4:, 4:].any()  # grey over black adds to it


def test_without_a_mistake_there_is_no_map(images: PreparedImages, tmp_path: Path) -> None:
    assert len(mistake_maps(exported(pooled_model(), tmp_path), images, PREDICTIONS.assign(predicted="cat"))) == 0
