"""The Prefect flow: one cache with DVC, and the whole way from a deployment to a worker."""

import json
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import State
from ruamel.yaml import YAML

from tests.background import background, commands_in, slow_report, wait_for
from tests.conftest import keep_stages, run, set_params, write_pictures
from tests.source import ROOT

STAGES = list(YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"])
FIRST = "promoted: the first version, without a champion to beat; it passed the check"
KNOWN = {"register": f"Cached version 1, known: {FIRST}"}
UNCHANGED = dict.fromkeys([*STAGES, "register"], "Cached")


def training(workspace: Path, *options: str, expect: int = 0, **environment: str) -> dict[str, str]:
    """Run the flow. Returns what it prints for each stage, such as "Cached unchanged since the last run"."""
    output = run(workspace, "python", "-m", "flows.training", *options, expect=expect, **environment)
    assert "Traceback" not in output.stderr
    rows = [line.split(maxsplit=1) for line in output.stdout.splitlines()]
    return {stage: " ".join(rest.split()) for stage, rest in rows}


def latest_run(server: dict[str, str]) -> tuple[State, dict[str, str]]:
    """The state of the latest flow run, and the name of each of its tasks' states, as the server reports."""
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        [latest] = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[latest.id])))
    assert latest.state
    return latest.state, {task.name: task.state_name or "" for task in tasks}


def assert_recorded(server: dict[str, str], states: dict[str, str]) -> None:
    """The server knows these states; they reach it after the flow's own."""
    with suppress(AssertionError):
        wait_for(lambda: latest_run(server)[1] == states, seconds=20)
    assert latest_run(server)[1] == states


def names(printed: dict[str, str]) -> dict[str, str]:
    return {stage: rest.split()[0] for stage, rest in printed.items()}


def test_the_flow_and_dvc_repro_write_the_same_lock(
    workspace: Path, finished_workspace: Path, server: dict[str, str]
) -> None:
    printed = training(workspace, **server)
    assert printed == dict.fromkeys(STAGES, "Completed ran") | {"register": f"Promoted version 1: {FIRST}"}
    assert list(printed) == [*STAGES, "register"]
    assert_recorded(server, dict.fromkeys(STAGES, "Completed") | {"register": "Promoted"})
    assert (workspace / "dvc.lock").read_bytes() == (finished_workspace / "dvc.lock").read_bytes()
    assert json.loads(run(workspace, "dvc", "status", "--json").stdout) == {}
    assert "Data and pipelines are up to date." in run(workspace, "dvc", "repro").stdout
    assert (workspace / "dvc.lock").read_bytes() == (finished_workspace / "dvc.lock").read_bytes()


def test_after_dvc_repro_the_flow_runs_nothing(finished: Path, server: dict[str, str]) -> None:
    unchanged = dict.fromkeys(STAGES, "Cached unchanged since the last run")
    assert training(finished, **server) == unchanged | KNOWN
    assert_recorded(server, UNCHANGED)
    assert run(finished, "git", "status", "--porcelain").stdout == ""


def test_a_lost_and_a_damaged_output_come_back_from_the_cache(finished: Path, server: dict[str, str]) -> None:
    """What a killed run left in DVC's list of locks blocks nothing, and a page in Prefect shows each stage."""
    damaged, lost = finished / "data/split.parquet", finished / "models/model.keras"
    before = damaged.read_bytes(), lost.read_bytes()
    damaged.write_bytes(b"tampered with")
    lost.unlink()
    killed = {"write": {str(damaged): {"pid": 1, "cmd": "dvc repro"}}}
    (finished / ".dvc/tmp/rwlock").write_text(json.dumps(killed))
    restored = "Cached restored from DVC's cache"
    unchanged = "Cached unchanged since the last run"
    assert training(finished, **server) == dict.fromkeys(STAGES, unchanged) | {
        "split": restored,
        "train": restored,
        **KNOWN,
    }
    assert (damaged.read_bytes(), lost.read_bytes()) == before
    assert_recorded(server, UNCHANGED)
    assert_page(server, finished)


