"""`pawline predict` and the model in MLflow give the same predictions as evaluate."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest

from pawline.cli.predict import _show_json, _show_lines
from pawline.params.prepare import ImageForm
from pawline.predict import Prediction, Predictor
from tests.conftest import encode, pawline_here, run


def predict(workspace: Path, *arguments: str, expect: int = 0) -> list[dict[str, object]]:
    rows = json.loads(pawline_here(workspace, "predict", "--json", *arguments, expect=expect))
    assert isinstance(rows, list)
    return rows


def test_every_test_picture_gets_the_same_class_as_in_evaluate(finished_workspace: Path) -> None:
    evaluated = pd.read_csv(finished_workspace / "reports/predictions.csv")
    rows = predict(finished_workspace, *(f"data/ingested/{path}" for path in evaluated["path"]))
    assert [row["label"] for row in rows] == list(evaluated["predicted"])
    assert [row["path"] for row in rows] == [f"data/ingested/{path}" for path in evaluated["path"]]
    for row, expected in zip(rows, evaluated["probability_vertical"], strict=True):
        assert row["probabilities"]["vertical"] == pytest.approx(expected, abs=1e-4)  # type: ignore[index]


def test_a_folder_is_searched_and_a_bad_picture_does_not_stop_the_others(
    finished_workspace: Path, tmp_path: Path
) -> None:
    good = pd.read_csv(finished_workspace / "reports/predictions.csv").iloc[0]
    (tmp_path / "inner").mkdir()
    shutil.copy(finished_workspace / "data/ingested" / good["path"], tmp_path / "inner/good.jpg")
    (tmp_path / "a-empty.jpg").touch()
    (tmp_path / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "lost.jpg").symlink_to("nowhere")
    rows = predict(finished_workspace, str(tmp_path), expect=3)
    assert [(Path(str(row["path"])).name, row["label"]) for row in rows] == [
        ("a-empty.jpg", None),
        ("good.jpg", good["predicted"]),
        ("lost.jpg", None),
    ]
    assert rows[0]["error"] == "empty: the file has no bytes"
    assert rows[2]["error"] == "unreadable: No such file or directory"


def test_a_pattern_names_pictures_and_a_dash_is_standard_input(finished_workspace: Path) -> None:
    with (finished_workspace / "pictures/vertical/000.jpg").open("rb") as picture:
        command = ("pawline", "predict", "pictures/*/00[01].jpg", "-", "--json")
        rows = json.loads(run(finished_workspace, *command, stdin=picture).stdout)
    named = [f"pictures/{name}/{number}.jpg" for name in ("horizontal", "vertical") for number in ("000", "001")]
    assert [row["path"] for row in rows] == [*named, "-"]
    assert rows[4] == rows[2] | {"path": "-"}


def test_a_line_gives_path_class_and_probability(finished_workspace: Path) -> None:
    evaluated = pd.read_csv(finished_workspace / "reports/predictions.csv").iloc[0]
    probability = evaluated[f"probability_{evaluated['predicted']}"]
    line = run(finished_workspace, "pawline", "predict", picture := f"data/ingested/{evaluated['path']}").stdout
    assert line == f"{picture}: {evaluated['predicted']} {probability:.1%}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere*.jpg"], "pawline: nowhere*.jpg: no such file or folder; give the pictures to predict\n"),
        (["nowhere.jpg"], "pawline: nowhere.jpg: no such file or folder; give the pictures to predict\n"),
        (["pictures", "--model", "none.keras"], "card.json: not found; name another with --model\n"),
    ],
)
def test_a_missing_file_gives_one_line_and_exit_code_3(
    finished_workspace: Path, arguments: list[str], message: str
) -> None:
    line = run(finished_workspace, "pawline", "predict", *arguments, expect=3).stderr
    assert message in line
    assert line.count("\n") == 1


def test_a_changed_model_file_is_refused_before_it_is_loaded(finished_workspace: Path, tmp_path: Path) -> None:
    for name in ("model.keras", "card.json"):
        shutil.copy(finished_workspace / "models" / name, tmp_path)
    with (tmp_path / "model.keras").open("r+b") as file:
        file.seek(100)
        file.write(b"\0")
    result = run(
        finished_workspace, "pawline", "predict", "pictures", "--model", str(tmp_path / "model.keras"), expect=3
    )
    assert "the file was changed or the card is another model's" in result.stderr


def test_the_model_in_mlflow_takes_raw_bytes(finished_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    mlflow.set_tracking_uri(f"sqlite:///{finished_workspace / 'mlflow.db'}")
    trained = mlflow.search_runs(experiment_names=["pawline"], output_format="list")[0]
    model = mlflow.pyfunc.load_model(trained.outputs.model_outputs[0].model_id.join(["models:/", ""]))
    evaluated = pd.read_csv(finished_workspace / "reports/predictions.csv")
    pictures = [(finished_workspace / "data/ingested" / path).read_bytes() for path in evaluated["path"]]
    answers = model.predict(pd.DataFrame({"image": [*pictures, b"no picture"]}))
    assert list(answers["label"])[:-1] == list(evaluated["predicted"])
    assert answers["error"].iloc[-1].startswith("not_an_image")


def test_a_model_in_mlflow_can_be_named(finished_workspace: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{finished_workspace / 'mlflow.db'}")
    trained = mlflow.search_runs(experiment_names=["pawline"], output_format="list")[0]
    uri = f"models:/{trained.outputs.model_outputs[0].model_id}"
    picture = "pictures/vertical/000.jpg"
    assert predict(finished_workspace, picture, "--model", uri) == predict(finished_workspace, picture)


class CountingModel:
    """Stands for a trained model: brighter than grey is `bright`."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def probabilities(self, model: object, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(len(pixels))
        bright = (pixels.mean(axis=(1, 2, 3)) > 127).astype(np.float32)
        return np.stack([bright, 1 - bright], axis=1)


