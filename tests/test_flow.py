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
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import State
from ruamel.yaml import YAML

from tests.background import background, commands_in, slow_split, wait_for
from tests.conftest import FIRST_STAGES, dvc_here, run, set_params, write_pictures
from tests.source import ROOT

STAGES = list(YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"])
FIRST = "promoted: the first version, without a champion to beat; it passed the check"
KNOWN = {"register": f"Cached version 1, known: {FIRST}"}
CACHED = dict.fromkeys(FIRST_STAGES, "Cached")


def training(workspace: Path, *options: str, expect: int = 0, **environment: str) -> dict[str, str]:
    """Run the flow. Returns what it prints for each stage, such as "Cached unchanged since the last run"."""
    output = run(workspace, "python", "-m", "flows.training", *options, expect=expect, **environment)
    assert "Traceback" not in output.stderr
    rows = [line.split(maxsplit=1) for line in output.stdout.splitlines()]
    return {stage: " ".join(rest.split()) for stage, rest in rows}


def latest_flow_run(client: SyncPrefectClient) -> FlowRun:
    """The latest that no deployment caused: those are of other tests."""
    by_hand = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(is_null_=True))
    [latest] = client.read_flow_runs(flow_run_filter=by_hand, sort=FlowRunSort.START_TIME_DESC, limit=1)
    return latest


def latest_run(server: dict[str, str]) -> tuple[State, dict[str, str]]:
    """The state of the latest flow run, and the name of each of its tasks' states, as the server reports."""
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        latest = latest_flow_run(client)
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
    assert json.loads(dvc_here(workspace, "status", "--json")) == {}
    assert "Data and pipelines are up to date." in dvc_here(workspace, "repro")
    assert (workspace / "dvc.lock").read_bytes() == (finished_workspace / "dvc.lock").read_bytes()


def test_after_dvc_repro_the_flow_runs_nothing(finished: Path, server: dict[str, str]) -> None:
    unchanged = dict.fromkeys(STAGES, "Cached unchanged since the last run")
    assert training(finished, **server) == unchanged | KNOWN
    assert_recorded(server, dict.fromkeys([*STAGES, "register"], "Cached"))
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
    assert_page(server, finished)


def assert_page(server: dict[str, str], workspace: Path) -> None:
    """The latest flow run has a page on its stages, of which the one of `train` was restored."""
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        latest = latest_flow_run(client)
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


def test_a_changed_param_runs_only_what_it_affects(short: Path, server: dict[str, str]) -> None:
    """It leaves what `prepare` writes as it was, so everything after it stays."""
    lock = (short / "dvc.lock").read_bytes()
    set_params(short, {"prepare.max_bad_fraction": 0.5})
    affected = CACHED | {"prepare": "Completed"}
    assert names(training(short, **server)) == affected
    assert_recorded(server, affected)
    set_params(short, {"prepare.max_bad_fraction": 0.05})
    assert training(short, **server)["prepare"] == "Cached restored from DVC's cache"
    assert_recorded(server, CACHED)
    assert (short / "dvc.lock").read_bytes() == lock


def test_a_failed_stage_blocks_the_rest_and_the_next_run_starts_there(short: Path, server: dict[str, str]) -> None:
    (short / "pictures/vertical/bad.jpg").write_text("no picture")
    set_params(short, {"prepare.max_bad_fraction": 0})
    printed = training(short, expect=3, **server)
    assert printed["prepare"].startswith("Failed stage 'prepare' failed (exit code 3): 1 of 121 images are bad")
    assert names(printed) == {"ingest": "Completed", "prepare": "Failed", "split": "NotReady"}
    assert_recorded(server, names(printed))
    state, _ = latest_run(server)
    assert (state.name, f"Failed {state.message}") == ("Failed", printed["prepare"])

    set_params(short, {"prepare.max_bad_fraction": 0.05})
    assert names(training(short, **server)) == CACHED | {"prepare": "Completed"}


