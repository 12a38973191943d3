"""Sixty kills, and whether the same command continues after each:  python -m benchmarks.kills [FIRST [LAST]]

SIGKILL, SIGTERM and SIGINT, to the runner, to the stage and to the runner's process group, in each stage and
between two, under `dvc repro`, the flow, a worker and `serve`. After each kill everything must end by itself; the
same command must then finish, leave no lock and no flow run without an end, and make what an uninterrupted run
makes, to the byte. Takes half an hour; exits with 1 unless all sixty did.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, cycle, islice, product
from pathlib import Path
from subprocess import Popen

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import State

from pawline.workspace.dag import dag_of
from tests.background import answers, background, free_port, wait_for
from tests.conftest import make_workspace, run
from tests.source import ROOT

RUNNERS = ["repro", "flow", "worker", "serve"]
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
TARGETS = ["runner", "stage", "group"]
STAGES = list(dag_of(ROOT))
MOMENTS = [*STAGES, "between"]
QUIET_SECONDS = 30
COMMANDS = {
    "repro": ("dvc", "repro"),
    "flow": ("python", "-m", "flows.training"),
    "worker": ("prefect", "worker", "start", "--pool", "local", "--type", "process"),
    "serve": ("python", "-m", "flows.serve"),
}


@dataclass
class House:
    """The place of the kills: the workspace, what it was before each stage, and the environment of a Prefect server."""

    folder: Path
    server: dict[str, str]

    @property
    def workspace(self) -> Path:
        return self.folder / "a work space"

    def make(self) -> None:
        """Run each stage once, and keep the workspace as it is before each, and at the end."""
        make_workspace(self.workspace)
        for stage in STAGES:
            self.keep(stage)
            run(self.workspace, "dvc", "repro", "--single-item", stage)
        self.keep("end")

    def keep(self, name: str) -> None:
        shutil.copytree(self.workspace, self.folder / "before" / name, symlinks=True)

    def go_back(self, name: str) -> None:
        shutil.rmtree(self.workspace)
        shutil.copytree(self.folder / "before" / name, self.workspace, symlinks=True)

    def lock_at_the_end(self) -> bytes:
        return (self.folder / "before/end/dvc.lock").read_bytes()

    @contextmanager
    def started(self, runner: str) -> Iterator[Popen[str]]:
        """The command of a runner, in a session of its own; a worker and `serve` are given work too."""
        place = self.workspace if runner != "worker" else self.folder
        often = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
        with background(place, *COMMANDS[runner], **self.server, **often) as process:
            if runner in ("worker", "serve"):
                log = place / "background.log"
                wait_for(lambda: "started" in log.read_text() or "being served" in log.read_text())
                if runner == "worker":
                    run(self.workspace, "prefect", "deploy", "--all", **self.server)
                run(self.folder, "prefect", "deployment", "run", "training/local", **self.server)
            yield process

    def processes(self) -> list[psutil.Process]:
        """All that are at work in the workspace."""
        found = psutil.process_iter(["cwd"])
        return [process for process in found if process.info["cwd"] == str(self.workspace)]

    def running(self, stage: str) -> psutil.Process | None:
        for process in self.processes():
            with suppress(psutil.Error):
                if process.cmdline()[1:] == ["-m", f"tasks.{stage}"]:
                    return process
        return None

    def states(self) -> list[State]:
        """All flow runs, the latest trigger first."""
        with SyncPrefectClient(self.server["PREFECT_API_URL"]) as client:
            runs = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC)
        return [flow_run.state for flow_run in runs if flow_run.state]

    def unended_runs(self) -> int:
        return sum(not state.is_final() for state in self.states())


@dataclass
class Kill:
    runner: str
    signum: signal.Signals
    target: str
    moment: str

    def __str__(self) -> str:
        return f"{self.runner:<7}{self.signum.name:<8}{self.target:<7}{self.moment:<9}"

    def run(self, house: House, rng: random.Random) -> tuple[str, bool]:
        """(what came of it, whether all is well)"""
        house.go_back(self.moment if self.moment in STAGES else "prepare")
        with house.started(self.runner) as process:
            self._strike(house, process, rng)
            ended_seconds, orphans = wait_for_quiet(house, process)
        recovered = self._recover(house)
        lock = house.workspace / "dvc.lock"
        equal = lock.exists() and lock.read_bytes() == house.lock_at_the_end()
        clean = run(house.workspace, "dvc", "status", "--json", expect=None).stdout.strip() == "{}"
        locks = num_locks(house.workspace)
        unended = house.unended_runs()
        text = (
            f"quiet after {ended_seconds:4.1f} s, {orphans} orphans; "
            f"{'recovered' if recovered else 'NOT RECOVERED'}, {'equal' if equal and clean else 'NOT EQUAL'}, "
            f"{locks} stale locks, {unended} flow runs without an end"
        )
        return text, recovered and equal and clean and not (orphans or locks or unended)

    def _strike(self, house: House, process: Popen[str], rng: random.Random) -> None:
        stage = self.moment if self.moment in STAGES else "prepare"
        wait_for(lambda: house.running(stage) is not None)
        if self.moment == "between":
            wait_for(lambda: house.running(stage) is None)
        else:
            time.sleep(rng.uniform(0, 0.8))
        with suppress(ProcessLookupError):
            if self.target == "group":
                os.killpg(process.pid, self.signum)
            elif self.target == "runner":
                os.kill(process.pid, self.signum)
            else:
                victim = next(filter(None, map(house.running, STAGES)), None)
                os.kill(victim.pid if victim else process.pid, self.signum)

    def _recover(self, house: House) -> bool:
        """Run the same command; leftovers of earlier runs must not block it."""
        if self.runner in ("repro", "flow"):
            done = run(house.workspace, *COMMANDS[self.runner], expect=None, **house.server)
            return done.returncode == 0
        with house.started(self.runner):
            with suppress(AssertionError):
                wait_for(lambda: house.unended_runs() == 0)
            latest = house.states()[0]
            if not latest.is_completed():
                print(f"   {latest.name}: {latest.message}")
            return latest.is_completed()


def wait_for_quiet(house: House, runner: Popen[str]) -> tuple[float, int]:
    """(seconds until nothing is at work any more, how many still are after QUIET_SECONDS). A worker or `serve`
    that was not the target lives on, and is no orphan."""
    start = time.monotonic()
    while True:
        runner.poll()
        left = [process for process in house.processes() if process.pid != runner.pid]
        seconds = time.monotonic() - start
        if not left or seconds > QUIET_SECONDS:
            return seconds, len(left)
        time.sleep(0.1)


def num_locks(workspace: Path) -> int:
    """Count DVC's own locks that would block the next command. DVC disregards those of a dead process."""
    rwlock = workspace / ".dvc/tmp/rwlock"
    held = json.loads(rwlock.read_text()) if rwlock.exists() else {}
    writers, readers = held.get("write", {}).values(), held.get("read", {}).values()
    return sum(psutil.pid_exists(holder["pid"]) for holder in (*writers, *chain.from_iterable(readers)))