@pytest.fixture
def counting() -> tuple[Predictor, CountingModel]:
    """A predictor of batches of 4, without TensorFlow."""
    model, predictor = CountingModel(), Predictor.__new__(Predictor)
    form = ImageForm(image_size=8, color="grayscale", aspect="stretch", background=255)
    predictor.card = SimpleNamespace(form=form, class_names=["bright", "dark"])  # type: ignore[assignment]
    predictor._batch_size, predictor._model, predictor._probabilities = 4, None, model.probabilities
    return predictor, model


def test_any_number_of_pictures_is_predicted_in_batches(counting: tuple[Predictor, CountingModel]) -> None:
    predictor, model = counting
    pictures = [encode(np.full((8, 8), 255 * (number % 3 == 0), np.uint8), ".png") for number in range(10)]
    pictures[5] = b"no picture"
    taken: list[int] = []

    def lazily() -> Iterator[bytes]:
        for number, picture in enumerate(pictures):
            assert number < 4 * (len(model.batches) + 1), "no picture is taken before its batch"
            taken.append(number)
            yield picture

    labels = [prediction.label for prediction in predictor.predict(lazily())]
    assert labels == ["bright", "dark", "dark", "bright", "dark", None, "bright", "dark", "dark", "bright"]
    assert model.batches == [4, 3, 2]
    assert predictor.predict([]) == []


def test_files_are_read_one_by_one_and_a_huge_one_not_at_all(
    counting: tuple[Predictor, CountingModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.predict.MAX_BYTES", 1000)
    (tmp_path / "film.mov").write_bytes(bytes(1001))
    (tmp_path / "good.png").write_bytes(encode(np.zeros((8, 8), np.uint8), ".png"))
    rows = dict(counting[0].predict_files([tmp_path / "film.mov", tmp_path / "good.png"]))
    assert rows[tmp_path / "film.mov"].error == "unreadable: larger than 0 MB"
    assert rows[tmp_path / "good.png"].label == "dark"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_json_is_one_list_as_the_json_module_writes_it(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(Path(f"{n}\n\udce9.jpg"), Prediction("é", {"é": 0.75, "b": 0.25})) for n in range(count)]
    bad = [(Path("bad.jpg"), Prediction(None, None, "empty: the file has no bytes"))] * (count > 1)
    assert _show_json([*rows, *bad]) == len(bad)
    expected = [{"path": str(path), "label": "é", "probabilities": {"é": 0.75, "b": 0.25}} for path, _ in rows]
    expected += [{"path": "bad.jpg", "label": None, "probabilities": None, "error": bad[0][1].error} for _ in bad]
    assert capsys.readouterr().out == json.dumps(expected, indent=2) + "\n"


def test_a_strict_terminal_and_strange_names_end_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", out)
    prediction = Prediction("Käse\x1b[31m", {"Käse\x1b[31m": 1.0})
    unreadable = Prediction(None, None, "empty: the file has no bytes")
    _show_lines([(Path("a\nb\udce9.jpg"), prediction), (Path("\x1b]0;x\x07.jpg"), unreadable)])
    out.flush()
    assert out.buffer.getvalue().decode().splitlines() == [  # type: ignore[attr-defined]
        "a\\nb\\udce9.jpg: K\\xe4se\\x1b[31m 100.0%",
        "\\x1b]0;x\\x07.jpg: empty: the file has no bytes",
    ]
