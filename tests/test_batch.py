"""All pictures of a source are answered in one Parquet file, new ones once; an interrupted run loses nothing."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from flows import drift as drift_flow
from flows import predict as predict_flow
from pawline import batch
from pawline.batch import BatchResult, predict_source
from pawline.errors import BusyError, DatasetError, ParamsError
from pawline.predict import Predictor
from tests.test_predict import one_grey
from tests.test_reference import describe, picture
from tests.test_runtime import write_brightness


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A model, and a folder of ten grey pictures, a sidecar and a file that is cut off."""
    write_brightness(tmp_path, unsure_below=0.6)
    for number in range(10):
        file = tmp_path / f"new/{'ab'[number % 2]}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one_grey(25 * number))
    (tmp_path / "new/a/0.png.json").write_bytes(b"{}")
    (tmp_path / "new/b/cut.png").write_bytes(one_grey(3)[:40])
    return tmp_path


def answer(place: Path, source: str = "new", out: str = "answers.parquet") -> BatchResult:
    predictor = Predictor(place / "model.onnx")
    return predict_source(predictor, str(place / source), place / out, place / "downloads")


def rows(place: Path, out: str = "answers.parquet") -> pd.DataFrame:
    return pd.read_parquet(place / out).set_index("path")


def test_each_picture_of_a_folder_has_a_row_with_the_answer_of_predict(place: Path) -> None:
    assert str(answer(place)) == (
        "11 pictures, 11 asked about, 1 that cannot be read; 1 files passed over that are no pictures"
    )
    table = rows(place)
    assert list(table.index) == [
        *(f"a/{n}.png" for n in (0, 2, 4, 6, 8)),
        *(f"b/{n}.png" for n in (1, 3, 5, 7, 9)),
        "b/cut.png",
    ]
    assert list(table) == [
        *("digest", "label", "probability_bright", "probability_dark", "unsure", "unlike", "distance"),
        *("model", "error"),
    ]
    assert table.loc["a/8.png", "probability_bright"] == pytest.approx(1 / (1 + np.exp(-2 * 200 / 255)), abs=1e-6)
    assert table.loc["a/8.png", ["label", "unsure", "model", "error"]].tolist() == ["bright", False, "m" * 64, ""]
    assert table.loc["b/cut.png", "error"].startswith("not_an_image: ")
    assert pd.isna(table.loc["b/cut.png", "label"])
    assert not (place / "answers.parquet.kept").exists()


def test_only_new_pictures_are_asked_about_whatever_their_name(place: Path) -> None:
    answer(place)
    (place / "new/b/cut.png").unlink()
    (place / "new/a/8.png").rename(place / "new/a/renamed.png")
    (place / "new/a/copy.png").write_bytes((place / "new/a/0.png").read_bytes())
    (place / "new/a/more.png").write_bytes(one_grey(99))
    (place / "new/b/1.png").unlink()
    assert str(answer(place)).startswith("11 pictures, 1 asked about, 0 that cannot be read")
    table = rows(place)
    assert "b/1.png" not in table.index and "a/8.png" not in table.index
    assert table.loc["a/renamed.png", "label"] == "bright"
    assert table.loc["a/copy.png"].equals(table.loc["a/0.png"])


def test_a_second_run_writes_the_same_bytes(place: Path) -> None:
    (place / "new/b/cut.png").unlink()
    answer(place)
    before = (place / "answers.parquet").read_bytes()
    assert answer(place).num_asked == 0
    assert (place / "answers.parquet").read_bytes() == before


def test_an_archive_gives_the_rows_of_its_folder(place: Path) -> None:
    with zipfile.ZipFile(place / "new.zip", "w") as archive:
        for file in sorted((place / "new").rglob("*.*")):
            archive.write(file, file.relative_to(place / "new"))
    answer(place)
    assert answer(place, "new.zip", "of_archive.parquet").num_asked == 11
    assert rows(place, "of_archive.parquet").equals(rows(place))


