"""Servers and other commands that go on while a test runs, and end with it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil

from tests.conftest import environment_of_commands

# Put into a stage, it takes as long as there is a file `slow`, in place of hours of training.
MAIN = "def main(params: Params, at: Layout) -> None:\n"
SLOW = f"""{MAIN}
    from pathlib import Path
    from time import sleep

    while Path("slow").exists():
        sleep(0.05)
"""


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@contextmanager
def background(folder: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on meanwhile, writing to background.log, and ends with the block."""
    binaries = Path(sys.executable).parent
    with (folder / "background.log").open("w") as log:
        started = subprocess.Popen(
            [binaries / command[0], *command[1:]],
            cwd=folder,
            env=environment_of_commands() | environment,
            start_new_session=True,
            # A suite started by `make test &` ignores SIGINT, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield started
    finally:
        end_group(started)


def saved_step(workspace: Path) -> int:
    """From which a training would go on."""
    for state in (workspace / ".pawline/training").glob("*.npz"):
        with np.load(state) as file:
            return int(json.loads(str(file["about"]))["progress"]["step"])
    return 0


def end_group(leader: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(leader.pid, signal.SIGTERM)
        leader.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def kill_group(leader: subprocess.Popen[str]) -> None:
    """All of a command's processes at one moment, as a machine that stops: none lives to see another end."""
    os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_for(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def slow_split(workspace: Path) -> None:
    stage = workspace / "tasks/split.py"
    stage.write_text(stage.read_text().replace(MAIN, SLOW))
    (workspace / "slow").touch()


def commands_in(folder: Path) -> list[str]:
    """The command lines of all processes at work in a folder."""
    found = psutil.process_iter(["cwd", "cmdline"])
    return [" ".join(process.info["cmdline"] or []) for process in found if process.info["cwd"] == str(folder)]
