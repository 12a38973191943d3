"""Every way to ask a model gives the answers of Keras, on test pictures and on awkward ones; else the stage says no."""

import io
import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image, ImageOps

import pawline.parity as parity
from pawline.card import Card, write_card
from pawline.errors import BusyError, PawlineError
from pawline.evaluate import predictions_table
from pawline.files import write_json, write_table
from pawline.keras_answers import AWKWARD, BOUND, MAX_TEST_PICTURES, TEST, answers_of
from pawline.params.check import CheckParams
from pawline.params.prepare import ImageForm
from pawline.params.whole import Params
from pawline.parity import Asked, asked_pictures, compare, summarize
from pawline.pictures.awkward import awkward_pictures
from pawline.pictures.decode import decode_image
from pawline.predict import Prediction, Predictor
from pawline.workspace.layout import Layout
from pawline.workspace.own_service import own_service
from tasks import check
from tests.cards import CONDITIONS
from tests.conftest import encode
from tests.test_runtime import SIDE, write_brightness

FORM = ImageForm(image_size=SIDE, color="grayscale", aspect="stretch", background=255)


def brightness(pixels: np.ndarray) -> np.ndarray:
    """What the network of tests/test_runtime.py answers, computed by hand: float32 (n, 2)."""
    mean = pixels.reshape(len(pixels), -1).mean(axis=1) / 255
    bright = 1 / (1 + np.exp(-2 * mean))
    return np.stack([bright, 1 - bright], axis=1).astype(np.float32)


def test_an_awkward_picture_is_read_as_another_program_reads_it() -> None:
    pictures = awkward_pictures()
    assert len(pictures) == 15
    plain = decode_image(pictures["EXIF orientation 1"], 16, "rgb").astype(int)
    for number in range(1, 9):
        data = pictures[f"EXIF orientation {number}"]
        with Image.open(io.BytesIO(data)) as image:
            turned = np.asarray(ImageOps.exif_transpose(image).resize((16, 16), Image.Resampling.BOX)).astype(int)
        found = decode_image(data, 16, "rgb").astype(int)
        assert np.abs(found - turned).max() <= 12
        assert (np.abs(found - plain).max() > 50) == (number > 1)
    for name in ("GIF of two frames", "WebP", "AVIF", "CMYK JPEG"):
        assert np.abs(decode_image(pictures[name], 16, "rgb").astype(int) - plain).mean() < 6, name


class Pictures:
    """Prepared images of one grey each."""

    form, class_names = FORM, ["bright", "dark"]

    def __init__(self, levels: list[int]) -> None:
        self._levels = np.array(levels, np.uint8)

    def rows_of(self, paths: pd.Series) -> np.ndarray:
        return np.array([int(path) for path in paths], np.int64)

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._levels[rows][:, None, None, None], (len(rows), SIDE, SIDE, 1))


def answers(levels: list[int]) -> pd.DataFrame:
    """Keras's table, made by hand; picture 0 is of the train part."""
    images = Pictures(levels)
    split = pd.DataFrame(
        {
            "path": [str(number) for number in range(len(levels))],
            "digest": [f"{number:064}" for number in range(len(levels))],
            "label": 0,
            "split": ["train"] + ["test"] * (len(levels) - 1),
        }
    )
    return answers_of(brightness, lambda rows: brightness(images.pixels(rows)), images, split)  # type: ignore[arg-type]


def test_keras_is_asked_for_the_test_part_and_every_awkward_form() -> None:
    table = answers([9, 255, 51])
    test = table[table["part"] == TEST]
    assert list(test["picture"]) == ["1", "2"]
    assert test["probability_bright"].tolist() == pytest.approx([0.880797, 0.598688], abs=1e-6)
    assert list(table[table["part"] == AWKWARD]["picture"]) == list(awkward_pictures())
    assert table["skipped"].isna().all()


