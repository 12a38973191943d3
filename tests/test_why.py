"""`pawline why`: what changed, or who made what is used and what that saved."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pawline.workspace.dag import read_dag
from pawline.workspace.history import MAX_BYTES, StageRun, append, code_digests, duration, read_history
from pawline.workspace.layout import LocalState
from pawline.workspace.why import explain
from pawline.yaml_files import read_yaml
from tests.background import background, wait_for
from tests.conftest import dvc_here, encode, pawline_here, run, set_params, stripes, write_pictures
from tests.source import ROOT

STAGES = list(YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"])
WHEN = datetime(2026, 11, 23, 4, 12, tzinfo=UTC)


def why(workspace: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    answer = json.loads(pawline_here(workspace, "why", "--json", *arguments))
    return {entry["stage"]: entry for entry in answer}


def states(answer: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {stage: entry["state"] for stage, entry in answer.items()}


def texts(answer: dict[str, Any]) -> list[str]:
    return [reason["text"] for reason in answer["reasons"]]


def test_an_unchanged_stage_names_the_run_that_made_it_and_what_it_saves(finished_workspace: Path) -> None:
    answer = why(finished_workspace)
    assert states(answer) == dict.fromkeys(STAGES, "unchanged")
    for entry in answer.values():
        assert list(entry) == ["stage", "state", "reasons", "made_at", "made_by", "saved_seconds"]
        assert (entry["reasons"], entry["made_by"]) == ([], "dvc repro")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(entry["made_at"])).total_seconds()) < 86400
        assert 0 < entry["saved_seconds"] < 600
    lines = pawline_here(finished_workspace, "why").splitlines()
    assert [line.split()[0] for line in lines] == STAGES
    assert all(" by dvc repro; saved " in line for line in lines)


def test_changed_params_are_shown_with_their_old_and_new_value(finished: Path) -> None:
    set_params(finished, {"prepare.image_size": 24, "train.epochs": 9, "network.classic.kernel": [5, 3]})
    answer = why(finished)
    assert texts(answer["prepare"]) == ["prepare.image_size 16 -> 24"]
    assert answer["prepare"]["reasons"][0]["detail"] == {"old": 16, "new": 24}
    assert texts(answer["train"]) == ["network.classic.kernel [3, 3] -> [5, 3]", "train.epochs 4 -> 9", "prepare"]
    assert states(answer) == dict.fromkeys(STAGES, "may run") | {
        **{"ingest": "unchanged", "prepare": "will run", "train": "will run", "report": "will run"},
    }
    line = pawline_here(finished, "why").splitlines()[STAGES.index("split")]
    assert line.split(maxsplit=3) == ["split", "may", "run", "after prepare"]


def test_new_changed_and_removed_pictures_are_counted(finished: Path) -> None:
    """One of the changed pictures keeps its size."""
    folder = finished / "pictures/vertical"
    write_pictures(finished / "pictures", count=2, first=900)
    (folder / "001.jpg").unlink()
    (folder / "002.jpg").write_bytes(encode(stripes(True, 2), quality=50))
    content = bytearray((folder / "003.jpg").read_bytes())
    content[-3] ^= 1
    (folder / "003.jpg").write_bytes(content)
    (reason,) = why(finished, "ingest")["ingest"]["reasons"]
    assert reason["detail"] == {"new": 4, "changed": 2, "removed": 1}
    assert reason["text"] == "4 new, 2 changed, 1 removed images in pictures"


def test_pictures_outside_of_the_checkout_are_counted_too(finished: Path) -> None:
    """DVC names them by another path than params.yaml and dvc.lock do."""
    shutil.copytree(finished / "pictures", finished.parent / "outside")
    set_params(finished, {"ingest.source": "../outside"})
    dvc_here(finished, "repro", "ingest")
    (finished.parent / "outside/vertical/001.jpg").unlink()
    (reason,) = why(finished, "ingest")["ingest"]["reasons"]
    assert reason["text"] == "1 removed images in ../outside"


def test_a_picture_that_was_only_touched_is_no_change(finished: Path) -> None:
    (finished / "pictures/vertical/001.jpg").touch()
    assert why(finished, "ingest")["ingest"]["state"] == "unchanged"


def test_a_missing_source_is_named(finished: Path) -> None:
    shutil.rmtree(finished / "pictures")
    assert texts(why(finished)["ingest"]) == ["the source pictures is missing"]


def test_an_archive_that_changed_is_named_with_its_size(finished: Path) -> None:
    with zipfile.ZipFile(finished / "pictures.zip", "w") as archive:
        for file in sorted((finished / "pictures").rglob("*.jpg")):
            archive.write(file, file.relative_to(finished))
    set_params(finished, {"ingest.source": "pictures.zip"})
    dvc_here(finished, "repro", "ingest")
    before = (finished / "pictures.zip").stat().st_size
    with zipfile.ZipFile(finished / "pictures.zip", "a") as archive:
        archive.write(finished / "pictures/vertical/001.jpg", "pictures/vertical/again.jpg")
    answer = why(finished)
    after = (finished / "pictures.zip").stat().st_size
    assert texts(answer["ingest"]) == [f"the source pictures.zip changed ({before:,} -> {after:,} bytes)"]


def test_an_edited_module_is_named(finished: Path) -> None:
    with (finished / "pawline/split.py").open("a") as file:
        file.write("# a thought\n")
    answer = why(finished)
    assert answer["prepare"]["state"] == "unchanged"
    assert texts(answer["split"]) == ["pawline/split.py"]
    assert "edited pawline/split.py" in pawline_here(finished, "why", "split")


def test_an_edited_module_of_a_folder_is_named_by_the_history_or_by_git(finished: Path) -> None:
    edit(finished, "augment")
    assert texts(why(finished)["train"]) == ["pawline/training/augment.py"]
    LocalState(finished).history.unlink()  # as in a fresh clone
    assert texts(why(finished)["train"]) == ["pawline/training/augment.py"]


def test_edits_from_before_the_last_run_are_not_named(finished: Path) -> None:
    """The history knows the code of that run; here another run is added to it, as if it had used the first edit."""
    edit(finished, "augment")
    stage = read_dag(read_yaml(finished / "params.yaml"), finished)["train"]
    history = LocalState(finished).history
    last = next(made for (name, _), made in read_history(history).items() if name == "train")
    append(history, replace(last, code=code_digests(stage, finished)))
    edit(finished, "schedule")
    assert texts(why(finished)["train"]) == ["pawline/training/schedule.py"]


def edit(workspace: Path, name: str) -> None:
    with (workspace / f"pawline/training/{name}.py").open("a") as file:
        file.write("# a thought\n")


def test_a_model_made_with_other_versions_is_named(finished_workspace: Path, tmp_path: Path) -> None:
    """Versions are conditions, on the card, and no reason to run."""
    root = Path(shutil.copytree(finished_workspace, tmp_path / "a copy", symlinks=True))
    card = json.loads((root / "models/card.json").read_text())
    card["conditions"]["tensorflow"] = "2.20.0"
    (root / "models/card.json").write_text(json.dumps(card))
    train = explain({}, root)["train"]
    assert train.state == "unchanged"
    assert train.text().startswith(f"made with TensorFlow 2.20.0, now {version('tensorflow')}; made ")


def test_deleted_and_tampered_outputs_will_be_restored(finished: Path) -> None:
    (finished / "models/model.keras").unlink()
    (finished / "data/quarantine.csv").write_text("path\n")
    (finished / "data/ingested/vertical/007.jpg").unlink()
    answer = why(finished)
    assert texts(answer["ingest"]) == ["data/ingested is not what was made"]
    assert texts(answer["prepare"]) == ["data/quarantine.csv is not what was made"]
    assert texts(answer["train"]) == ["models/model.keras is missing"]
    restored = {"ingest", "prepare", "train"}
    assert states(answer) == {name: "will be restored" if name in restored else "unchanged" for name in STAGES}
    assert answer["train"]["saved_seconds"] > 0
    # and that is what DVC does
    output = run(finished, "dvc", "repro").stdout
    assert [line for line in output.splitlines() if "Running" in line] == []


def test_outputs_lost_from_the_cache_are_made_again(finished: Path) -> None:
    assert states(why(finished)) == dict.fromkeys(STAGES, "unchanged")
    recorded = YAML(typ="safe").load((finished / "dvc.lock").read_text())["stages"]["split"]["outs"]
    md5 = next(out["md5"] for out in recorded if out["path"] == "data/split.parquet")
    (finished / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}").unlink()
    answer = why(finished)["split"]
    assert (answer["state"], texts(answer)) == ("will run", ["data/split.parquet is not in DVC's cache"])


def test_a_stage_that_read_older_inputs_is_explained(finished: Path) -> None:
    set_params(finished, {"split.seed": 5})
    run(finished, "dvc", "repro", "--single-item", "split", PAWLINE_RUN="flow run brave-fox")
    answer = why(finished)
    assert (answer["split"]["state"], answer["split"]["made_by"]) == ("unchanged", "flow run brave-fox")
    assert "split has made data/split.parquet again" in texts(answer["train"])
    # back to the first seed, DVC brings the first outputs back, and with them who made those
    set_params(finished, {"split.seed": 1})
    dvc_here(finished, "repro", "--single-item", "split")
    assert why(finished, "split")["split"]["made_by"] == "dvc repro"


def test_an_experiment_is_named_where_its_outputs_are_used(finished: Path) -> None:
    arguments = ("--temp", "--name", "other-seed", "-S", "split.seed=7", "split")
    dvc_here(finished, "exp", "run", *arguments)
    assert why(finished)["split"]["made_by"] == "dvc repro"
    dvc_here(finished, "exp", "apply", "other-seed")
    assert why(finished)["split"]["made_by"] == "experiment other-seed"


def test_a_workspace_where_nothing_ran_says_so(workspace: Path) -> None:
    answer = why(workspace)
    assert list(answer) == STAGES
    assert {(entry["state"], *texts(entry)) for entry in answer.values()} == {("will run", "never run")}


def test_an_unknown_stage_is_refused_with_the_nearest_name(finished_workspace: Path) -> None:
    output = run(finished_workspace, "pawline", "why", "splt", expect=2).stderr
    assert output == "pawline: dvc.yaml: no stage 'splt'; did you mean 'split'?\n"


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    output = run(tmp_path, "pawline", "why", expect=2).stderr
    assert output == "pawline: why: no dvc.yaml is here; `cd` into a checkout\n"


def test_while_dvc_is_at_work_the_answer_is_busy(finished: Path) -> None:
    stage = finished / "tasks/report.py"
    waiting = (
        "import time\nfrom pathlib import Path\n\nwhile Path('slow').touch() or True:\n    time.sleep(0.05)\n"
    )
    stage.write_text(waiting + stage.read_text())
    with background(finished, "dvc", "repro", "report"):
        wait_for((finished / "slow").exists)
        assert "busy, try again" in run(finished, "pawline", "why", expect=75).stderr


def test_nothing_heavy_is_loaded(finished_workspace: Path) -> None:
    code = "import sys, pawline.cli.__main__; from pawline.workspace.why import why; why(); print(*sorted(sys.modules))"
    loaded = set(run(finished_workspace, "python", "-c", code).stdout.split())
    assert "pawline.workspace.history" in loaded
    heavy = {"tensorflow", "keras", "prefect", "mlflow", "dvc", "pandas", "pyarrow", "numpy", "cv2"}
    assert loaded & heavy == set()


def test_without_a_history_the_answer_says_so(finished: Path) -> None:
    LocalState(finished).history.unlink()
    answer = explain({}, finished)
    assert {entry.text() for entry in answer.values()} == {
        "made by a run that is not on record here, such as one in another clone"
    }
    assert {entry.saved_seconds for entry in answer.values()} == {None}


def test_a_line_names_three_modules_and_counts_the_others(finished_workspace: Path) -> None:
    modules = [f"pawline/{name}.py" for name in ("errors", "files", "index", "prepare", "prepared")]
    answer = explain({"prepare": [{"changed deps": dict.fromkeys(modules, "modified")}]}, finished_workspace)
    assert answer["prepare"].text() == "edited pawline/errors.py, pawline/files.py, pawline/index.py and 2 more"
    assert answer["prepare"].text(most=100) == f"edited {', '.join(modules)}"


def test_passwords_in_addresses_are_not_shown(finished: Path) -> None:
    set_params(finished, {"ingest.source": "https://me:secret@example.org/cats.zip?signature=secret"})
    status = {"ingest": [{"changed deps": {"params.yaml": {"ingest": "modified"}}}]}
    answer = explain(status, finished)["ingest"]
    assert answer.text() == "params ingest.source pictures -> https://example.org/cats.zip"
    assert "secret" not in json.dumps(answer.as_json())


def test_the_history_survives_damaged_lines(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    append(history, StageRun("split", "abc", WHEN, 4.0, "dvc repro"))
    with history.open("ab") as file:
        file.write(b'\n{"stage": "sp\n\xff\xfe\n[]\n{"stage": "split", "content": "abc", "seconds": "x"}\n{"cut')
    append(history, StageRun("train", "def", WHEN, 9.0, "flow run brave-fox"))
    runs = read_history(history)
    assert {run.by for run in runs.values()} == {"dvc repro", "flow run brave-fox"}
    assert runs["split", "abc"] == StageRun("split", "abc", WHEN, 4.0, "dvc repro")
    assert read_history(tmp_path / "none.jsonl") == {}


def test_the_newest_run_of_the_same_content_counts(tmp_path: Path) -> None:
    for seconds in (4.0, 5.0):
        append(tmp_path / "history.jsonl", StageRun("split", "abc", WHEN, seconds, "dvc repro"))
    assert read_history(tmp_path / "history.jsonl")["split", "abc"].seconds == 5.0


APPEND = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pawline.workspace.dag import read_dag
from pawline.workspace.history import StageRun, append

for number in range(200):
    append(Path(sys.argv[1]), StageRun("split", f"{sys.argv[2]} {number}", datetime.now(UTC), 1.0, "dvc repro"))
"""


