"""`pawline predict` and the model in MLflow give the same predictions as evaluate."""

import json
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from tests.conftest import run


def predict(workspace: Path, *arguments: str, expect: int = 0) -> list[dict[str, object]]:
    rows = json.loads(run(workspace, "pawline", "predict", "--json", *arguments, expect=expect).stdout)
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