def assert_page(server: dict[str, str], workspace: Path) -> None:
    """The latest flow run has a page on its stages, of which the one of `train` was restored."""
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        [latest] = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        [artifact] = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[latest.id]))
        )
    page = str(artifact.data)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    cells = {row[0]: row for row in rows}
    assert [cells[stage][1] for stage in STAGES] == ["Cached"] * len(STAGES)
    assert cells["train"][2] == "restored from DVC's cache"
    assert cells["prepare"][4].endswith(" s")  # what the run by `dvc repro` had taken
    accuracy = json.loads((workspace / "metrics/evaluate.json").read_text())["accuracy"]
    assert cells["test accuracy"][1].startswith(f"{accuracy:.3f} ")
    assert f"Report: `{workspace / 'reports/report.html'}`" in page


def test_a_changed_param_runs_only_what_it_affects(finished: Path, server: dict[str, str]) -> None:
    """It leaves what `prepare` writes as it was, so everything after it stays."""
    lock = (finished / "dvc.lock").read_bytes()
    set_params(finished, {"prepare.max_bad_fraction": 0.5})
    assert names(training(finished, **server)) == UNCHANGED | {"prepare": "Completed"}
    assert_recorded(server, UNCHANGED | {"prepare": "Completed"})
    set_params(finished, {"prepare.max_bad_fraction": 0.05})
    assert training(finished, **server)["prepare"] == "Cached restored from DVC's cache"
    assert_recorded(server, UNCHANGED)
    assert (finished / "dvc.lock").read_bytes() == lock


def test_a_failed_stage_blocks_the_rest_and_the_next_run_starts_there(
    finished: Path, server: dict[str, str]
) -> None:
    (finished / "pictures/vertical/bad.jpg").write_text("no picture")
    set_params(finished, {"prepare.max_bad_fraction": 0})
    printed = training(finished, expect=3, **server)
    assert printed["prepare"].startswith("Failed stage 'prepare' failed (exit code 3): 1 of 121 images are bad")
    blocked = dict.fromkeys([*STAGES[2:], "register"], "NotReady")
    assert names(printed) == {"ingest": "Completed", "prepare": "Failed"} | blocked
    assert_recorded(server, names(printed))
    state, _ = latest_run(server)
    assert (state.name, f"Failed {state.message}") == ("Failed", printed["prepare"])

    set_params(finished, {"prepare.max_bad_fraction": 0.05})
    mended = training(finished, **server)
    assert names(mended) == UNCHANGED | dict.fromkeys(["prepare", "report", "check"], "Completed")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_stage_too_and_the_same_command_continues(
    finished: Path, server: dict[str, str], signum: int, code: int
) -> None:
    slow_report(finished)
    with background(finished, "python", "-m", "flows.training", **server) as flow:
        wait_for(lambda: "python -m tasks.report" in commands_in(finished))
        flow.send_signal(signum)
        assert flow.wait(30) == code
        assert commands_in(finished) == []
    assert "pid" not in (finished / ".dvc/tmp/rwlock").read_text()
    assert_recorded(server, dict.fromkeys(STAGES[:-1], "Cached") | {"report": "Crashed"})  # check had no turn

    (finished / "slow").unlink()
    assert names(training(finished, **server)) == UNCHANGED | {"report": "Completed"}


def test_another_run_on_the_same_files_is_not_disturbed(finished: Path, server: dict[str, str]) -> None:
    slow_report(finished)
    with background(finished, "dvc", "repro", "report"):
        wait_for(lambda: "python -m tasks.report" in commands_in(finished))
        assert "busy, try again" in training(finished, expect=75, **server)["ingest"]


@pytest.mark.parametrize("victim", ["flow", "dvc"])
def test_a_killed_runner_takes_its_stage_along(finished: Path, server: dict[str, str], victim: str) -> None:
    """A killed flow cannot report its end to Prefect: the next flow run does."""
    slow_report(finished)
    with background(finished, "python", "-m", "flows.training", **server) as flow:
        wait_for(lambda: "python -m tasks.report" in commands_in(finished))
        [dvc] = [child for child in psutil.Process(flow.pid).children() if "dvc" in child.cmdline()]
        (flow if victim == "flow" else dvc).kill()
        assert flow.wait(60) == (-9 if victim == "flow" else 1)
        wait_for(lambda: commands_in(finished) == [], seconds=15)
    (finished / "slow").unlink()
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        [killed] = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        assert killed.state_name == ("Running" if victim == "flow" else "Failed")
        assert names(training(finished, **server)) == UNCHANGED | {"report": "Completed"}
        assert client.read_flow_run(killed.id).state_name == ("Crashed" if victim == "flow" else "Failed")


