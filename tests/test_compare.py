"""Two runs are compared on the pictures that both judged without having learned from them."""

import argparse
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from pawline.card import Card, write_card
from pawline.cli import compare as command
from pawline.compare import CANNOT_TELL, Comparison, Corrected, JudgedModel, compare
from pawline.compare_page import compare_lines, compare_page, data_words, figure_rows
from pawline.errors import DatasetError, ParamsError, PawlineError
from pawline.files import file_digest
from pawline.linked_groups import group_keys, linked
from pawline.params.prepare import ImageForm
from pawline.params.whole import load_params
from pawline.parts import data_digest
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.tracking import store
from pawline.tracking.compared_runs import find_compared
from pawline.tracking.logged_model import conditions_of_card
from pawline.tracking.training_run import shown_params
from pawline.workspace.layout import Layout
from tests.cards import CONDITIONS
from tests.source import ROOT


def predictions(answers: dict[str, str], actual: str = "cat", sure: float = 0.9) -> pd.DataFrame:
    """answers: of each digest the class that the model names; the true class of all is `actual`."""
    cat = [sure if answer == "cat" else 1 - sure for answer in answers.values()]
    return pd.DataFrame(
        {
            "path": [f"{actual}/{digest}.jpg" for digest in answers],
            "digest": list(answers),
            "group": list(answers),
            "actual": actual,
            "predicted": list(answers.values()),
            "probability_cat": cat,
            "probability_dog": [1 - one for one in cat],
        }
    )


def judged(table: pd.DataFrame, learned_from: str = "", name: str = "A", **params: str) -> JudgedModel:
    parts = {"train": len(learned_from), "test": len(table)}
    return JudgedModel(name, table, frozenset(learned_from.split()), parts, params, data_digest="same")


def many(number_right: int, total: int, first: int = 0) -> dict[str, str]:
    """`total` pictures, the `number_right` from `first` on are named right."""
    return {f"{i:04}": "cat" if first <= i < first + number_right else "dog" for i in range(total)}


def better() -> Comparison:
    """40 of 100 right, then 60 of which 35 are the same: 25 fixed, 5 broken."""
    return compare(judged(predictions(many(40, 100))), judged(predictions(many(60, 100, first=5)), name="B"))


def test_fixed_and_broken_pictures_are_counted_and_a_gain_is_told() -> None:
    found = better()
    assert (found.num_pictures, found.num_fixed, found.num_broken) == (100, 25, 5)
    assert found.verdict == "better"
    assert found.p_value == pytest.approx(0.000325, rel=0.01)  # 2 * P(binomial(30, 1/2) <= 5)
    assert found.metrics["accuracy"].difference == pytest.approx(0.2)
    assert {one.digest for one in found.broken} == {"0000", "0001", "0002", "0003", "0004"}
    assert found.summary.startswith("B is better than A: accuracy 40.0% -> 60.0%, +20.0 points (95 % interval +1")


def test_the_other_way_round_it_is_worse() -> None:
    found = compare(judged(predictions(many(60, 100, first=5))), judged(predictions(many(40, 100)), name="B"))
    assert (found.verdict, found.num_fixed, found.num_broken) == ("worse", 5, 25)


def test_a_small_gain_on_few_pictures_is_not_told_and_the_line_says_what_could_be() -> None:
    found = compare(judged(predictions(many(40, 100))), judged(predictions(many(43, 100)), name="B"))
    assert found.verdict == CANNOT_TELL
    assert found.p_value == pytest.approx(0.25)  # 3 of 3: 2 / 2**3
    assert found.summary.startswith("can't tell with 100 pictures: accuracy 40.0% -> 43.0%, +3.0 points")
    # Six disagreements at least, 0.06 * (2 * 0.8**(1/6) - 1).
    assert found.summary.endswith(
        "; 3 are named right by one run alone, so a difference would show from about 5.6 points on"
    )