def test_runs_that_end_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    children = [
        subprocess.Popen([sys.executable, "-c", APPEND, str(history), str(child)], cwd=ROOT) for child in range(3)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert len(read_history(history)) == 600


def test_the_history_stays_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    long = "x" * 100_000
    for number in range(MAX_BYTES // len(long) + 20):
        append(history, StageRun("split", f"{number} {long}", WHEN, 1.0, "dvc repro"))
    numbers = [int(content.split()[0]) for _, content in read_history(history)]
    assert history.stat().st_size < MAX_BYTES
    assert numbers == list(range(numbers[0], MAX_BYTES // len(long) + 20))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.41, "0.4 s"), (9.96, "10 s"), (14.2, "14 s"), (100, "2 min"), (1020, "17 min"), (9000, "2.5 h")],
)
def test_durations_have_two_digits_that_count(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    "source", ["data/ingested", "./data/ingested/", "data", ".", "data/ingested/vertical", "models/model.keras"]
)
def test_a_source_that_the_pipeline_writes_is_refused(workspace: Path, source: str) -> None:
    """DVC would remove it before the stage reads it."""
    set_params(workspace, {"ingest.source": source})
    output = run(workspace, "pawline", "why", expect=2).stderr
    assert output.startswith(f"pawline: ingest.source {source}: ")
    assert "is written by the pipeline, and DVC removes it before a stage runs; put your pictures into" in output
    assert output.count("\n") == 1


def test_new_decisions_about_labels_are_named_as_such(finished_workspace: Path) -> None:
    status = {"ingest": [{"changed deps": {"data/relabel.csv": "modified"}}]}
    answer = explain(status, finished_workspace)["ingest"]
    assert answer.text() == "decisions about labels in data/relabel.csv"
