"""A stage ends when what runs it is gone, whenever that happens and whoever adopts the orphan."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.background import background, wait_for
from tests.source import ROOT

# Linux lets any process adopt the orphans below it, as systemd, containers and CI machines do.
ADOPT = "import ctypes; ctypes.CDLL(None).prctl(36, 1)\n" if sys.platform == "linux" else ""
START = "import os, subprocess, sys; child = subprocess.Popen(sys.argv[1:], start_new_session={alone}); "
STARTED_BY = {"DVC_STAGE": "train", "PREFECT__FLOW_RUN_ID": "1"}
STAGE = """
import sys, time
from pathlib import Path
Path("started").touch()
while Path("hold").exists():
    time.sleep(0.05)
from pawline.workspace.runner_watch import {watch}
{watch}()
Path("watching").touch()
time.sleep(60)
"""


@contextmanager
def chain(
    folder: Path,
    runner: str,
    watch: str = "end_with_runner",
    foster: str = "",
    variables: dict[str, str] = STARTED_BY,
) -> Iterator[psutil.Process]:
    """A foster parent, a runner in a session of its own and, below a shell, what it runs; gives the runner."""
    (folder / runner).write_text(START.format(alone=False) + "child.wait()")
    (folder / "stage.py").write_text(STAGE.format(watch=watch))
    first = foster + START.format(alone=True) + "child.wait(); import time; time.sleep(60)"
    environment = [f"{key}={value}" for key, value in variables.items()]
    below_shell = ["env", *environment, "sh", "-c", f"'{sys.executable}' stage.py; :"]
    command = ["python", "-c", first, sys.executable, runner, *below_shell]
    with background(folder, *command, PYTHONPATH=str(ROOT)) as top:
        try:
            wait_for((folder / "started").exists)
            yield psutil.Process(top.pid).children()[0]
        finally:
            for process in stages(folder):
                process.kill()


def stages(folder: Path) -> list[psutil.Process]:
    found = psutil.process_iter(["cwd", "cmdline"])
    return [
        process
        for process in found
        if process.info["cwd"] == str(folder) and "stage.py" in (process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("foster", ["", ADOPT], ids=["first process", "other foster parent"])
@pytest.mark.parametrize("runner", ["dvc", "calls_dvc.py"])
@pytest.mark.parametrize("early", [True, False], ids=["before it watches", "while it watches"])
def test_a_stage_ends_when_dvc_is_killed(tmp_path: Path, runner: str, foster: str, early: bool) -> None:
    if early:
        (tmp_path / "hold").touch()
    with chain(tmp_path, runner, foster=foster) as dvc:
        if not early:
            wait_for((tmp_path / "watching").exists)
        dvc.kill()
        (tmp_path / "hold").unlink(missing_ok=True)
        wait_for(lambda: stages(tmp_path) == [], seconds=20)
    assert (tmp_path / "watching").exists() is not early


@pytest.mark.parametrize("runner", ["dvc", "calls_dvc.py"])
def test_a_stage_goes_on_while_dvc_lives(tmp_path: Path, runner: str) -> None:
    with chain(tmp_path, runner, foster=ADOPT):
        wait_for((tmp_path / "watching").exists)
        time.sleep(1)
        assert len(stages(tmp_path)) == 1


@pytest.mark.parametrize("early", [True, False], ids=["before it watches", "while it watches"])
def test_a_flow_run_ends_when_its_worker_is_killed(tmp_path: Path, early: bool) -> None:
    if early:
        (tmp_path / "hold").touch()
    with chain(tmp_path, "prefect", watch="end_with_worker", foster=ADOPT) as worker:
        if not early:
            wait_for((tmp_path / "watching").exists)
        worker.kill()
        (tmp_path / "hold").unlink(missing_ok=True)
        wait_for(lambda: stages(tmp_path) == [], seconds=20)


def test_a_command_given_by_hand_outlives_its_terminal(tmp_path: Path) -> None:
    with chain(tmp_path, "bash", watch="end_with_runner", variables={}) as shell:
        wait_for((tmp_path / "watching").exists)
        shell.kill()
        time.sleep(1)
        assert len(stages(tmp_path)) == 1
