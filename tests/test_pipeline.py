"""The pipeline under DVC: written down once, and what people do with it."""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pawline.params.whole import Params
from pawline.workspace.layout import Layout
from tests.conftest import commit, dvc_here, run, set_params, write_pictures
from tests.source import ROOT, RUN, SHELL, library_files

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES = list(PIPELINE["stages"])


def test_stages_tasks_and_params_carry_the_same_words() -> None:
    modules = {path.stem for path in (ROOT / "tasks").glob("*.py")}
    assert set(STAGES) <= modules
    for name, stage in PIPELINE["stages"].items():
        assert stage["cmd"] == f"python -m tasks.{name}"
    read = {section for stage in PIPELINE["stages"].values() for section in stage.get("params", [])}
    assert read | {"promotion"} == set(Params.model_fields)  # which `pawline register` reads


def test_git_ignores_what_the_docs_tell_people_to_write() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"--out ([a-z_]+\.[a-z]+)", page.read_text())}
    assert {"suspects.html", "compare.html"} <= named
    assert {f"/{name}" for name in named} <= {*(ROOT / ".gitignore").read_text().splitlines()}


def code_deps(stage: str) -> list[str]:
    return [dep for dep in PIPELINE["stages"][stage]["deps"] if dep.startswith(("pawline/", "tasks/"))]


def lies_in(file: str, dep: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_calls_and_on_nothing_else(stage: str) -> None:
    files, deps = library_files(f"tasks/{stage}.py"), code_deps(stage)
    assert [file for file in sorted(files) if not any(lies_in(file, dep) for dep in deps)] == []
    assert [dep for dep in deps if not any(lies_in(file, dep) for file in files)] == []
    shell = [dep for dep in deps if dep.startswith(SHELL) and dep not in RUN.get(f"tasks/{stage}.py", ())]
    assert shell == []
    assert [dep for dep in deps if not (ROOT / dep).exists()] == []


@pytest.mark.parametrize("stage", STAGES)
def test_only_code_that_a_stage_depends_on_writes_its_outputs(
    stage: str, recorded_writes: list[dict[str, Any]]
) -> None:
    """What surrounds a stage (its start and end, the history, MLflow's mirror) may change without running it."""
    outs, deps = outputs(PIPELINE["stages"][stage]), code_deps(stage)
    written: dict[str, list[str]] = {out: [] for out in outs}
    for write in recorded_writes:
        for out in (out for out in outs if lies_in(write["path"], out)):
            assert (write["stage"], f"tasks/{stage}.py" in write["files"]) == (stage, True), write
            written[out] += write["files"][: write["files"].index(f"tasks/{stage}.py") + 1]
    for out, files in written.items():
        assert files, f"nobody was seen to write {out}"
        assert [file for file in files if not any(lies_in(file, dep) for dep in deps)] == [], out


def test_the_layout_and_dvc_yaml_name_the_same_files() -> None:
    written = {path for stage in PIPELINE["stages"].values() for path in outputs(stage)}
    at = Layout()
    ours = {str(path) for name, path in vars(at).items() if name not in ("params", "relabel", "metrics")}
    measured = [stage for stage in STAGES if PIPELINE["stages"][stage].get("metrics")]
    assert written == ours | {str(at.metrics_of(stage)) for stage in measured}


def outputs(stage: dict[str, Any]) -> list[str]:
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    return [path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)]


def test_repro_trains_a_model_that_tells_stripes_apart(finished_workspace: Path) -> None:
    metrics = json.loads((finished_workspace / "metrics/evaluate.json").read_text())
    assert metrics["accuracy"] >= 0.95
    assert metrics["accuracy_low"] < metrics["accuracy"] <= metrics["accuracy_high"]


def test_how_long_an_answer_took_stands_in_mlflow_and_in_no_output(finished_workspace: Path) -> None:
    (found,) = logged_runs(finished_workspace)
    assert found.data.metrics["test_milliseconds_per_picture"] > 0
    assert "milliseconds" not in (finished_workspace / "metrics/evaluate.json").read_text()


def test_the_report_states_the_figures_of_the_metrics(finished_workspace: Path) -> None:
    figures = json.loads((finished_workspace / "metrics/evaluate.json").read_text())
    html = (finished_workspace / "reports/report.html").read_text()
    title = f"accuracy {figures['accuracy']:.1%} on {figures['num_images']} test pictures"
    assert f"<title>Pawline report: {title}</title>" in html
    assert f"<dt>Loss</dt><dd>{figures['loss']:.4f}<small>{figures['loss_low']:.4f} to " in html


@pytest.mark.parametrize(
    ("name", "colours"),
    [("ROC", {"horizontal", "vertical"}), ("Calibration", {"before", "after"}), ("Thresholds", {"val", "test"})],
)
def test_a_plot_tells_its_curves_and_versions_apart(
    finished_workspace: Path, name: str, colours: set[str]
) -> None:
    plot = json.loads(dvc_here(finished_workspace, "plots", "show", "--show-vega", name))
    encoding, points = plot["encoding"], plot["data"]["values"]
    assert {point[encoding["color"]["field"]] for point in points} == colours
    assert {point[encoding["strokeDash"]["field"]] for point in points} == {"workspace"}
    assert {encoding["x"]["field"], encoding["y"]["field"]} <= set(points[0])