def test_of_a_large_test_part_those_with_the_smallest_digests_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TEST_PICTURES == 5_000
    monkeypatch.setattr("pawline.keras_answers.MAX_TEST_PICTURES", 2)
    table = answers([0, 1, 2, 3, 4])
    assert list(table[table["part"] == TEST]["picture"]) == ["1", "2"]
    with asked_pictures(table, Path("raw"), ["bright", "dark"]) as asked:
        written = summarize(asked, 4, [])
    assert (written["num_asked"], written["num_test_images"], written["num_awkward"]) == (2, 4, 15)


def test_a_form_that_this_machine_lacks_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fewer() -> dict[str, bytes | str]:
        return awkward_pictures() | {"HEIC": "no package", "WebP": b"a broken one"}

    monkeypatch.setattr("pawline.keras_answers.awkward_pictures", fewer)
    table = answers([0, 1])
    with asked_pictures(table, Path("raw"), ["bright", "dark"]) as asked:
        assert asked.skipped.pop("WebP").startswith("the decoder here refuses it: not_an_image: ")
        assert asked.skipped == {"HEIC": "no package"}
        assert len(asked.files) == len(asked.names) == len(asked.expected) == 14
        assert all(file.exists() for file in asked.files[1:])
    assert not any(file.exists() for file in asked.files)
    monkeypatch.setattr(parity, "awkward_pictures", lambda: awkward_pictures() | {"AVIF": b"others"})
    with asked_pictures(table, Path("raw"), ["bright", "dark"]) as asked:
        assert asked.skipped["AVIF"].startswith("Pillow or OpenCV writes other bytes here")


def given(first: float, label: str | None = None) -> Prediction:
    return Prediction(label or ("a" if first >= 0.5 else "b"), {"a": first, "b": 1 - first})


@pytest.mark.parametrize(
    ("expected", "answer", "agrees"),
    [
        (0.9, given(0.9), True),
        (0.9, given(0.9 + 0.9 * BOUND), True),
        (0.9, given(0.9 + 1.1 * BOUND), False),
        (0.9, given(0.9, label="b"), False),  # the right probabilities under a wrong name
        (0.50002, given(0.49998), True),  # too close to call
        (0.50002, given(0.49988), False),
        (0.9, given(float("nan")), False),
        (0.9, Prediction("a", {"a": 0.9, "c": 0.1}), False),
        (0.9, Prediction(None, None, "truncated: cut off"), False),
        (0.9, None, False),
    ],
)
def test_the_probabilities_are_within_the_bound_and_the_class_is_the_same(
    expected: float, answer: Prediction | None, agrees: bool
) -> None:
    asked = Asked(["one.jpg"], [], np.array([[expected, 1 - expected]]), ["a", "b"], 1, {})
    assert compare("a way", asked, [answer]).passed is agrees


def test_a_way_that_stops_early_or_goes_on_differs() -> None:
    asked = Asked(["1", "2"], [], np.array([[0.9, 0.1]] * 2), ["a", "b"], 1, {})
    assert compare("short", asked, [given(0.9)]).differing == ["2"]
    assert not compare("long", asked, [given(0.9)] * 3).passed


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """What the stages before `check` write for a network made by hand."""
    monkeypatch.chdir(tmp_path)
    at = Layout()
    levels = [20, 90, 160, 250]
    at.model.parent.mkdir()
    write_brightness(at.model.parent)
    card = Card(
        digest="m" * 64, class_names=["bright", "dark"], form=FORM, network="by hand", num_weights=2,
        training_data_digest="d" * 64, decoder="one", conditions=CONDITIONS,
    )  # fmt: skip
    write_card(at.model, card)
    at.raw.mkdir(parents=True)
    for number, level in enumerate(levels):
        (at.raw / str(number)).write_bytes(encode(np.full((9, 9), level, np.uint8), ".png"))
    write_table(at.keras_answers, answers(levels))
    test = Pictures(levels).pixels(np.arange(1, 4))
    found = pd.DataFrame({"path": ["1", "2", "3"], "digest": "0", "group": "0"})
    table = type("Answers", (), {"pictures": found, "labels": np.zeros(3, int), "probabilities": brightness(test)})
    write_table(at.predictions, predictions_table(table, card.class_names))  # type: ignore[arg-type]
    write_json(at.metrics_of("evaluate"), {"accuracy": 0.9, "per_class": {}})
    return at