def test_a_signal_ends_the_stage_too_and_the_same_command_continues(short: Path, server: dict[str, str]) -> None:
    slow_split(short)
    for signum, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with background(short, "python", "-m", "flows.training", **server) as flow:
            wait_for(lambda: "python -m tasks.split" in commands_in(short))
            flow.send_signal(signum)
            assert flow.wait(30) == code
            assert commands_in(short) == []
        assert "pid" not in (short / ".dvc/tmp/rwlock").read_text()
        assert_recorded(server, CACHED | {"split": "Crashed"})

    (short / "slow").unlink()
    assert names(training(short, **server)) == CACHED | {"split": "Completed"}


def test_another_run_on_the_same_files_is_not_disturbed(short: Path, server: dict[str, str]) -> None:
    slow_split(short)
    with background(short, "dvc", "repro"):
        wait_for(lambda: "python -m tasks.split" in commands_in(short))
        assert "busy, try again" in training(short, expect=75, **server)["ingest"]


def test_a_killed_runner_takes_its_stage_along(short: Path, server: dict[str, str]) -> None:
    """A killed flow cannot report its end to Prefect: the next flow run does."""
    slow_split(short)
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        for victim, code, state in (("dvc", 1, "Failed"), ("flow", -9, "Running")):
            with background(short, "python", "-m", "flows.training", **server) as flow:
                wait_for(lambda: "python -m tasks.split" in commands_in(short))
                [dvc] = [child for child in psutil.Process(flow.pid).children() if "dvc" in child.cmdline()]
                (flow if victim == "flow" else dvc).kill()
                assert flow.wait(60) == code
                wait_for(lambda: commands_in(short) == [], seconds=15)
            killed = latest_flow_run(client)
            assert killed.state_name == state
        (short / "slow").unlink()
        assert names(training(short, **server)) == CACHED | {"split": "Completed"}
        assert client.read_flow_run(killed.id).state_name == "Crashed"


def test_a_stage_that_takes_too_long_is_ended(short: Path, server: dict[str, str]) -> None:
    slow_split(short)
    printed = training(short, "--stage-minutes", "0.05", expect=1, **server)
    problem = "stage 'split' took longer than 0.05 minutes and was ended"
    assert printed["split"] == f"Failed {problem}; raise --stage-minutes"
    assert commands_in(short) == []


def test_overrides_leave_the_checkout_alone_and_make_an_experiment(short: Path, server: dict[str, str]) -> None:
    write_pictures(short.parent / "more", count=70)
    (short / "README.md").write_text("not committed yet")
    lock = (short / "dvc.lock").read_bytes()
    printed = training(short, "--set", "split.val_fraction=0.2", "--set", "ingest.source=../more", **server)
    assert names(printed) == dict.fromkeys(FIRST_STAGES, "Completed")
    assert run(short, "git", "status", "--porcelain").stdout == " M README.md\n"
    assert json.loads(dvc_here(short, "status", "--json")) == {}
    assert (short / "dvc.lock").read_bytes() == lock
    assert len(run(short, "git", "worktree", "list").stdout.splitlines()) == 1

    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        latest = latest_flow_run(client)
    assert dvc_here(short, "exp", "list", "--name-only").split() == [latest.name]
    run(short, "git", "checkout", "README.md")
    dvc_here(short, "exp", "apply", latest.name)
    assert json.loads((short / "metrics/ingest.json").read_text())["num_files"] == 140
    assert names(training(short, **server)) == CACHED


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
    short: Path, server: dict[str, str], tmp_path: Path
) -> None:
    """The first checkout has nothing to run either after the other one ran. (The metrics come with git.)"""
    clone, worktree, restored = tmp_path / "a clone", tmp_path / "a worktree", "Cached restored from DVC's cache"
    run(short, "git", "clone", "--quiet", ".", str(clone))
    run(short, "git", "worktree", "add", "--detach", str(worktree))
    for other in (clone, worktree):
        dvc_here(other, "config", "--local", "cache.dir", str(short / ".dvc/cache"))
        assert training(other, **server) == dict.fromkeys(FIRST_STAGES, restored)
        assert run(other, "git", "status", "--porcelain").stdout == ""
        assert "Data and pipelines are up to date." in dvc_here(other, "repro")
    for checkout in (worktree, short):
        set_params(checkout, {"prepare.max_bad_fraction": 0.5})
    assert names(training(worktree, **server)) == CACHED | {"prepare": "Completed"}
    assert training(short, **server)["prepare"] == restored
    assert (short / "dvc.lock").read_bytes() == (worktree / "dvc.lock").read_bytes()