def test_a_stage_that_takes_too_long_is_ended(finished: Path, server: dict[str, str]) -> None:
    slow_report(finished)
    printed = training(finished, "--stage-minutes", "0.05", expect=1, **server)
    problem = "stage 'report' took longer than 0.05 minutes and was ended"
    assert printed["report"] == f"Failed {problem}; raise --stage-minutes"
    assert commands_in(finished) == []


def test_overrides_leave_the_checkout_alone_and_make_an_experiment(finished: Path, server: dict[str, str]) -> None:
    keep_stages(finished, *(kept := ["ingest", "prepare", "split"]))
    write_pictures(finished.parent / "more", count=70)
    (finished / "README.md").write_text("not committed yet")
    lock = (finished / "dvc.lock").read_bytes()
    printed = training(finished, "--set", "split.val_fraction=0.2", "--set", "ingest.source=../more", **server)
    assert names(printed) == dict.fromkeys(kept, "Completed")
    assert run(finished, "git", "status", "--porcelain").stdout == " M README.md\n"
    assert json.loads(run(finished, "dvc", "status", "--json").stdout) == {}
    assert (finished / "dvc.lock").read_bytes() == lock
    assert len(run(finished, "git", "worktree", "list").stdout.splitlines()) == 1

    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        [latest] = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
    assert run(finished, "dvc", "exp", "list", "--name-only").stdout.split() == [latest.name]
    run(finished, "git", "checkout", "README.md")
    run(finished, "dvc", "exp", "apply", latest.name)
    assert json.loads((finished / "metrics/ingest.json").read_text())["num_files"] == 140
    assert names(training(finished, **server)) == dict.fromkeys(kept, "Cached")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "train.epoks=1",
            "pawline: the values given for this run: unknown key 'train.epoks'; did you mean 'epochs'?",
        ),
        ("train.epochs=0", "pawline: the values given for this run: train.epochs is 0: input should be greater"),
        ("train.epochs", "pawline: --set train.epochs: expected KEY=VALUE, such as train.epochs=5"),
    ],
)
def test_impossible_values_are_refused_before_anything_starts(workspace: Path, option: str, message: str) -> None:
    output = run(workspace, "python", "-m", "flows.training", "--set", option, expect=2)
    assert output.stderr.startswith(message)
    assert output.stderr.count("\n") == 1
    assert not (workspace / ".pawline/runs").exists()


def test_unreadable_params_are_named_before_overrides(workspace: Path) -> None:
    for content, says in ((b"", "is null"), (b"train: [", "not valid YAML")):
        (workspace / "params.yaml").write_bytes(content)
        output = run(workspace, "python", "-m", "flows.training", "--set", "train.epochs=1", expect=2)
        assert says in output.stderr
        assert output.stderr.count("\n") == 1


def test_only_abandoned_workspaces_are_removed(workspace: Path) -> None:
    runs = workspace / ".pawline/runs"
    for name in ("left", "used"):
        run(workspace, "git", "worktree", "add", "--detach", str(runs / name / "1/checkout"))
    (runs / "left.lock").touch()
    with FileLock(runs / "used.lock"):
        code = (
            "import pathlib, pawline.workspace.isolated as i; i.remove_left_behind(pathlib.Path('.pawline/runs'))"
        )
        run(workspace, "python", "-c", code)
        assert sorted(path.name for path in runs.iterdir()) == ["used", "used.lock"]
    assert len(run(workspace, "git", "worktree", "list").stdout.splitlines()) == 2