def test_a_row_says_that_an_interval_of_few_disagreements_is_too_narrow() -> None:
    """Four broken, none fixed: p = 2 / 2**4. Of the bootstrap's replicates 0.96**100 = 1.7 % draw none of the four. Its
    interval leaves out 2.5 % at each end, and with them 0."""
    found = compare(judged(predictions(many(40, 100))), judged(predictions(many(36, 100)), name="B"))
    assert found.verdict == CANNOT_TELL and found.metrics["accuracy"].high == pytest.approx(-0.01)
    rows = {row["name"]: row["verdict"] for row in figure_rows(found)}
    assert (
        rows["accuracy"] == "can't tell: exact p = 0.12, the interval is too narrow with so few different answers"
    )
    assert rows["balanced accuracy"] == "can't tell: the interval is too narrow with 4 different answers"
    assert figure_rows(better())[0]["verdict"] == "better"


def test_pictures_that_either_learned_from_or_that_changed_class_are_left_out_and_counted() -> None:
    first = pd.concat([predictions({"a": "cat", "b": "cat", "c": "cat"}), predictions({"d": "dog"})])
    second = pd.concat(
        [predictions({"a": "cat", "c": "cat", "e": "cat"}), predictions({"d": "dog"}, actual="dog")]
    )
    found = compare(judged(first, learned_from="e"), judged(second, learned_from="b", name="B"))
    assert (found.num_pictures, found.left_out) == (
        2,
        {
            "more copies of a picture": 0,
            "that B learned from": 1,  # b
            "that A learned from": 1,  # e
            "that only one of them judged": 0,
            "with another class in the other run": 1,  # d
        },
    )


def test_corrected_labels_of_test_pictures_are_a_second_figure_for_both_models() -> None:
    """c and d were relabelled from cat to dog: A is right on a and b, B on a and both new labels."""
    answers = {"a": "cat", "b": "cat", "c": "cat", "d": "cat"}, {"a": "cat", "b": "dog", "c": "dog", "d": "dog"}
    first = predictions(answers[0])
    second = predictions(answers[1]).assign(actual=["cat", "cat", "dog", "dog"])
    found = compare(judged(first), judged(second, name="B"))
    assert (found.num_pictures, found.num_fixed, found.num_broken) == (2, 0, 1)
    assert found.corrected == Corrected(num_changed=2, num_pictures=4, first=0.5, second=0.75, p_value=1.0)
    assert "differ for 2 test pictures: accuracy 50.0% -> 75.0% on 4 pictures (p = 1)" in compare_lines(found)[-1]
    assert "a second figure, on the classes of B" in compare_page(found, None)
    assert better().corrected is None


def test_copies_of_a_picture_count_once() -> None:
    table = pd.concat([predictions({"a": "cat", "b": "dog"}), predictions({"a": "cat"})])
    found = compare(judged(table), judged(table, name="B"))
    assert (found.num_pictures, found.left_out["more copies of a picture"]) == (2, 2)


def test_near_duplicates_count_as_one() -> None:
    """30 near-duplicates of one picture are fixed: that is one picture, which tells nothing."""
    table = predictions(many(0, 30)).assign(group="one")
    found = compare(judged(table), judged(predictions(many(30, 30)), name="B"))
    assert (found.num_fixed, found.num_groups, found.p_value, found.verdict) == (30, 1, 1.0, CANNOT_TELL)


def test_runs_without_a_shared_picture_are_refused_with_the_reasons() -> None:
    first, second = judged(predictions({"a": "cat"})), judged(predictions({"b": "cat"}), "a", name="B")
    with pytest.raises(
        DatasetError, match="A and B share no test pictures that can be compared .1 that B learned"
    ):
        compare(first, second)


def test_models_of_other_classes_are_refused() -> None:
    other = predictions({"a": "cat"}).rename(columns={"probability_dog": "probability_cow"})
    with pytest.raises(DatasetError, match="different classes .only A knows 'dog'; only B knows 'cow'.; compare"):
        compare(judged(predictions({"a": "cat"})), judged(other, name="B"))


