"""`pawline predict` and the model in MLflow give the same predictions as evaluate."""

import argparse
import base64
import io
import json
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from pawline.cli.predict import _show_csv, _show_json, _show_json_lines, _show_lines, add_command
from pawline.errors import DatasetError, ParamsError
from pawline.predict import Prediction, Predictor, find_pictures
from tests.conftest import encode, pawline_here, run
from tests.sample_sources import PICTURE
from tests.test_runtime import write_brightness


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


def test_a_person_learns_that_the_champion_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script reads no such line, nor does who names a model."""
    for folder in ("models", ".pawline/champions/7-one"):
        (tmp_path / folder).mkdir(parents=True)
        write_brightness(tmp_path / folder)
    (tmp_path / "cat.jpg").write_bytes(PICTURE)
    (tmp_path / ".pawline/champion").symlink_to("champions/7-one")

    def said(*arguments: str) -> str:
        pawline_here(tmp_path, "predict", "cat.jpg", *arguments)
        return capsys.readouterr().err

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert said() == ""
    write_brightness(tmp_path / ".pawline/champions/7-one", digest="c" * 64)
    assert said() == (
        "pawline: models/model.onnx answers, the model of this checkout; `pawline serve` answers with the champion, "
        "version 7: --model .pawline/champion/model.onnx\n"
    )
    assert said("--model", "./models/model.onnx") == ""
    (tmp_path / ".pawline/champions/7-one/export.json").write_text("damaged")
    assert said() == ""
    write_brightness(tmp_path / ".pawline/champions/7-one", digest="c" * 64)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert said() == ""


def test_a_line_gives_path_class_and_probability(finished_workspace: Path) -> None:
    evaluated = pd.read_csv(finished_workspace / "reports/predictions.csv").iloc[0]
    probability = evaluated[f"probability_{evaluated['predicted']}"]
    line = run(finished_workspace, "pawline", "predict", picture := f"data/ingested/{evaluated['path']}").stdout
    assert line == f"{picture}: {evaluated['predicted']} {probability:.1%}\n"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nowhere.jpg", "no such file or folder"),
        ("nowhere*.jpg", "matches no file"),
        ("nowhere/", "no such file or folder"),
        ("a" * 300, "no such file or folder"),
    ],
)
def test_a_name_behind_which_there_is_nothing_is_wrong_usage(tmp_path: Path, name: str, found: str) -> None:
    with pytest.raises(ParamsError, match=f"{found}; give the pictures to predict$") as error:
        find_pictures(f"{tmp_path}/{name}")
    assert error.value.exit_code == 2


@pytest.mark.parametrize("pattern", ["empty", "emp*"])
def test_a_folder_without_a_file_is_bad_data(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no file to predict"):
        find_pictures(f"{tmp_path}/{pattern}")


@pytest.mark.parametrize(
    ("model", "is_checkout", "advice"),
    [
        ("models/model.onnx", False, "no dvc.yaml is here: name a model with --model, or `cd` into a checkout"),
        (
            "models/model.onnx",
            True,
            "make it with `dvc repro`, get it again with `dvc checkout`, or name another with --model",
        ),
        ("none.onnx", True, "name another with --model"),
    ],
)
def test_the_advice_for_a_missing_model_works_where_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, is_checkout: bool, advice: str
) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    if is_checkout:
        (tmp_path / "dvc.yaml").touch()
    pawline_here(tmp_path, "predict", "a.png", "--model", model, expect=3)
    expected = f"{model}: no such file, expected a model.onnx with its export.json beside it; {advice}\n"
    assert capsys.readouterr().err == f"pawline: {expected}"


def test_what_needs_a_checkout_says_so_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["suspects"], ["verify"], ["trace", "a.png"]):
        pawline_here(tmp_path, *command, expect=2)
        line = f"pawline: {command[0]}: no dvc.yaml is here; `cd` into a checkout\n"
        assert capsys.readouterr().err == line
    assert not list(tmp_path.iterdir())


def test_a_changed_model_file_is_refused_before_it_is_loaded(finished_workspace: Path, tmp_path: Path) -> None:
    for name in ("model.onnx", "export.json"):
        shutil.copy(finished_workspace / "models" / name, tmp_path)
    with (tmp_path / "model.onnx").open("r+b") as file:
        file.seek(100)
        file.write(b"\0")
    result = run(
        finished_workspace, "pawline", "predict", "pictures", "--model", str(tmp_path / "model.onnx"), expect=3
    )
    assert "the file was changed or the card is another model's" in result.stderr


def logged_model(workspace: Path) -> str:
    """The address of the model that the stage `export` logged."""
    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    [trained] = mlflow.search_runs(experiment_names=["pawline"], output_format="list")
    assert trained.info.status == "FINISHED"
    [model] = trained.outputs.model_outputs
    return f"models:/{model.model_id}"


def test_the_model_in_mlflow_takes_raw_bytes(
    finished_workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    folder = Path(mlflow.artifacts.download_artifacts(logged_model(finished_workspace), dst_path=str(tmp_path)))
    model = mlflow.pyfunc.load_model(str(folder))
    evaluated = pd.read_csv(finished_workspace / "reports/predictions.csv")
    paths = [str(finished_workspace / "data/ingested" / path) for path in evaluated["path"]]
    pictures = [Path(path).read_bytes() for path in paths]
    answers = model.predict(pd.DataFrame({"image": [*pictures, b"no picture"]}))
    assert list(answers["label"])[:-1] == list(evaluated["predicted"])
    assert answers["probability_vertical"].iloc[0] == pytest.approx(evaluated["probability_vertical"][0], abs=1e-6)
    assert answers["error"].iloc[-1].startswith("not_an_image")
    assert answers["error"].iloc[0] is None

    named = pd.DataFrame({"path": [*paths[:2], "/nowhere.jpg"]})
    refused = model.predict(named)
    assert refused["label"].tolist() == [None, None, None]
    assert set(refused["error"]) == {
        "unreadable: paths are read only where PAWLINE_MODEL_READS_PATHS=1 is set; give the bytes as image"
    }
    monkeypatch.setenv("PAWLINE_MODEL_READS_PATHS", "1")
    answered = model.predict(named)
    assert answered["label"].tolist() == [*evaluated["predicted"][:2], None]
    assert answered["error"].iloc[2] == "unreadable: No such file or directory"

    needed = (folder / "requirements.txt").read_text()
    assert "onnxruntime==" in needed
    assert "tensorflow" not in needed and "keras" not in needed
    assert not list(folder.rglob("*.pkl")), "models from code: nothing is pickled"
    example = json.loads((folder / "serving_input_example.json").read_text())
    [[picture]] = example["dataframe_split"]["data"]
    served = parse_request(example, model)
    assert served["image"].iloc[0] == base64.b64decode(picture)
    assert model.predict(served)["error"].tolist() == [None]


def parse_request(request: dict[str, object], model: mlflow.pyfunc.PyFuncModel) -> pd.DataFrame:
    """The table that `mlflow models serve` hands to the model for this JSON."""
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    table = infer_and_parse_data(request, model.metadata.get_input_schema())
    assert isinstance(table, pd.DataFrame)
    return table


def test_a_model_in_mlflow_can_be_named(finished_workspace: Path) -> None:
    uri, picture = logged_model(finished_workspace), "pictures/vertical/000.jpg"
    assert predict(finished_workspace, picture, "--model", uri) == predict(finished_workspace, picture)


@pytest.fixture
def predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    """A predictor that calls a picture bright or dark, in batches of 4."""
    monkeypatch.setattr("pawline.runtime.model.BATCH_SIZE", 4)
    return Predictor(write_brightness(tmp_path, unsure_below=0.6))


def one_grey(level: int) -> bytes:
    return encode(np.full((8, 8), level, np.uint8), ".png")


def test_any_number_of_pictures_is_predicted_in_order(predictor: Predictor) -> None:
    levels = [255 * (number % 3 == 0) for number in range(10)]
    pictures = [one_grey(level) for level in levels]
    pictures[5] = b"no picture"
    answers = list(predictor.predict(iter(pictures)))
    bright = [answer.probabilities and answer.probabilities["bright"] for answer in answers]
    assert bright == [pytest.approx(1 / (1 + np.exp(-2 * level / 255)), abs=1e-6) for level in levels[:5]] + [
        None,
        *(pytest.approx(1 / (1 + np.exp(-2 * level / 255)), abs=1e-6) for level in levels[6:]),
    ]
    assert list(predictor.predict([])) == []


def test_a_prediction_below_the_threshold_is_unsure(predictor: Predictor) -> None:
    # The probability of `bright` is 1 / (1 + exp(-2 * level / 255)): 0.577 and 0.622.
    answers = list(predictor.predict([one_grey(40), one_grey(64), b""]))
    assert [answer.unsure for answer in answers] == [True, False, None]


def test_files_are_read_one_by_one_and_a_huge_one_not_at_all(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.predict.MAX_BYTES", 1000)
    (tmp_path / "film.mov").write_bytes(bytes(1001))
    (tmp_path / "good.png").write_bytes(one_grey(255))
    rows = dict(predictor.predict_files([tmp_path / "film.mov", tmp_path / "good.png"]))
    assert rows[tmp_path / "film.mov"].error == "unreadable: larger than 0 MB"
    assert rows[tmp_path / "good.png"].label == "bright"


def test_a_pattern_may_match_folders_and_go_deep(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/c/2.png", "b/.hidden.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_pictures(f"{tmp_path}/*") == [tmp_path / "a/1.png", tmp_path / "b/c/2.png"]
    assert find_pictures(f"{tmp_path}/**/*.png") == [tmp_path / "a/1.png", tmp_path / "b/c/2.png"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_json_is_one_list_as_the_json_module_writes_it(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (Path(f"{n}\n\udce9.jpg"), Prediction("é", {"é": 0.75, "b": 0.25}, None, False, True, 1.5))
        for n in range(count)
    ]
    bad = [(Path("bad.jpg"), Prediction(None, None, "empty: the file has no bytes"))] * (count > 1)
    _show_json([*rows, *bad])
    expected = [
        {"path": str(path), "label": "é", "probabilities": {"é": 0.75, "b": 0.25}}
        | {"unsure": False, "unlike": True, "distance": 1.5}
        for path, _ in rows
    ]
    expected += [{"path": "bad.jpg", "label": None, "probabilities": None, "error": bad[0][1].error} for _ in bad]
    assert capsys.readouterr().out == json.dumps(expected, indent=2) + "\n"
    _show_json_lines([*rows, *bad])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected


THREE = [
    (Path("a,b.jpg"), Prediction("b", {"a": 0.2, "b": 0.5, "c": 0.3}, None, True, True, 1.5)),
    (Path("c.jpg"), Prediction(None, None, "empty: the file has no bytes")),
]


@pytest.mark.parametrize(
    ("top", "table"),
    [
        (
            None,
            "path,label,probability_a,probability_b,probability_c,unsure,unlike,distance,error\n"
            '"a,b.jpg",b,0.2,0.5,0.3,true,true,1.5,\n'
            "c.jpg,,,,,,,,empty: the file has no bytes\n",
        ),
        (
            2,
            "path,label,label_1,probability_1,label_2,probability_2,unsure,unlike,distance,error\n"
            '"a,b.jpg",b,b,0.5,c,0.3,true,true,1.5,\n'
            "c.jpg,,,,,,,,,empty: the file has no bytes\n",
        ),
    ],
)
def test_the_table_has_a_row_for_each_picture(
    top: int | None, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _show_csv(THREE, ["a", "b", "c"], top)
    assert capsys.readouterr().out == table


def test_the_likeliest_classes_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    _show_lines(THREE, 2)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (
        "a,b.jpg: b 50.0%, c 30.0% (unsure, unlike the training data)\n",
        "c.jpg: empty: the file has no bytes\n",
    )


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5"])
def test_a_wrong_number_of_classes_is_wrong_usage(tmp_path: Path, count: str) -> None:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["predict", "a.jpg", f"--top={count}"])


def test_a_reader_who_has_enough_ends_it_quietly(tmp_path: Path) -> None:
    write_brightness(tmp_path)
    (tmp_path / "many").mkdir()
    for number in range(300):
        (tmp_path / f"many/{number:03}.png").write_bytes(one_grey(number % 256))
    piped = "pawline predict many --model model.onnx --jsonl | head -n 1; echo ${PIPESTATUS[0]}"
    done = run(tmp_path, "bash", "-c", piped)
    assert done.stdout.splitlines()[-1] == "141"
    assert done.stderr == ""


def test_a_strict_terminal_and_strange_names_end_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", out)
    prediction = Prediction("Käse\x1b[31m", {"Käse\x1b[31m": 1.0})
    unreadable = Prediction(None, None, "empty: the file has no bytes")
    rows = [(Path("a\nb\udce9.jpg"), prediction), (Path("\x1b]0;x\x07.jpg"), unreadable)]
    _show_lines(rows)
    _show_csv(rows[:1], ["Käse"])
    out.flush()
    assert out.buffer.getvalue().decode().splitlines() == [  # type: ignore[attr-defined]
        "a\\nb\\udce9.jpg: K\\xe4se\\x1b[31m 100.0%",
        "\\x1b]0;x\\x07.jpg: empty: the file has no bytes",
        "path,label,probability_K\\xe4se,unsure,unlike,distance,error",
        '"a',
        'b\\udce9.jpg",K\\xe4se\x1b[31m,1.0,,,,',
    ]


def test_sidecars_in_a_folder_are_passed_over_and_a_named_one_is_not(tmp_path: Path) -> None:
    for name, content in {
        "1.jpg": PICTURE,
        "1.jpg.json": b"{}",
        "film.MOV": bytes(99),
        "really.txt": PICTURE,
    }.items():
        (tmp_path / name).write_bytes(content)
    passed_over: list[Path] = []
    assert [path.name for path in find_pictures(str(tmp_path), passed_over)] == ["1.jpg", "really.txt"]
    assert [path.name for path in passed_over] == ["1.jpg.json", "film.MOV"]
    assert find_pictures(str(tmp_path / "1.jpg.json"), passed_over) == [tmp_path / "1.jpg.json"]