def test_a_second_repro_runs_nothing(finished_workspace: Path) -> None:
    lock = (finished_workspace / "dvc.lock").read_bytes()
    output = run(finished_workspace, "dvc", "repro").stdout
    assert [line for line in output.splitlines() if "Running" in line] == []
    assert "Data and pipelines are up to date." in output
    assert json.loads(dvc_here(finished_workspace, "status", "--json")) == {}
    assert (finished_workspace / "dvc.lock").read_bytes() == lock


def test_hashed_outputs_name_no_folder_of_this_machine(finished_workspace: Path) -> None:
    texts = [finished_workspace / "dvc.lock", *(finished_workspace / "metrics").glob("*.json")]
    texts += [*(finished_workspace / "reports").iterdir(), finished_workspace / "models/card.json"]
    for path in texts:
        assert str(finished_workspace.parent).encode() not in path.read_bytes(), path


def test_a_new_picture_is_noticed_and_moves_no_old_one(finished: Path) -> None:
    before = pd.read_parquet(finished / "data/split.parquet").set_index("digest")["split"]
    write_pictures(finished / "pictures", count=3, first=900)
    assert "pictures" in dvc_here(finished, "status", "--json")
    dvc_here(finished, "repro", "split")
    after = pd.read_parquet(finished / "data/split.parquet").set_index("digest")["split"]
    assert len(after) == len(before) + 6
    assert after[before.index].equals(before)


def test_going_back_to_an_earlier_data_set_brings_its_results_back(finished: Path) -> None:
    run(finished, "git", "tag", "v1")
    first = (finished / "metrics/split.json").read_bytes()
    write_pictures(finished / "pictures", count=3, first=900)
    dvc_here(finished, "repro", "split")
    commit(finished)
    assert "data/ingested/" in dvc_here(finished, "diff", "v1", "HEAD")
    run(finished, "git", "checkout", "--quiet", "v1")
    dvc_here(finished, "checkout")
    assert (finished / "metrics/split.json").read_bytes() == first
    assert len(list((finished / "data/ingested").rglob("*.jpg"))) == 120


def test_pushed_data_can_be_pulled_into_a_clone(finished: Path, tmp_path: Path) -> None:
    dvc_here(finished, "push")
    run(tmp_path, "git", "clone", "--quiet", str(finished), "clone")
    dvc_here(tmp_path / "clone", "remote", "modify", "--local", "local", "url", str(finished / ".dvc-remote"))
    dvc_here(tmp_path / "clone", "pull")
    assert json.loads(dvc_here(tmp_path / "clone", "status", "--json")) == {}


def test_an_experiment_is_compared_with_what_is_committed(finished: Path) -> None:
    """The experiment runs in DVC's temporary copy, so this also shows where the MLflow run of such a copy lands."""
    dvc_here(finished, "exp", "run", "--temp", "--name", "shorter", "-S", "train.epochs=1", "train")
    diff = json.loads(dvc_here(finished, "metrics", "diff", "--json", "HEAD", "shorter"))
    assert diff["metrics/train.json"]["num_epochs"] == {"old": 4, "new": 1, "diff": -3}
    dvc_here(finished, "plots", "diff", "HEAD", "shorter")
    assert (finished / "dvc_plots/index.html").exists()
    assert sorted(found.data.params["train.epochs"] for found in logged_runs(finished)) == ["1", "4"]


def logged_runs(workspace: Path) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pawline")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def test_bad_params_are_refused_before_anything_runs(finished: Path) -> None:
    set_params(finished, {"train.epochs": 0})
    output = run(finished, "python", "-m", "tasks.ingest", expect=2).stderr
    assert output == "pawline: params.yaml: train.epochs is 0: input should be greater than or equal to 1\n"
    assert len(list((finished / "data/ingested").rglob("*.jpg"))) == 120


BY_PYDANTIC = "__import__('pydantic_core').PydanticSerializationError('In a function: KeyboardInterrupt: ')"


@pytest.mark.parametrize("interrupt", ["KeyboardInterrupt", BY_PYDANTIC])
def test_ctrl_c_while_a_stage_is_being_imported_costs_one_line(workspace: Path, interrupt: str) -> None:
    output = raised_while_imported(workspace, interrupt, code=130)
    assert output == "pawline: interrupted; the same command continues\n"


def test_other_errors_keep_their_traceback(workspace: Path) -> None:
    output = raised_while_imported(workspace, "TypeError('not a KeyboardInterrupt')", code=1)
    assert output.startswith("Traceback")
    assert output.endswith("TypeError: not a KeyboardInterrupt\n")


def raised_while_imported(workspace: Path, error: str, code: int) -> str:
    """What a stage writes to standard error."""
    evaluate = workspace / "pawline/evaluate.py"
    evaluate.write_text(f"raise {error}\n{evaluate.read_text()}")
    return run(workspace, "python", "-m", "tasks.evaluate", expect=code).stderr