def test_the_terminal_names_params_and_data_that_differ() -> None:
    first = judged(predictions(many(40, 100)), **{"train.epochs": "5"})
    second = JudgedModel(
        "B", predictions(many(43, 100)), frozenset("x"), {"train": 1}, {"train.epochs": "9"}, "other"
    )
    text = "\n".join(compare_lines(compare(first, second)))
    assert "  train.epochs: 5 -> 9" in text
    assert (
        "A has 0 train, 0 val, 100 test; B has 1 train, 0 val, 0 test. In train and val, 0 pictures of A" in text
    )


def test_the_same_pictures_under_other_labels_are_no_other_pictures() -> None:
    first = judged(predictions(many(40, 100)), learned_from="x y")
    found = compare(first, replace(first, name="B", data_digest="after relabelling"))
    assert (
        data_words(found)
        == "Both learned from the same pictures, but labels differ, or what is train and what is val."
    )


def labels(classes: dict[str, str], part: str = "val") -> pd.DataFrame:
    return pd.DataFrame({"digest": list(classes), "label": list(classes.values()), "split": part})


def test_one_model_before_and_after_labels_were_corrected_is_called_the_same() -> None:
    """In val x became a dog, so the temperature changed, and with it the log loss; no answer did."""
    before = judged(predictions(many(40, 100), sure=0.9), learned_from="x y", name="before")
    after = judged(predictions(many(40, 100), sure=0.8), learned_from="x y", name="after")
    first = replace(
        before, model_digest="m", temperature=0.5, labels=labels({"x": "cat", "y": "cat"}), data_digest="before"
    )
    second = replace(after, model_digest="m", temperature=0.625, labels=labels({"x": "dog", "y": "cat"}))
    found = compare(first, second)
    assert found.is_same_model and found.summary.startswith(
        "A and B are the same model: accuracy 40.0% for both, on"
    )
    assert found.data["labels_changed"] == {"train": 0, "val": 1, "test": 0}
    text = "\n".join(compare_lines(found))
    assert "Both are the same model: their files have one SHA-256. Its temperature differs, 0.5 and 0.625" in text
    assert "same pictures. Of the pictures that both have, 1 has another class in B: 1 in val." in text
    assert figure_rows(found)[0]["verdict"] == "the same"
    page = compare_page(found, None)
    assert '<p class="big">The same model</p>' in page and "1 has another class in B" in page
    assert json.loads(json.dumps(found.to_json()))["data"]["same_model"] is True


def test_another_model_with_equal_answers_is_not_called_the_same() -> None:
    first, second = (replace(judged(predictions(many(40, 100)), name=name), model_digest=name) for name in "AB")
    found = compare(first, second)
    assert not found.is_same_model and found.summary.startswith("can't tell with 100 pictures")
    unknown = compare(replace(first, model_digest=""), replace(second, model_digest=""))
    assert not unknown.is_same_model, "runs of before name no model"
    assert "same model" not in "\n".join(compare_lines(unknown))


def test_corrected_labels_and_moved_pictures_are_counted_in_the_parts_of_b() -> None:
    """Two of three pictures that both have changed the class and one the part; z is new and does not count."""
    first = replace(
        judged(predictions(many(40, 100)), learned_from="v w x"),
        labels=labels(dict.fromkeys("vwx", "cat"), "train"),
    )
    parts = pd.concat([labels({"v": "dog", "x": "cat", "z": "dog"}, "train"), labels({"w": "dog"})])
    second = replace(first, name="B", data_digest="other", labels=parts)
    found = compare(first, second)
    assert (found.data["labels_changed"], found.data["num_moved"]) == ({"train": 1, "val": 1, "test": 0}, 1)
    assert data_words(found) == (
        "Both learned from the same pictures, but 1 picture changed the part. Of the pictures that both have, 2 have "
        "other classes in B: 1 in train, 1 in val."
    )


