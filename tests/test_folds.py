"""Folds judge every picture by a model that did not train on it, and a killed series goes on."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from scipy.stats import binomtest

from pawline import series
from pawline.cli import folds as command
from pawline.errors import BusyError, DatasetError, ParamsError
from pawline.folds import FoldPlan, assign_folds, join_folds, measure_folds
from pawline.judging.clustered import accuracy_interval, design_effect
from pawline.params.split import SplitParams
from pawline.params.whole import load_params
from pawline.parts import data_digest
from pawline.tracking.series_run import SERIES
from pawline.tracking.store import run_with_tag, use_store
from pawline.workspace.garbage import find_garbage
from tests.prepared_workspace import prepared_workspace
from tests.source import ROOT

SPLIT_PARAMS = SplitParams(val_fraction=0.2, test_fraction=0.2, seed=1)
TRAIN_PARAMS = load_params(ROOT / "params.yaml").train
NAMES = ["cat", "dog"]


def split_of(groups: list[str], labels: list[int] | None = None) -> pd.DataFrame:
    """A picture for each group, cats and dogs in turn."""
    digests = [f"{number:04}" for number in range(len(groups))]
    label = labels if labels is not None else [number % 2 for number in range(len(groups))]
    return pd.DataFrame({"path": digests, "digest": digests, "label": label, "group": groups, "split": "train"})


def alone(count: int) -> pd.DataFrame:
    return split_of([f"{number:04}" for number in range(count)])


def test_folds_are_of_similar_size_and_each_holds_every_class() -> None:
    split = alone(1000)
    folds = assign_folds(split, 5, NAMES, seed=1)
    sizes = np.bincount(folds)
    assert len(sizes) == 5 and sizes.min() > 150 and sizes.max() < 250  # 200, standard deviation 12.6
    assert all(len(set(split["label"][folds == fold])) == 2 for fold in range(5))


def test_added_pictures_move_no_old_one_to_another_fold() -> None:
    few, more = assign_folds(alone(200), 5, NAMES, seed=1), assign_folds(alone(400), 5, NAMES, seed=1)
    assert (more[:200] == few).all()


def test_as_many_groups_as_folds_are_dealt_out_one_to_each() -> None:
    folds = assign_folds(alone(10), 5, NAMES, seed=1)
    assert sorted(folds[::2]) == sorted(folds[1::2]) == [0, 1, 2, 3, 4]


def test_duplicates_and_given_groups_share_a_fold() -> None:
    """Groups may hold several classes, as a patient's do."""
    split = split_of([f"{number // 2:04}" for number in range(200)]).assign(
        given_group=["patient" if number in (0, 50, 100) else "" for number in range(200)]
    )
    folds = pd.Series(assign_folds(split, 5, NAMES, seed=1))
    assert (folds.groupby(split["group"]).nunique() == 1).all()
    assert folds[[0, 1, 50, 51, 100, 101]].nunique() == 1


