"""The exported model is checked before it is parsed, and asked side by side; TensorFlow is never loaded."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pawline.errors import ModelError
from pawline.runtime.engine import Engine
from pawline.runtime.export_card import ExportCard, read_export_card, write_export_card
from pawline.runtime.model import RuntimeModel
from pawline.side_by_side import side_by_side
from pawline.softmax import softmax
from tests.conftest import run

SIDE = 8


def brightness_graph(side: int = SIDE) -> bytes:
    """A network whose logits are the mean brightness, 0 to 1, and its opposite: made by hand, without Keras."""
    shape = [side, side, 1]
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["features"]),
        helper.make_node("MatMul", ["features", "kernel"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1]), "axis"),
        numpy_helper.from_array(np.array([[1, -1]], np.float32) / np.float32(255), "kernel"),
    ]
    outputs = {"logits": ["n", 2], "features": ["n", 1]}
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString(deterministic=True))


def write_brightness(folder: Path, **card: Any) -> Path:
    """The network in a folder, with its card."""
    content, file = brightness_graph(), folder / "model.onnx"
    file.write_bytes(content)
    about = {
        "digest": hashlib.sha256(content).hexdigest(),
        "model_digest": "m" * 64,
        "class_names": ["bright", "dark"],
        "form": {"image_size": SIDE, "color": "grayscale", "aspect": "stretch", "background": 255},
        "decoder": "one",
        "outputs": ["logits", "features"],
    }
    write_export_card(file, ExportCard(**about | card))
    return file


def grey(*levels: int) -> np.ndarray:
    return np.stack([np.full((SIDE, SIDE, 1), level, np.uint8) for level in levels])


def test_logits_and_features_of_the_network(tmp_path: Path) -> None:
    model = RuntimeModel(write_brightness(tmp_path))
    assert model.engine.ask(grey(0, 255, 51)).tolist() == pytest.approx(np.array([[0, 0], [1, -1], [0.2, -0.2]]))
    assert model.engine.ask(grey(0, 51), "features").tolist() == [[0], [51]]
    assert model.engine.ask(grey(0)[:0]).shape == (0, 2)


def test_the_temperature_divides_the_logits(tmp_path: Path) -> None:
    model = RuntimeModel(write_brightness(tmp_path, temperature=0.5))
    assert model.probabilities(grey(255))[0, 0] == pytest.approx(1 / (1 + np.exp(-2 / 0.5)))


def test_softmax_stands_large_logits() -> None:
    assert softmax(np.array([[1000, 0], [-1000, -1000]], np.float32)).tolist() == [[1, 0], [0.5, 0.5]]


def test_a_model_that_pawline_did_not_export_is_refused_in_one_line(tmp_path: Path) -> None:
    foreign = onnx.load_from_string(brightness_graph())
    for renamed in (foreign.graph.output[0], foreign.graph.node[3]):
        if isinstance(renamed, onnx.NodeProto):
            renamed.output[0] = "scores"
        else:
            renamed.name = "scores"
    file = write_brightness(tmp_path)
    file.write_bytes(foreign.SerializeToString())
    card = read_export_card(file)
    write_export_card(file, replace(card, digest=hashlib.sha256(file.read_bytes()).hexdigest()))
    with pytest.raises(ModelError, match="takes pixels and gives scores, features, expected pixels and logits"):
        RuntimeModel(file)


def test_a_changed_file_never_reaches_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_brightness(tmp_path)
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr("pawline.runtime.model.Engine", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(ModelError, match=r"model\.onnx: its SHA-256 is .*, but export\.json says"):
        RuntimeModel(file)


def test_a_keras_file_is_answered_by_its_own_export_only(tmp_path: Path) -> None:
    keras = tmp_path / "model.keras"
    keras.write_bytes(b"a Keras model")
    write_brightness(tmp_path, model_digest=hashlib.sha256(b"a Keras model").hexdigest())
    assert RuntimeModel(keras).card.class_names == ["bright", "dark"]
    keras.write_bytes(b"trained again")
    with pytest.raises(ModelError, match=r"model\.onnx: was exported from the model .*: export it again"):
        RuntimeModel(keras)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ["a", "b", "c"]}, r"gives logits \(2,\), but export\.json says .* and \(3,\)"),
        ({"form": {"image_size": 9, "color": "grayscale"}}, r"takes pixels \(8, 8, 1\) .* says \(9, 9, 1\)"),
    ],
)
def test_a_card_of_another_network_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        RuntimeModel(write_brightness(tmp_path, **change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"export\.json: not found"),
        (b"{", "not the card of an exported model: Expecting property name"),
        (b"\xff", "not the card of an exported model"),
        (b"[]", "not the card of an exported model"),
        (b'{"digest": "a"}', "not the card of an exported model: it missing 5 required"),
        ({"surprise": 1}, "unexpected keyword argument 'surprise'"),
        ({"class_names": []}, "class_names holds no names"),
        ({"class_names": "ab"}, "class_names is 'ab'"),
        ({"temperature": 0}, "temperature is 0"),
        ({"unsure_below": "0.5"}, "unsure_below is '0.5'"),
        ({"form": {"image_size": "8", "color": "rgb"}}, "form is "),
    ],
)
def test_a_damaged_card_is_named_in_one_line(tmp_path: Path, content: Any, message: str) -> None:
    file = write_brightness(tmp_path)
    path = tmp_path / "export.json"
    if content is None:
        path.unlink()
    else:
        changed = (
            content if isinstance(content, bytes) else json.dumps(json.loads(path.read_text()) | content).encode()
        )
        path.write_bytes(changed)
    with pytest.raises(ModelError, match=message) as raised:
        read_export_card(file)
    assert "\n" not in str(raised.value)


def test_what_is_no_graph_gives_one_line() -> None:
    with pytest.raises(ModelError, match=r"^x\.onnx: the engine cannot load it: ") as raised:
        Engine(b"no graph", "x.onnx")
    assert "\n" not in str(raised.value)


def test_several_threads_ask_one_engine(tmp_path: Path) -> None:
    model, wrong = RuntimeModel(write_brightness(tmp_path)), []

    def ask(level: int) -> None:
        for _ in range(50):
            if abs(model.engine.ask(grey(level))[0, 0] - level / 255) > 1e-6:
                wrong.append(level)

    threads = [threading.Thread(target=ask, args=(level,)) for level in range(0, 256, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("count", [0, 1, 4, 5, 103])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    seen: list[int] = []

    def work(batch: list[int]) -> list[int]:
        seen.append(len(batch))
        return [2 * item for item in batch]

    assert list(side_by_side(work, range(count), 4)) == [2 * item for item in range(count)]
    assert sum(seen) == count
    assert set(seen) <= {4, count % 4}


def test_few_items_are_taken_ahead_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pawline.side_by_side.num_threads", lambda: 2)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = side_by_side(lambda batch: batch, items(), 4)
    for number in range(100):
        assert next(results) == number
        assert len(taken) <= number + 1 + 5 * 4
    results.close()  # type: ignore[attr-defined]


def test_a_single_worker_is_this_thread_and_takes_nothing_ahead() -> None:
    """The files of a tar are read in its stream's order, each before the stream moves on."""
    events: list[str] = []

    def items() -> Iterator[int]:
        for number in range(3):
            events.append(f"taken {number}")
            yield number

    def work(batch: list[int]) -> list[int]:
        events.append(f"done {batch[0]} {get_ident() == here}")
        return batch

    here = get_ident()
    assert list(side_by_side(work, items(), 1, num_workers=1)) == [0, 1, 2]
    assert events == [f"{event} {n}{' True' * (event == 'done')}" for n in range(3) for event in ("taken", "done")]


def test_an_error_of_the_work_reaches_the_reader() -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda batch: [1 // item for item in batch], [1, 1, 0, 1], 1))


def test_a_prediction_loads_none_of_the_heavy_packages(tmp_path: Path) -> None:
    """The command, from its first import to its answer."""
    from tests.conftest import encode

    (tmp_path / "grey.png").write_bytes(encode(np.full((9, 9), 200, np.uint8), ".png"))
    write_brightness(tmp_path)
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sorted(sys.modules))); "
        "sys.argv = ['pawline', 'predict', 'grey.png', '--model', 'model.onnx']; "
        "from pawline.cli.__main__ import main; main()"
    )
    line, loaded = run(tmp_path, "python", "-c", code).stdout.splitlines()
    assert line == "grey.png: bright 82.8%"  # 1 / (1 + exp(-2 * 200 / 255))
    heavy = {
        "tensorflow",
        "keras",
        "mlflow",
        "pandas",
        "scipy",
        "sklearn",
        "pydantic",
        "ruamel.yaml",
        "onnx",
        "tqdm",
    }
    assert heavy & set(loaded.split()) == set()
    assert "onnxruntime" in loaded.split()