def test_an_interrupted_run_goes_on_where_it_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pawline.runtime.model.BATCH_SIZE", 2)
    monkeypatch.setattr(batch, "AT_A_TIME", 2)
    (place / "new/b/cut.png").unlink()
    whole = batch.ask

    def interrupted(*arguments: object) -> object:
        for number, one in enumerate(whole(*arguments)):  # type: ignore[arg-type]
            if number == 5:
                raise KeyboardInterrupt
            yield one

    with monkeypatch.context() as patch:
        patch.setattr(batch, "ask", interrupted)
        with pytest.raises(KeyboardInterrupt):
            answer(place)
    assert not (place / "answers.parquet").exists()
    assert answer(place).num_asked == 5
    whole_table = rows(place)
    (place / "answers.parquet").unlink()
    assert answer(place).num_asked == 10
    assert rows(place).equals(whole_table)


def test_another_model_asks_about_all_and_says_so_also_after_an_interruption(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(place)
    write_brightness(place, unsure_below=0.9, model_digest="n" * 64)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "whole_file", failing_at(place / "answers.parquet"))
        with pytest.raises(OSError, match="disk full"):
            answer(place)
    assert set(rows(place)["model"]) == {"m" * 64}, "the old answers stand until the new ones are whole"
    assert answer(place).num_asked == 1, "the cut-off one is tried again"
    assert set(rows(place)["model"]) == {"n" * 64}
    write_brightness(place, unsure_below=0.9, temperature=2.0, model_digest="n" * 64)
    result = answer(place)
    assert (result.num_asked, result.asked_all) == (
        11,
        "another model or threshold than before, so all were asked about again",
    )


def failing_at(file: Path) -> object:
    from pawline.files import whole_file

    def write(path: Path) -> object:
        if path == file:
            raise OSError("disk full")
        return whole_file(path)

    return write


def test_what_cannot_be_written_or_read_costs_one_line(place: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(place / "mine.parquet")
    (place / "text.parquet").write_text("no Parquet")
    for out, found in (
        ("mine.parquet", "mine.parquet: holds no answers of Pawline and is not overwritten"),
        ("text.parquet", "text.parquet: cannot be read as Parquet"),
    ):
        with pytest.raises(DatasetError, match=found):
            answer(place, out=out)
    with pytest.raises(ParamsError, match=r"answers.csv: expected a name that ends in \.parquet; name the file"):
        answer(place, out="answers.csv")
    with pytest.raises(ParamsError, match="nowhere: no such folder or archive"):
        answer(place, "nowhere")
    (place / "no.zip").write_text("no archive")
    with pytest.raises(DatasetError, match="no.zip: neither a folder, a zip"):
        answer(place, "no.zip")
    with pytest.raises(ParamsError, match="^source nosuch://bucket: "):
        predict_source(Predictor(place / "model.onnx"), "nosuch://bucket", place / "a.parquet", place)
    assert list(pd.read_parquet(place / "mine.parquet")) == ["a"]
    with FileLock(place / "answers.parquet.lock"), pytest.raises(BusyError, match="another run writes it"):
        answer(place)


def test_an_empty_folder_gives_an_empty_table(place: Path) -> None:
    (place / "empty").mkdir()
    assert answer(place, "empty").num_pictures == 0
    assert len(rows(place)) == 0 and "label" in rows(place)


def test_the_flows_answer_in_the_states_of_prefect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    describe(tmp_path / "models", count=240)
    monkeypatch.chdir(tmp_path)
    pages: list[str] = []
    monkeypatch.setattr(drift_flow, "publish", pages.append)
    for flow in (predict_flow, drift_flow):
        monkeypatch.setattr(flow, "WORKSPACE", tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/0.png").write_bytes(picture(120))
    model = "models/model.onnx"
    states = [predict_flow.predict.fn("new", model=model) for _ in range(2)]
    assert [state.name for state in states] == ["Completed", "Cached"]
    assert str(states[0].message).startswith("answers.parquet: 1 pictures, 1 asked about")
    assert drift_flow.drift.fn("new", model=model).name == "Waiting"
    assert drift_flow.drift.fn("nowhere", model=model).name == "Failed"
    for number in range(20):
        (tmp_path / f"new/{number}.png").write_bytes(picture(10 + number))
    state = drift_flow.drift.fn("new", model=model)
    assert state.name == "Drift" and "brightness" in str(state.message)
    [page] = pages
    assert "| brightness | " in page and page.count("differs |") >= 1
    assert len(pd.read_csv(tmp_path / "label_queue.csv")) == 20