@pytest.mark.parametrize(
    ("split", "count", "kind", "says"),
    [
        (alone(40), 1, ParamsError, "N is 1: at least 2 folds are needed"),
        (alone(40), -3, ParamsError, "N is -3: at least 2"),
        (alone(8), 5, DatasetError, "5 folds, but fewer .* of 'cat' .4., 'dog' .4.: .* expected at most 4 folds"),
        (
            split_of(["a", "a", "a", "b", "c"], [0, 0, 0, 1, 1]),
            2,
            DatasetError,
            "of 'cat' .1.: .* add pictures of",
        ),
        (split_of(["a", "b", "c", "d"]), 2, DatasetError, "2 folds leave no picture for val"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    split: pd.DataFrame, count: int, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says) as refused:
        FoldPlan.of(split, count, NAMES, SPLIT_PARAMS, TRAIN_PARAMS)
    assert "\n" not in str(refused.value)


def test_each_training_judges_its_fold_and_takes_val_from_the_rest_by_group() -> None:
    split = split_of([f"{number // 4:04}" for number in range(800)], [number // 4 % 2 for number in range(800)])
    plan = FoldPlan.of(split, 4, NAMES, SPLIT_PARAMS, TRAIN_PARAMS)
    judged = []
    for name in plan.names:
        table = plan.training(name).split
        assert (table.groupby("group")["split"].nunique() == 1).all()
        shares = table["split"].value_counts(normalize=True)
        assert shares["val"] / (1 - shares["test"]) == pytest.approx(0.2, abs=0.08)
        judged += table.loc[table["split"] == "test", "path"].tolist()
    assert sorted(judged) == sorted(split["path"])


def test_a_class_with_one_group_beside_the_fold_is_learned_from() -> None:
    """Val may not take the only picture of a class that a fold leaves."""
    split = split_of([f"{number:04}" for number in range(22)], [0] * 20 + [1, 1])
    for name in FoldPlan.of(split, 2, NAMES, SPLIT_PARAMS, TRAIN_PARAMS).names:
        table = FoldPlan.of(split, 2, NAMES, SPLIT_PARAMS, TRAIN_PARAMS).training(name).split
        assert sorted(table.loc[table["label"] == 1, "split"]) == ["test", "train"]


def test_pictures_that_are_all_alone_have_wilsons_interval() -> None:
    right = np.arange(100) < 83
    wilson = binomtest(83, 100).proportion_ci(0.95, method="wilson")
    assert accuracy_interval(right, np.arange(100)) == pytest.approx((wilson.low, wilson.high))


@pytest.mark.parametrize("share", [0.83, 1.0])
def test_ten_copies_of_each_picture_make_nothing_surer(share: float) -> None:
    right = np.arange(100) < 100 * share
    alone = accuracy_interval(right, np.arange(100))
    assert accuracy_interval(np.repeat(right, 10), np.repeat(np.arange(100), 10)) == pytest.approx(alone)
    assert design_effect(np.repeat(right, 10), np.repeat(np.arange(100), 10)) == pytest.approx(10)


def test_the_figures_are_those_of_all_folds_together() -> None:
    def fold(names: list[str], cat: list[float]) -> pd.DataFrame:
        columns = {"probability_cat": cat, "probability_dog": [1 - one for one in cat]}
        base = {"path": names, "digest": names, "group": names, "label": [0] * len(names)}
        return pd.DataFrame(base | columns | {"num_steps": 1, "seconds": 2.0})

    joined = join_folds([fold(["c", "a"], [0.9, 0.8]), fold(["b", "d"], [0.7, 0.2])])
    assert list(joined) == ["digest", "path", "group", "label", "fold", "probability_cat", "probability_dog"]
    assert joined["fold"].tolist() == [1, 2, 1, 2]  # of a, b, c, d
    split = split_of(["a", "b", "c", "d"], [0, 0, 0, 0]).assign(path=["a", "b", "c", "d"])
    figures = measure_folds(joined, split)
    assert (figures["accuracy"], figures["num_images"], figures["num_folds"]) == (0.75, 4, 2)
    assert [fold["accuracy"] for fold in figures["folds"]] == [1.0, 0.5]
    assert figures["loss"] == pytest.approx(-np.log([0.8, 0.7, 0.9, 0.2]).mean())
    assert "not the shipped model" in figures["interval_of"]


# --- one real series, killed and continued --------------------------------------------------------


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with 40 prepared and split pictures, in which nothing has been trained."""
    return prepared_workspace(tmp_path_factory.mktemp("folds") / "a work space", num_pictures=20)


def run(count: int = 2) -> None:
    assert command.run(argparse.Namespace(count=count, json=True)) == 0


@pytest.fixture(scope="module")
def killed_and_continued(workspace: Path) -> dict[str, Any]:
    """`pawline folds 2`, ended by Ctrl-C in the second fold, then run again, then a third time."""
    trained: list[int] = []
    original = series.train

    def counted(images: Any, split: pd.DataFrame, *rest: Any, **named: Any) -> Any:
        trained.append(int((split["split"] == "test").sum()))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return original(images, split, *rest, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        patch.setattr(series, "train", counted)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with pytest.raises(KeyboardInterrupt):
            run()
        [folder] = Path(".pawline/folds").iterdir()
        left = {path.name for path in folder.rglob("*.parquet")}
        unfinished = [one.paths for one in find_garbage() if one.kind.startswith("folds")]
        run()
        after_two = len(trained)
        run()
    return {
        "folder": folder, "left": left, "unfinished": unfinished, "trainings": (after_two, len(trained)),
        "predictions": pd.read_parquet(workspace / folder / "predictions.parquet"),
        "figures": json.loads((workspace / folder / "figures.json").read_text()),
    }  # fmt: skip


def test_a_killed_series_keeps_its_finished_folds_and_a_complete_one_trains_nothing(
    killed_and_continued: dict[str, Any],
) -> None:
    assert killed_and_continued["left"] == {"fold-1-of-2.parquet"}
    # The first fold, the killed one, the second again; then nothing.
    assert killed_and_continued["trainings"] == (3, 3)
    assert [len(paths) for paths in killed_and_continued["unfinished"]] == [1]


def test_every_picture_is_judged_once_and_the_folder_is_named_by_the_data(
    workspace: Path, killed_and_continued: dict[str, Any]
) -> None:
    split = pd.read_parquet(workspace / "data/split.parquet")
    table = killed_and_continued["predictions"]
    assert killed_and_continued["folder"].name == data_digest(split)
    assert sorted(table["path"]) == sorted(split["path"])
    columns = ["digest", "path", "group", "label", "fold", "probability_horizontal", "probability_vertical"]
    assert list(table) == columns
    assert table[columns[-2:]].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    right = table[columns[-2:]].to_numpy().argmax(axis=1) == table["label"]
    assert killed_and_continued["figures"]["accuracy"] == pytest.approx(right.mean())


def test_mlflow_has_one_run_of_the_series(
    workspace: Path, killed_and_continued: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(workspace)
    monkeypatch.delenv(
        "MLFLOW_TRACKING_URI", raising=False
    )  # MLflow sets it, for the next test in this process too
    use_store()
    run = run_with_tag(SERIES, killed_and_continued["figures"]["key"])
    assert run is not None and str(run.info.run_name).startswith("folds: fast grayscale 16px")
    assert run.data.metrics["folds_accuracy"] == killed_and_continued["figures"]["accuracy"]
    assert run.data.params["train.epochs"] == "2"
    files = {entry.path for entry in mlflow.MlflowClient().list_artifacts(run.info.run_id, "folds")}
    assert files == {"folds/predictions.parquet", "folds/figures.json"}
    assert len(mlflow.search_runs(experiment_names=["pawline"], output_format="list")) == 1


def test_a_damaged_fold_is_trained_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fold-1-of-2.parquet").write_bytes(b"PAR1 cut off")
    kept = series.Series(tmp_path, "key", None, None)  # type: ignore[arg-type]
    assert kept.finished("fold-1-of-2") is None
    assert "fold-1-of-2.parquet: damaged (" in capsys.readouterr().err


def test_a_second_series_at_the_same_time_is_told_to_wait(
    workspace: Path, killed_and_continued: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    with (
        FileLock(killed_and_continued["folder"] / ".lock"),
        pytest.raises(BusyError, match="another `pawline folds`"),
    ):
        run()


def test_refusals_write_nothing(tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    before = sorted(Path(".pawline").rglob("*"))
    with pytest.raises(ParamsError):
        run(1)
    with pytest.raises(DatasetError):
        run(500)
    assert sorted(Path(".pawline").rglob("*")) == before
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    with pytest.raises(DatasetError, match="data/prepared/prepared.json: not there"):
        run(2)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_the_flow_calls_a_finished_fold_cached_and_fails_in_one_line(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import folds as flow

    pd.DataFrame({"seconds": [1.0]}).to_parquet(tmp_path / "fold-1-of-2.parquet")
    kept = series.Series(tmp_path, "key", None, None)  # type: ignore[arg-type]
    plan = FoldPlan.of(alone(40), 2, NAMES, SPLIT_PARAMS, TRAIN_PARAMS)
    assert flow.fold.fn(kept, plan, "fold-1-of-2").name == "Cached"
    monkeypatch.chdir(tmp_path)  # the flow goes into its checkout
    monkeypatch.setattr(flow, "WORKSPACE", workspace)
    refused = flow.folds.fn(count=1)
    assert refused.is_failed() and str(refused.message).startswith("N is 1: at least 2 folds are needed")