def test_another_checkout_with_the_same_cache_has_nothing_to_run(
    finished: Path, server: dict[str, str], tmp_path: Path
) -> None:
    """The first checkout has nothing to run either after the other one ran. (The metrics come with git.)"""
    clone, worktree, restored = tmp_path / "a clone", tmp_path / "a worktree", "Cached restored from DVC's cache"
    keep_stages(finished, *(kept := ["ingest", "prepare", "split"]))
    run(finished, "git", "clone", "--quiet", ".", str(clone))
    run(finished, "git", "worktree", "add", "--detach", str(worktree))
    for other in (clone, worktree):
        run(other, "dvc", "config", "--local", "cache.dir", str(finished / ".dvc/cache"))
        assert training(other, **server) == dict.fromkeys(kept, restored)
        assert run(other, "git", "status", "--porcelain").stdout == ""
        assert "Data and pipelines are up to date." in run(other, "dvc", "repro").stdout
    for checkout in (worktree, finished):
        set_params(checkout, {"prepare.max_bad_fraction": 0.5})
    assert names(training(worktree, **server)) == dict.fromkeys(kept, "Cached") | {"prepare": "Completed"}
    assert training(finished, **server)["prepare"] == restored
    assert (finished / "dvc.lock").read_bytes() == (worktree / "dvc.lock").read_bytes()


def test_a_lock_file_that_was_cut_off_is_put_back(finished: Path, server: dict[str, str]) -> None:
    """An empty list of DVC's locks, cut off too, blocks nothing."""
    lock = (finished / "dvc.lock").read_bytes()
    (finished / "models/card.json").unlink()
    (finished / ".dvc/tmp/rwlock").write_text("")
    assert training(finished, **server)["train"] == "Cached restored from DVC's cache"  # and keeps the lock file
    (finished / "dvc.lock").write_bytes(b"")
    run(finished, "dvc", "status", expect=1)
    assert names(training(finished, **server)) == UNCHANGED
    assert (finished / "dvc.lock").read_bytes() == lock


def test_a_missing_source_is_bad_data(finished: Path, server: dict[str, str]) -> None:
    set_params(finished, {"ingest.source": "nowhere.zip"})
    printed = training(finished, expect=3, **server)
    assert printed["ingest"].endswith("/nowhere.zip: no such folder or archive; set ingest.source in params.yaml")
    set_params(finished, {"ingest.source": "pictures"})
    assert names(training(finished, **server)) == UNCHANGED


def test_without_the_source_the_flow_trains_on_the_pulled_data(finished: Path, server: dict[str, str]) -> None:
    """A colleague, a CI job or a worker has the data, but the photographs are on another machine."""
    (finished / "pictures").rename(finished.parent / "away")
    shutil.rmtree(finished / "data/ingested")
    set_params(finished, {"prepare.max_bad_fraction": 0.5})
    printed = training(finished, **server)
    line = "the source pictures is not here and was not looked at; the data set of dvc.lock is used"
    assert printed["ingest"] == f"Cached {line}"
    assert names(printed) == UNCHANGED | {"prepare": "Completed"}
    assert len([*(finished / "data/ingested").rglob("*.jpg")]) == 120

    with (finished / "pawline/ingest.py").open("a") as file:
        file.write("# a thought\n")
    printed = training(finished, expect=3, **server)
    assert printed["ingest"].endswith("/pictures: no such folder or archive; set ingest.source in params.yaml")
    assert len([*(finished / "data/ingested").rglob("*.jpg")]) == 120


@pytest.fixture(scope="module")
def no_server(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A place for what a temporary server keeps."""
    return {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "PREFECT_API_URL": ""}


def test_without_a_server_ctrl_c_ends_everything(finished: Path, no_server: dict[str, str]) -> None:
    """Ctrl-C reaches every process of the terminal's group, the temporary server too."""
    slow_report(finished)
    with background(finished, "python", "-m", "flows.training", **no_server) as flow:
        wait_for(lambda: "python -m tasks.report" in commands_in(finished))
        os.killpg(flow.pid, signal.SIGINT)
        assert flow.wait(30) == 130
        assert commands_in(finished) == []
    output = (finished / "background.log").read_text()
    assert "Traceback" not in output
    assert "pawline: interrupted; the same command continues" in output.splitlines()


def test_the_flow_needs_no_server_and_no_working_directory(
    finished: Path, no_server: dict[str, str], tmp_path: Path
) -> None:
    assert names(training(tmp_path, PYTHONPATH=str(finished), **no_server)) == UNCHANGED


def test_a_server_that_does_not_answer_is_named_in_one_line(workspace: Path, tmp_path: Path) -> None:
    nowhere = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    output = run(workspace, "python", "-m", "flows.training", expect=75, **nowhere)
    assert output.stderr.startswith("pawline: Failed to reach API at http://127.0.0.1:9/api/; start the Prefect")
    assert output.stderr.count("\n") == 1