def test_sets_are_linked_through_any_column() -> None:
    near, given = pd.Series(["a", "a", "b", "c", "d"]), pd.Series(["", "x", "x", "", ""])
    assert linked([near, given]).tolist() == [0, 0, 0, 1, 2]
    assert group_keys(pd.DataFrame({"group": near, "given_group": given})).tolist() == ["a", "a", "a", "c", "d"]


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """The prepared pictures 0000 to 0009 of 8 x 8 pixels."""
    folder = tmp_path / "data/prepared"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(1).integers(0, 255, (10, 8, 8, 1), dtype=np.uint8)
    table = pd.DataFrame({"path": [f"{i}" for i in range(10)], "digest": [f"{i:04}" for i in range(10)]})
    form = ImageForm(image_size=8, color="grayscale", aspect="stretch", background=255)
    write_shard(folder, 0, Concatenation([pixels]), np.arange(10))
    write_description(folder, table, np.zeros((10, 1), np.uint64), ["cat", "dog"], "cv2", form)
    return folder


def test_the_page_shows_the_pictures_that_this_checkout_has_and_needs_no_network(prepared: Path) -> None:
    page = compare_page(better(), PreparedImages(prepared))
    assert page.count("data:image/jpeg") == 5  # the broken ones; the fixed ones, 0040 to 0064, are not here
    assert "B is better" in page and "default-src &#39;none&#39;" not in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == [] and "<script" not in page
    assert compare_page(better(), None).count("<img") == 0


def test_names_cannot_put_markup_into_the_page() -> None:
    table = predictions(many(40, 100)).assign(path="<script>alert(1)</script>")
    page = compare_page(compare(judged(table), judged(predictions(many(0, 100)), name="<b>B")), None)
    assert "<script" not in page and "<b>B" not in page


# --- runs in MLflow -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one MLflow store for all tests: making its tables takes a second."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def checkout(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(place)
    return place


def log_run(
    name: str,
    table: pd.DataFrame | None,
    train: str = "t",
    with_split: bool = True,
    params: dict[str, Any] | None = None,
    experiment: str = "",
) -> str:
    """An MLflow run as `train` and `evaluate` leave it."""
    store.use_store()
    with mlflow.start_run(run_name=name) as run:
        mlflow.log_params(params or {"train.epochs": len(name), "conditions.num_steps": len(name)})
        mlflow.log_params({"relabel.num_corrected_test": len(name)})  # counted in the splits instead
        mlflow.set_tag(store.MODEL_DIGEST, f"model of {name}")
        if experiment:
            mlflow.set_tag("pawline.dvc_experiment", experiment)
        mlflow.log_metric("test_temperature", 0.5)
        if table is not None:
            folder = Path("logged")
            folder.mkdir(exist_ok=True)
            table.to_csv(folder / "predictions.csv", index=False)
            if with_split:
                split_of(table, train).to_parquet(folder / "split.parquet")
            mlflow.log_artifacts(str(folder), "evaluate")
            for file in folder.iterdir():
                file.unlink()
    return run.info.run_id


def split_of(table: pd.DataFrame, train: str) -> pd.DataFrame:
    paths = table["path"].tolist()
    names = [path.partition("/")[2].removesuffix(".jpg") for path in paths]
    test = pd.DataFrame({"path": paths, "digest": names, "label": 0, "group": names, "split": "test"})
    return pd.concat([test, pd.DataFrame([{"path": train, "digest": train, "label": 0, "split": "train"}])])


def arguments(first: str, second: str, **options: Any) -> argparse.Namespace:
    defaults = {"json": False, "out": None, "no_pictures": False, "no_log": False}
    return argparse.Namespace(first=first, second=second, **defaults | options)


