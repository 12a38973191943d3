"""`pawline trace` knows a picture by its content."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from tests.conftest import commit, dvc_here, pawline_here, run, write_pictures


def trace(workspace: Path, picture: Path, expect: int = 0) -> dict[str, Any]:
    found = json.loads(pawline_here(workspace, "trace", "--json", str(picture), expect=expect))
    assert isinstance(found, dict)
    return found


def test_a_renamed_picture_is_found_with_part_model_and_mlflow_run(finished: Path, tmp_path: Path) -> None:
    split = pd.read_parquet(finished / "data/split.parquet").set_index("path")["split"]
    shutil.copy(finished / "pictures/vertical/007.jpg", tmp_path / "holiday.png")
    (sighting,) = trace(finished, tmp_path / "holiday.png")["sightings"]
    assert sighting["path"] == "vertical/007.jpg"
    assert sighting["part"] == split["vertical/007.jpg"]
    assert sighting["model_digest"] == json.loads((finished / "models/card.json").read_text())["digest"]
    assert sighting["mlflow_run"]


def test_each_version_names_its_part_and_model(finished: Path) -> None:
    """Version 1 lacks the new pictures; the commit after keeps them under another name."""
    write_pictures(finished / "pictures", count=1, first=900)
    dvc_here(finished, "repro", "split")
    commit(finished)
    (finished / "pictures/vertical/900.jpg").rename(finished / "pictures/vertical/other.jpg")
    dvc_here(finished, "repro", "split")
    new = trace(finished, finished / "pictures/vertical/other.jpg")["sightings"]
    assert [sighting["path"] for sighting in new] == ["vertical/other.jpg", "vertical/900.jpg"]
    assert new[0]["version"] == "working tree"
    assert new[0]["part"] == new[1]["part"]
    old = trace(finished, finished / "pictures/vertical/001.jpg")["sightings"]
    assert len(old) == 3


def test_a_quarantined_picture_is_known_with_its_reason(finished: Path) -> None:
    (finished / "pictures/vertical/words.jpg").write_text("no picture at all")
    dvc_here(finished, "repro", "prepare")
    (sighting,) = trace(finished, finished / "pictures/vertical/words.jpg")["sightings"]
    assert sighting["part"] == "quarantine: not_an_image"


def test_a_decision_that_left_a_picture_out_is_named(finished: Path) -> None:
    """The version of today no longer holds it; that of the commit does."""
    picture = finished / "pictures/vertical/007.jpg"
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    (finished / "data/relabel.csv").write_text(f"digest,path,label,who,when\n{digest},,(none),Ada,2026-11-28\n")
    dvc_here(finished, "repro", "ingest")
    lines = pawline_here(finished, "trace", str(picture)).splitlines()
    assert lines[1] == "data/relabel.csv: decided as (none), which leaves it out (Ada, 2026-11-28)"
    assert len(lines) == 3 and "working tree" not in lines[2]
    found = trace(finished, picture)
    assert (found["decision"]["label"], len(found["sightings"])) == ("(none)", 1)
    (finished / "data/relabel.csv").write_text(f"digest,label\n{digest},horizontal\n")
    lines = pawline_here(finished, "trace", str(picture)).splitlines()
    assert lines[1] == "data/relabel.csv: decided as horizontal, its class from then on"


def test_an_unknown_picture_is_exit_code_1_and_a_missing_one_or_a_folder_2(
    finished_workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "new.jpg").write_bytes(b"never seen")
    assert trace(finished_workspace, tmp_path / "new.jpg", expect=1)["sightings"] == []
    output = run(finished_workspace, "pawline", "trace", "nowhere.jpg", expect=2).stderr
    assert output == "pawline: nowhere.jpg: no such file; give a picture file to trace\n"
    output = run(finished_workspace, "pawline", "trace", "pictures", expect=2).stderr
    assert output == "pawline: pictures: a folder, expected a file; give a picture file to trace\n"


def test_a_model_older_than_the_split_is_not_ascribed(finished: Path) -> None:
    """New pictures, and the run stopped before the training: no model has seen the new split."""
    model = json.loads((finished / "models/card.json").read_text())["digest"]
    old = finished / "pictures/vertical/001.jpg"
    write_pictures(finished / "pictures", count=1, first=900)
    new = finished / "pictures/vertical/900.jpg"
    dvc_here(finished, "repro", "ingest")
    assert [(s["part"], s["model_digest"]) for s in trace(finished, new)["sightings"]] == [("", "unknown")]
    dvc_here(finished, "repro", "split")
    (sighting,) = trace(finished, new)["sightings"]
    assert sighting["part"] in ("train", "val", "test")
    assert (sighting["model_digest"], sighting["mlflow_run"]) == ("unknown", "")
    assert [s["model_digest"] for s in trace(finished, old)["sightings"]] == ["unknown", model]
    assert (
        "model unknown (its training data is not this split)" in run(finished, "pawline", "trace", str(new)).stdout
    )


def test_a_picture_under_the_name_of_another_has_no_part_of_that_one(finished: Path) -> None:
    changed = finished / "pictures/vertical/001.jpg"
    shutil.copy(write_pictures(finished.parent / "more", count=1, first=950) / "vertical/950.jpg", changed)
    dvc_here(finished, "repro", "ingest")
    (sighting,) = trace(finished, changed)["sightings"]
    assert (sighting["path"], sighting["part"], sighting["model_digest"]) == ("vertical/001.jpg", "", "unknown")


def test_the_page_of_a_failed_flow_run_shows_no_figures_of_an_earlier_model(tmp_path: Path) -> None:
    from prefect.states import Completed, Failed, Pending

    from flows.summary import Outcome, _figures

    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluate.json").write_text('{"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}')
    failed = [Outcome("train", Failed(), 1), Outcome("evaluate", Pending(), 0)]
    assert _figures(tmp_path, failed) == []
    assert _figures(tmp_path, [Outcome("evaluate", Completed(name="Cached"), 0)])[:1] == ["| test part | |"]
