"""What Prefect and DVC cost around the stages:  python -m benchmarks.orchestration [EPOCHS]

First a flow run in which nothing changed, beside what it cannot do without: `import prefect` and one `dvc status`.
Then the whole pipeline on the 18,000 photographs from nothing, by `dvc repro` and by the flow: how much longer
each takes than its stages. EPOCHS are those of params.yaml unless given; the costs are the same for any number.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clones import clone_project
from benchmarks.photographs import archive, machine
from pawline.workspace.history import read_history
from pawline.workspace.layout import LocalState
from tests.background import answers, background, free_port, wait_for
from tests.conftest import environment_of_commands, make_workspace, run, set_params

ROUNDS = 7
FLOW = ("python", "-m", "flows.training")


def seconds(workspace: Path, *command: str, **environment: str) -> float:
    start = time.perf_counter()
    run(workspace, *command, **environment)
    return time.perf_counter() - start


def measure_no_op(workspace: Path, server: dict[str, str]) -> None:
    """Interleaved, the best of several rounds of each: other work on the machine hits all alike."""
    make_workspace(workspace)
    run(workspace, "dvc", "repro")
    commands = {"import": ("python", "-c", "import prefect"), "status": ("dvc", "status"), "flow": FLOW}
    rounds = [{name: seconds(workspace, *one, **server) for name, one in commands.items()} for _ in range(ROUNDS)]
    best = {name: min(one[name] for one in rounds) for name in commands}
    allowed = 3 * best["import"] + best["status"]
    print(f"nothing changed: import prefect {best['import']:.2f} s, dvc status {best['status']:.2f} s")
    print(
        f"the flow {best['flow']:.2f} s: {best['flow'] / allowed:.2f} of three imports and one status", flush=True
    )


def measure_whole(workspace: Path, epochs: int | None, command: tuple[str, ...], server: dict[str, str]) -> None:
    clone_project(workspace)
    values: dict[str, object] = {"ingest.source": str(archive("cats-dogs-180px.zip"))}
    set_params(workspace, values | ({"train.epochs": epochs} if epochs else {}))
    start = time.perf_counter()
    subprocess.run(
        command, cwd=workspace, env=environment_of_commands() | server, check=True, stdout=subprocess.DEVNULL
    )
    whole = time.perf_counter() - start
    stages = sum(one.seconds for one in read_history(LocalState(workspace).history).values())
    print(
        f"{command[-1]}: {whole:.1f} s, of which stages {stages:.1f} s: {whole / stages - 1:.1%} more", flush=True
    )


def main() -> None:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else None
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        port, home = free_port(), Path(name, "prefect")
        home.mkdir()
        server = {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        with background(home, "prefect", "server", "start", "--port", port, **server):
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/api/health"))
            server |= {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
            measure_no_op(Path(name, "tiny"), server)
            measure_whole(Path(name, "by DVC"), epochs, ("dvc", "repro"), server)
            measure_whole(Path(name, "by Prefect"), epochs, FLOW, server)


if __name__ == "__main__":
    main()