def params(**demands: float) -> Params:
    """The params that the stage reads, and no other."""
    return Params.model_construct(check=CheckParams(**demands))


def test_predict_service_and_logged_model_are_asked_and_a_model_that_differs_fails(
    evaluated: Layout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = evaluated
    check.main(params(), at)
    written = json.loads(at.metrics_of("check").read_text())
    ways = ["evaluate", "pawline predict", "pawline serve", "the model in MLflow"]
    assert written == {
        "passed": True,
        "conditions": [],
        "parity": {
            "bound": BOUND, "num_test_images": 3, "num_asked": 3, "num_awkward": 15, "skipped": {},
            "ways": dict.fromkeys(ways, True),
        },
    }  # fmt: skip
    other = pd.read_parquet(at.keras_answers)
    other.loc[[1, 4], "probability_bright"] += 0.001
    write_table(at.keras_answers, other)
    capsys.readouterr()
    ask_in_this_process(at, monkeypatch)
    with pytest.raises(PawlineError) as failed:
        check.main(params(accuracy=0.95), at)
    assert failed.value.exit_code == 1
    assert str(failed.value) == (
        "check: 1 of 1 conditions not met: accuracy; 4 of 4 ways to ask answer otherwise than Keras: "
        "evaluate, pawline predict, pawline serve, the model in MLflow; metrics and report stand. Improve the model, "
        "or change the section check of params.yaml. Do not use this model: make it again with the packages of "
        "requirements.lock"
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if "check:" in line]
    counts = ["1 of 3 pictures otherwise than Keras, such as 2;"] + [
        "2 of 18 pictures otherwise than Keras, such as 2, EXIF orientation 2;"
    ] * 3
    assert lines[0] == "pawline: check: accuracy is 0.9, expected at least 0.95"
    assert lines[1:] == [
        f"pawline: check: {way} answers {count} expected each probability within 0.0001"
        for way, count in zip(ways, counts, strict=True)
    ]
    written = json.loads(at.metrics_of("check").read_text())
    assert (written["passed"], written["parity"]["ways"]) == (False, dict.fromkeys(ways, False))


def ask_in_this_process(at: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither start a service nor let MLflow load the model, which takes seconds."""
    predicted = Predictor(at.exported).predict_files
    monkeypatch.setattr(check, "own_service", nullcontext)
    monkeypatch.setattr(check, "answers_over_http", lambda _, asked: (p for _, p in predicted(asked.files)))
    monkeypatch.setattr(check, "answers_of_logged", lambda *given: (p for _, p in predicted(given[2])))


def test_the_service_of_the_check_ends_with_it_and_says_why_it_does_not_start(tmp_path: Path) -> None:
    refused = pytest.raises(BusyError, match=r"^the service did not start: pawline: .*export.json: not found")
    with refused, own_service(tmp_path / "model.onnx"):
        pass
    ours = psutil.Process()
    before = ours.children()  # servers of other files in this worker
    with own_service(write_brightness(tmp_path)) as address:
        [child] = {*ours.children()} - {*before}
        assert address.startswith("http://127.0.0.1:")
        os.kill(child.pid, signal.SIGKILL)
        asked = Asked(["one"], [tmp_path / "model.onnx"], np.zeros((1, 2)), ["bright", "dark"], 0, {})
        with pytest.raises(BusyError, match="the service does not answer"):
            list(parity.answers_over_http(address, asked))
    assert ours.children() == before
