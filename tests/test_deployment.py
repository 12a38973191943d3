"""The whole way from a trigger to a finished run, by a worker and by `serve`, as people use them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from ruamel.yaml import YAML

from flows import retrain
from tests.background import background, commands_in, slow_split, wait_for
from tests.conftest import dvc_here, keep_stages, run, set_params, write_pictures
from tests.source import ROOT
from tests.test_stale_locks import holder, program

OFTEN = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
RUNNERS = ["worker", "serve"]


@contextmanager
def offered(
    by: str, workspace: Path, elsewhere: Path, server: dict[str, str], deployed: bool = False
) -> Iterator[psutil.Process]:
    """The deployments of a workspace, by `serve` or by a worker that was started in another folder."""
    commands = {
        "worker": (elsewhere, "prefect", "worker", "start", "--pool", "local", "--type", "process"),
        "serve": (workspace, "python", "-m", "flows.serve"),
    }
    place, *command = commands[by]
    with background(place, *command, **server, **OFTEN) as process:
        log = place / "background.log"
        wait_for(lambda: "started" in log.read_text() or "being served" in log.read_text())
        if by == "worker" and not deployed:
            run(workspace, "prefect", "deploy", "--all", **server)
        yield psutil.Process(process.pid)


def trigger(server: dict[str, str], deployment: str = "training/local", **params: object) -> FlowRun:
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        known = client.read_deployment_by_name(deployment)
        return client.create_flow_run_from_deployment(known.id, parameters=params)


def runs_of(server: dict[str, str], flow: str) -> list[FlowRun]:
    """Those that a deployment caused, the latest first."""
    with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
        return client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(is_null_=False)),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        )


def ended(server: dict[str, str], triggered: FlowRun) -> FlowRun:
    """The flow run, once it has come to its end."""

    def look() -> FlowRun:
        with SyncPrefectClient(server["PREFECT_API_URL"]) as client:
            return client.read_flow_run(triggered.id)

    wait_for(lambda: (state := look().state) is not None and state.is_final())
    return look()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (folder := tmp_path / "elsewhere").mkdir()
    return folder


@pytest.mark.parametrize("by", RUNNERS)
def test_triggers_take_turns_can_be_cancelled_and_outlive_a_killed_runner(
    by: str, short: Path, server: dict[str, str], elsewhere: Path
) -> None:
    with offered(by, short, elsewhere, server) as runner:
        if by == "worker":  # the turn is the flow's own, under any runner
            two_at_once_take_turns(short, server)
        slow_split(short)
        cancelling_ends_the_stage(short, server)
        killed = a_kill_takes_the_stage_along(runner, short, server)
    (short / "slow").unlink()
    with offered(by, short, elsewhere, server, deployed=True):
        assert ended(server, trigger(server)).state_name == "Completed"
        assert ended(server, killed).state_name == "Crashed"


def two_at_once_take_turns(workspace: Path, server: dict[str, str]) -> None:
    shutil.rmtree(workspace / "data/prepared")
    lock = (workspace / "dvc.lock").read_bytes()
    triggered = [trigger(server), trigger(server)]
    messages = {(state := ended(server, run).state) and state.message for run in triggered}
    assert messages == {"3 of 3 stages were cached"}
    assert (workspace / "data/prepared").is_dir()
    assert (workspace / "dvc.lock").read_bytes() == lock
    assert json.loads(dvc_here(workspace, "status", "--json")) == {}


def cancelling_ends_the_stage(workspace: Path, server: dict[str, str]) -> None:
    cancelled = triggered_and_at_work(workspace, server)
    run(workspace, "prefect", "flow-run", "cancel", str(cancelled.id), **server)
    wait_for(lambda: "python -m tasks.split" not in commands_in(workspace), seconds=30)
    assert ended(server, cancelled).state_name == "Cancelled"
    assert "pid" not in (workspace / ".dvc/tmp/rwlock").read_text()


def a_kill_takes_the_stage_along(runner: psutil.Process, workspace: Path, server: dict[str, str]) -> FlowRun:
    killed = triggered_and_at_work(workspace, server)
    runner.kill()
    wait_for(lambda: not [line for line in commands_in(workspace) if "serve" not in line], seconds=30)
    return killed


def triggered_and_at_work(workspace: Path, server: dict[str, str]) -> FlowRun:
    triggered = trigger(server)
    wait_for(lambda: "python -m tasks.split" in commands_in(workspace))
    return triggered


def test_a_drop_folder_is_trained_on_once_per_change(
    finished: Path, server: dict[str, str], elsewhere: Path
) -> None:
    def look() -> str | None:
        return ended(server, trigger(server, "retrain-on-new-data/local", at_least=5)).state_name

    keep_stages(finished, "ingest")
    before = len(runs_of(server, "training"))
    with offered("serve", finished, elsewhere, server):
        write_pictures(finished / "pictures", count=2, first=700)
        assert look() == "Waiting"  # four do not suffice
        write_pictures(finished / "pictures", count=3, first=700)
        assert look() == "Triggered"
        assert look() in ("Triggered", "Waiting")  # the same change; waiting where DVC is at work on it already
        [training] = runs_of(server, "training")[: -before or None]
        assert ended(server, training).state_name == "Completed"
    assert len(runs_of(server, "training")) == before + 1
    assert json.loads((finished / "metrics/ingest.json").read_text())["num_files"] == 126


def test_a_look_while_a_stage_writes_its_outputs_waits_and_a_later_one_fails_where_they_stay_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ingest` puts the folder of pictures in place before the index that names them."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    set_params(tmp_path, {"ingest.source": "pictures"})
    for place in ("pictures/cat", "data/ingested/cat", ".dvc/tmp"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "data/ingested/cat/1.jpg").touch()
    run(tmp_path, "git", "init", "--quiet")
    monkeypatch.setattr(retrain, "WORKSPACE", tmp_path)
    with program(tmp_path / "dvc") as number:
        held = {"write": {"data/ingested": holder(number)}, "read": {}}
        (tmp_path / ".dvc/tmp/rwlock").write_text(json.dumps(held))
        assert retrain.retrain_on_new_data.fn().name == "Waiting"
    failed = retrain.retrain_on_new_data.fn()
    assert failed.name == "Failed"
    assert "data/ingested/cat/1.jpg: Pawline did not write this file" in str(failed.message)


def test_new_deployments_have_inactive_schedules() -> None:
    deployments = YAML(typ="safe").load((ROOT / "prefect.yaml").read_text())["deployments"]
    flows = {run["entrypoint"]: [schedule["active"] for schedule in run["schedules"]] for run in deployments}
    assert flows == {
        "flows/training.py:training": [False],
        "flows/retrain.py:retrain_on_new_data": [False],
        "flows/folds.py:folds": [],
        "flows/predict.py:predict": [],
        "flows/drift.py:drift": [False],
    }