def all_kills() -> list[Kill]:
    """Each runner with each signal and target, two thirds of these at a second moment; runner by runner."""
    kinds = list(product(RUNNERS, SIGNALS, TARGETS))
    once = zip(kinds, cycle(MOMENTS), strict=False)
    again = zip(kinds, islice(cycle(MOMENTS), 3, None), strict=False)
    some = (kind for number, kind in enumerate(again) if (number + number // 9) % 3)
    kills = [Kill(*what, moment) for what, moment in (*once, *some)]
    return sorted(kills, key=lambda kill: RUNNERS.index(kill.runner))


def main() -> None:
    kills = all_kills()
    first, last = (*map(int, sys.argv[1:]), *(1, len(kills))[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        port = free_port()
        home = {"PREFECT_HOME": f"{name}/prefect", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        url = f"http://127.0.0.1:{port}/api"
        place = Path(name, "server")
        place.mkdir()
        stack.enter_context(background(place, "prefect", "server", "start", "--port", port, **home))
        house = House(Path(name), home | {"PREFECT_API_URL": url})
        wait_for(lambda: answers(f"{url}/health"))
        house.make()
        well = 0
        chosen = list(enumerate(kills, start=1))[first - 1 : last]
        for number, kill in chosen:
            text, good = kill.run(house, random.Random(number))
            well += good
            print(f"{number:2} {kill} {text}", flush=True)
        print(f"{well} of {len(chosen)} as they should be")
        sys.exit(well < len(chosen))


if __name__ == "__main__":
    main()