def test_runs_are_found_by_id_prefix_and_name_and_the_page_goes_to_the_second(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = log_run("first", predictions(many(40, 100)))
    other = log_run("second try", predictions(many(60, 100, first=5)))
    assert command.run(arguments(one[:10], "second try", out=checkout / "page.html", json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["num_fixed"], found["num_broken"]) == ("better", 25, 5)
    assert found["params"] == {"train.epochs": ["5", "10"]}
    [folder] = mlflow.MlflowClient().list_artifacts(other, "compare")
    logged = mlflow.artifacts.load_text(f"runs:/{other}/{folder.path}/compare.html")
    assert logged == (checkout / "page.html").read_text() and one[:8] in folder.path
    assert find_compared(one).run_id == find_compared(f"runs:/{one}").run_id == one
    judged_first = find_compared(one).judged
    assert (judged_first.model_digest, judged_first.temperature) == ("model of first", 0.5)
    assert judged_first.labels.set_index("digest").loc["t"].to_dict() == {"label": "cat", "split": "train"}


def test_a_run_is_found_by_the_name_of_its_dvc_experiment(checkout: Path) -> None:
    """Both runs have the same name, so that it cannot tell them apart; the refusal names the experiments."""
    ids = [
        log_run("fast 96px", predictions(many(40, 100)), experiment=name) for name in ("sedgy-wise", "loamy-cat")
    ]
    assert [find_compared(name).run_id for name in ("sedgy-wise", "loamy-cat")] == ids
    assert find_compared("sedgy-wise").judged.name == f"fast 96px, sedgy-wise ({ids[0][:8]})"
    with pytest.raises(
        ParamsError, match=r"2 runs are meant by 'fast 96px': \w{8} \(fast 96px, loamy-cat\), \w{8} "
    ):
        find_compared("fast 96px")


def test_predictions_without_digests_are_paired_by_the_logged_split(checkout: Path) -> None:
    """Runs of before predictions.csv had the columns digest and group."""
    log_run("without digests", predictions(many(40, 100)).drop(columns=["digest", "group"]))
    log_run("new", predictions(many(60, 100, first=5)))
    found = compare(find_compared("without digests").judged, find_compared("new").judged)
    assert (found.num_pictures, found.num_fixed, found.num_broken) == (100, 25, 5)


def test_a_run_without_a_split_is_read_by_the_present_one_only_where_it_is_the_same(checkout: Path) -> None:
    table = predictions(many(40, 100))
    split = split_of(table, "t").fillna({"group": "t"})
    run_id = log_run("old", table.drop(columns=["digest", "group"]), with_split=False)
    with pytest.raises(DatasetError, match="carries no table of its split .* train and evaluate it again"):
        find_compared("old")
    (checkout / "data").mkdir()
    split.to_parquet(checkout / "data/split.parquet")
    with pytest.raises(DatasetError, match="the present split is another one"):
        find_compared("old")
    with mlflow.start_run(run_id):
        data_set = mlflow.data.from_pandas(split, digest=data_digest(split)[:32])
        mlflow.log_input(data_set, context="training")
    assert find_compared("old").judged.learned_from == {"t"}


def test_the_workspace_has_the_settings_that_the_recipe_chose_for_its_model(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run logs them as `recipe.…`, the workspace has them on the model's card: no param differs."""
    monkeypatch.setattr("pawline.tracking.compared_runs.Layout", lambda: Layout(**places(tmp_path)))
    table = predictions(many(40, 100))
    at = Layout(**places(tmp_path))
    for file in (at.predictions, at.split, at.model):
        file.parent.mkdir(exist_ok=True)
    split = split_of(table, "t").fillna({"group": "t"})
    table.to_csv(at.predictions, index=False)
    split.to_parquet(at.split)
    at.model.write_bytes(b"a model")
    recipe: dict[str, Any] = {"train.batch_size": 32, "train.sizes": [0.5, 0.75], "train.ema": 0.0}
    card = Card(
        digest=file_digest(at.model), class_names=["cat", "dog"], network="fast", num_weights=1, decoder="cv2",
        form=ImageForm(image_size=8, color="grayscale", aspect="stretch", background=255), conditions=CONDITIONS,
        training_data_digest=data_digest(split), recipe=recipe, chosen=[*recipe], temperature=0.5,
    )  # fmt: skip
    write_card(at.model, card)
    log_run("of the model", table, params=shown_params(load_params(at.params)) | conditions_of_card(card))
    run, workspace = find_compared("of the model").judged, find_compared("workspace").judged
    assert run.params["recipe.train.batch_size"] == "32" and "conditions.num_steps" not in run.params
    assert compare(run, workspace).params == {}
    assert (workspace.model_digest, workspace.temperature) == (card.digest, 0.5)


def places(folder: Path) -> dict[str, Path]:
    """The outputs of a finished run in a folder, with the params of this project."""
    return {
        "predictions": folder / "reports/predictions.csv",
        "split": folder / "data/split.parquet",
        "model": folder / "models/model.keras",
        "params": ROOT / "params.yaml",
    }


def refusals(checkout: Path) -> list[tuple[str, str, type[PawlineError], str]]:
    log_run("whole", predictions(many(40, 100)))
    log_run("twice", predictions({"z": "cat"}))
    log_run("twice", predictions({"z": "cat"}))
    log_run("not evaluated", None)
    log_run("empty", predictions({}))
    log_run("elsewhere", predictions({"z": "cat"}))
    log_run("cows", predictions({"z": "cat"}).rename(columns={"probability_dog": "probability_cow"}))
    return [
        (
            "nobody",
            "whole",
            ParamsError,
            "no MLflow run has the id, the name or the DVC experiment 'nobody'; the newest are [0-9a-f]{8} .cows",
        ),
        ("0" * 32, "whole", ParamsError, "no MLflow run has the id, .* '0+'; the newest are"),
        ("models:/none/1", "whole", ParamsError, "models:/none/1: MLflow knows no such model"),
        ("twice", "whole", ParamsError, "2 runs are meant by 'twice': .*; give the id of one"),
        ("not evaluated", "whole", DatasetError, "has no predictions of test pictures"),
        ("empty", "whole", DatasetError, "has an empty test part; raise split.test_fraction"),
        ("whole", "whole", ParamsError, "both are the same run, whole .[0-9a-f]{8}.; name two"),
        ("whole", "elsewhere", DatasetError, "share no test pictures"),
        ("elsewhere", "cows", DatasetError, "know different classes"),
        ("whole", "workspace", DatasetError, "reports/predictions.csv: not there"),
    ]


def test_before_the_first_run_no_store_is_made(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match="no MLflow run yet, so none is called a; train first"):
        command.run(arguments("a", "b"))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_compared_gets_one_line_and_nothing_is_written(checkout: Path) -> None:
    for first, second, kind, says in refusals(checkout):
        with pytest.raises(kind, match=says) as refused:
            command.run(arguments(first, second, out=checkout / "refused.html"))
        assert "\n" not in str(refused.value)
    assert not (checkout / "refused.html").exists()
    runs = mlflow.search_runs(experiment_names=[store.EXPERIMENT], output_format="list")
    whole = [run.info.run_id for run in runs if run.info.run_name in ("whole", "elsewhere", "cows")]
    assert not any(mlflow.MlflowClient().list_artifacts(run_id, "compare") for run_id in whole)


def test_a_store_that_cannot_be_written_costs_one_line(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_run("before", predictions(many(40, 100)))
    other = log_run("after", predictions(many(60, 100)))
    folder = Path(mlflow.get_run(other).info.artifact_uri.removeprefix("file://"))
    (folder / "compare").write_text("a file where a folder should be")
    capsys.readouterr()
    assert command.run(arguments("before", "after")) == 0
    captured = capsys.readouterr()
    assert "B is better than A" in captured.out
    assert captured.err.startswith("pawline: warning: not logged to MLflow: ") and captured.err.count("\n") == 1