def test_a_lock_file_that_was_cut_off_is_put_back(short: Path, server: dict[str, str]) -> None:
    """An empty list of DVC's locks, cut off too, blocks nothing."""
    lock = (short / "dvc.lock").read_bytes()
    (short / "data/split.parquet").unlink()
    (short / ".dvc/tmp/rwlock").write_text("")
    assert training(short, **server)["split"] == "Cached restored from DVC's cache"  # and keeps the lock file
    (short / "dvc.lock").write_bytes(b"")
    run(short, "dvc", "status", expect=1)
    assert names(training(short, **server)) == CACHED
    assert (short / "dvc.lock").read_bytes() == lock


def test_a_missing_source_is_bad_data(short: Path, server: dict[str, str]) -> None:
    set_params(short, {"ingest.source": "nowhere.zip"})
    printed = training(short, expect=3, **server)
    assert printed["ingest"].endswith("/nowhere.zip: no such folder or archive; set ingest.source in params.yaml")
    set_params(short, {"ingest.source": "pictures"})
    assert names(training(short, **server)) == CACHED


def test_without_the_source_the_flow_trains_on_the_pulled_data(short: Path, server: dict[str, str]) -> None:
    """A colleague, a CI job or a worker has the data, but the photographs are on another machine."""
    (short / "pictures").rename(short.parent / "away")
    shutil.rmtree(short / "data/ingested")
    set_params(short, {"prepare.max_bad_fraction": 0.5})
    printed = training(short, **server)
    line = "the source pictures is not here and was not looked at; the data set of dvc.lock is used"
    assert printed["ingest"] == f"Cached {line}"
    assert names(printed) == CACHED | {"prepare": "Completed"}
    assert len([*(short / "data/ingested").rglob("*.jpg")]) == 120

    with (short / "pawline/ingest.py").open("a") as file:
        file.write("# a thought\n")
    printed = training(short, expect=3, **server)
    assert printed["ingest"].endswith("/pictures: no such folder or archive; set ingest.source in params.yaml")
    assert len([*(short / "data/ingested").rglob("*.jpg")]) == 120


@pytest.fixture(scope="module")
def no_server(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A place for what a temporary server keeps."""
    return {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "PREFECT_API_URL": ""}


def test_without_a_server_ctrl_c_ends_everything(short: Path, no_server: dict[str, str]) -> None:
    """Ctrl-C reaches every process of the terminal's group, the temporary server too."""
    slow_split(short)
    with background(short, "python", "-m", "flows.training", **no_server) as flow:
        wait_for(lambda: "python -m tasks.split" in commands_in(short))
        os.killpg(flow.pid, signal.SIGINT)
        assert flow.wait(30) == 130
        assert commands_in(short) == []
    output = (short / "background.log").read_text()
    assert "Traceback" not in output
    assert "pawline: interrupted; the same command continues" in output.splitlines()


def test_the_flow_needs_no_server_and_no_working_directory(
    short: Path, no_server: dict[str, str], tmp_path: Path
) -> None:
    assert names(training(tmp_path, PYTHONPATH=str(short), **no_server)) == CACHED


def test_a_server_that_does_not_answer_is_named_in_one_line(workspace: Path, tmp_path: Path) -> None:
    nowhere = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    output = run(workspace, "python", "-m", "flows.training", expect=75, **nowhere)
    assert output.stderr.startswith("pawline: Failed to reach API at http://127.0.0.1:9/api/; start the Prefect")
    assert output.stderr.count("\n") == 1
