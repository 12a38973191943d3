"""What tests share: pictures whose class is obvious, and a whole workspace that runs in seconds."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import cv2
import numpy as np
import psutil
import pytest
from filelock import FileLock

from tests.source import ROOT

TINY = {
    "ingest.source": "pictures",
    "prepare.image_size": 16,
    "split.val_fraction": 0.25,
    "split.test_fraction": 0.25,
    "network.fast.filters": [8, 16],
    "network.classic.filters": [8, 8],
    "network.classic.kernel": [3, 3],
    "network.classic.pool_window": [2, 2],
    "network.classic.dense_units": 16,
    "network.classic.dropout": 0.0,
    "train.epochs": 4,
    "train.batch_size": 4,
    "train.learning_rate": 0.03,
    "train.weight_decay": 0.0,
    "train.label_smoothing": 0.0,
    "train.sizes": [0.5, 1.0],
    "train.crop_fraction": 0.8,
    # The recipe would choose these, and other tests look at its choice; `cutout` stays auto, so that something is.
    "train.optimizer": "muon",
    "train.ema": 0.0,
    "train.predict_size": 1.0,
    "train.brightness": 0.1,
    "train.contrast": 0.2,
    "train.flip_at_test": False,
    "train.patience": 10,
}


def stripes(vertical: bool, seed: int, width: int = 40, height: int = 30) -> np.ndarray:
    """uint8 (height, width, 3): stripes whose direction is the class; phase, width, colours and the large
    soft blots over them are random, so that no two pictures look alike."""
    rng = np.random.default_rng([seed, vertical])
    across = np.arange(width)[None, :] if vertical else np.arange(height)[:, None]
    bright = (across + rng.integers(20)) // rng.integers(4, 7) % 2 == 1
    dark_colour, bright_colour = rng.integers(20, 90, 3), rng.integers(166, 236, 3)
    striped = np.where(np.broadcast_to(bright, (height, width))[..., None], bright_colour, dark_colour)
    blots = cv2.resize(rng.normal(0, 45, (4, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    return (striped + blots[..., None]).clip(0, 255).astype(np.uint8)


def encode(image: np.ndarray, suffix: str = ".jpg", quality: int = 95) -> bytes:
    done, data = cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def write_pictures(folder: Path, count: int = 60, first: int = 0) -> Path:
    """`count` pictures per class, horizontal/ and vertical/."""
    for name in ("horizontal", "vertical"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            (folder / name / f"{seed:03}.jpg").write_bytes(encode(stripes(name == "vertical", seed)))
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


def set_params(workspace: Path, values: dict[str, object]) -> None:
    """Change `params.yaml` as a user's editor would, key by key."""
    from ruamel.yaml import YAML

    yaml, path = YAML(), workspace / "params.yaml"
    tree = yaml.load(path.read_text())
    for key, value in values.items():
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place[section]
        place[last] = value
    with path.open("w") as file:
        yaml.dump(tree, file)


def keep_stages(workspace: Path, *names: str) -> None:
    """Leave in `dvc.yaml` and in `dvc.lock` only the stages that a claim is about, and commit that."""
    from pawline.yaml_files import edit_yaml

    for path in (workspace / "dvc.yaml", workspace / "dvc.lock"):
        edit_yaml(path, path, lambda tree: [tree["stages"].pop(name) for name in {*tree["stages"]} - {*names}])
    commit(workspace)


def run(
    workspace: Path, *command: str, expect: int | None = 0, stdin: IO[bytes] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a workspace as a user would, with the project's environment activated."""
    done = subprocess.run(
        command,
        cwd=workspace,
        env=environment_of_commands() | environment,
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert expect is None or done.returncode == expect, (
        f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done


def pawline_here(workspace: Path, *arguments: str, expect: int = 0) -> str:
    """What a `pawline` command prints, run in this process: another would load MLflow or TensorFlow again. What the
    command asks DVC is answered in this process too."""
    from pawline.cli.__main__ import main

    stop = signal.getsignal(signal.SIGTERM)
    try:
        with _as_a_process(workspace) as printed, dvc_answers_here(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["pawline", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
    finally:
        signal.signal(signal.SIGTERM, stop)
    assert ended.value.code == expect, printed.getvalue()
    return printed.getvalue()


def dvc_here(workspace: Path, *arguments: str) -> str:
    """What a DVC command prints, run in this process as DVC's own tests do: another would load DVC for a second.

    What DVC logs, such as which stages it runs, and what those write go to the test's own output.
    """
    code, printed = _run_dvc_here(workspace, *arguments)
    assert code == 0, printed
    return printed


def _run_dvc_here(workspace: Path, *arguments: str) -> tuple[int, str]:
    from dvc.cli import main

    with _as_a_process(workspace) as printed, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_TEST", "true")  # it leaves standard output as it is
        return main([*arguments]), printed.getvalue()


@contextmanager
def dvc_answers_here() -> Iterator[None]:
    """What Pawline asks DVC in a block is answered in this process, if it can be."""
    from pawline.workspace import dvc_command

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dvc_command, "dvc_process", partial(_answered_here, dvc_command.dvc_process))
        yield


@contextmanager
def _answered_here(
    elsewhere: Callable[..., Any], workspace: Path, *arguments: str, **options: Any
) -> Iterator[Any]:
    """In place of a DVC process: its answer. Other questions, whose answers DVC logs, and failures go elsewhere."""
    if "status" in arguments or "cache" in arguments:
        code, answer = _run_dvc_here(workspace, *arguments)
        if code == 0:
            yield SimpleNamespace(returncode=0, communicate=lambda: (answer, ""))
            return
    with elsewhere(workspace, *arguments, **options) as process:
        yield process


@contextmanager
def _as_a_process(workspace: Path) -> Iterator[io.StringIO]:
    """Folder and environment of a command in a workspace, for a block; what the block prints."""
    printed, environment = io.StringIO(), environment_of_commands()
    with chdir(workspace), redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        for foreign in {*os.environ} - {*environment}:  # MLflow notes the store of an earlier test there
            patch.delenv(foreign)
        patch.setenv("PATH", environment["PATH"])
        yield printed


def environment_of_commands() -> dict[str, str]:
    """A clean environment in which the project's own is activated."""
    binaries = str(Path(sys.executable).parent)
    return clean_environment() | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}


def clean_environment() -> dict[str, str]:
    """The environment without what the caller's own MLflow, Prefect, DVC or TensorFlow would put into a test."""
    foreign = ("MLFLOW_", "PREFECT_", "DVC_", "GIT_", "TF_", "ONEDNN_", "PYTHONPATH")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A clone of this project, in a path with a space in it, with tiny params and 120 striped pictures."""
    return make_workspace(tmp_path / "a work space")


def make_workspace(folder: Path) -> Path:
    files = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "reports/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    write_pictures(folder / "pictures")
    set_params(folder, TINY)
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "Test")
    commit(folder)
    return folder


def commit(workspace: Path) -> None:
    run(workspace, "git", "add", "--all")
    run(workspace, "git", "commit", "--quiet", "--message", "a state to compare with")


def folder_of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()  # with pytest-xdist that of a worker, in a folder of all
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def finished_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after `dvc repro`, its results committed. Shared: look, or change a copy of it."""
    one_for_all = folder_of_all_workers(tmp_path_factory) / "finished" / "a work space"
    done = one_for_all.with_name("done")
    with FileLock(one_for_all.parent.with_suffix(".lock")):
        if not done.exists():  # nor is it moved when it is: the MLflow store names its artifacts by absolute path
            shutil.rmtree(one_for_all, ignore_errors=True)
            make_workspace(one_for_all)
            writes = str(one_for_all / ".pawline-test-writes")
            recording = {"PYTHONPATH": str(ROOT / "tests/recorded_writes"), "PAWLINE_TEST_WRITES": writes}
            run(one_for_all, "dvc", "repro", **recording)
            Path(writes).rename(one_for_all.with_name("writes.jsonl"))
            run(one_for_all, "pawline", "register")  # as each flow run does at its end
            commit(one_for_all)
            done.touch()
    folder = tmp_path_factory.mktemp("finished") / "a work space"
    return Path(shutil.copytree(one_for_all, folder, symlinks=True))


@pytest.fixture(scope="session")
def recorded_writes(finished_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the stages wrote while the finished workspace was made, see tests/recorded_writes/sitecustomize.py."""
    writes = folder_of_all_workers(tmp_path_factory) / "finished/writes.jsonl"
    return [json.loads(line) for line in writes.read_text().splitlines()]


@pytest.fixture
def finished(finished_workspace: Path, tmp_path: Path) -> Path:
    """A copy of the finished workspace, with its DVC cache, to do anything with."""
    return Path(shutil.copytree(finished_workspace, tmp_path / "a copied space", symlinks=True))


FIRST_STAGES = ["ingest", "prepare", "split"]


@pytest.fixture
def short(finished: Path) -> Path:
    """A finished workspace whose pipeline ends with `split`: for claims about runners, not about the stages."""
    keep_stages(finished, *FIRST_STAGES)
    return finished


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without a row: MLflow takes a second of the processor's time to make them. Copy the file."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium, see tests/browser.py."""
    from tests.browser import chromium

    with chromium() as started:
        yield started


# What the tests' Prefect server need not do: no schedule is active and no automation exists.
UNUSED_SERVICES = (
    "SCHEDULER",
    "LATE_RUNS",
    "FOREMAN",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "TRIGGERS",
    "EVENT_PERSISTER",
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server for the tests of all workers; the environment in which commands reach it.

    The worker that needs it first starts it, and ends it when no other one uses it any more.
    """
    from tests.background import wait_for

    home = folder_of_all_workers(tmp_path_factory) / "prefect"
    (users := home / "users").mkdir(parents=True, exist_ok=True)
    lock, address, user = FileLock(home.with_suffix(".lock")), home / "address", users / str(os.getpid())
    at = {"PREFECT_HOME": str(home), "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}

    def is_unused() -> bool:
        with lock:
            if any(psutil.pid_exists(int(user.name)) for user in users.iterdir()):
                return False
            address.unlink()  # whoever comes now starts another
            return True

    with ExitStack() as until_unused:
        with lock:
            user.touch()
            if is_mine := not address.exists():
                address.write_text(until_unused.enter_context(prefect_server(home, at)))
        yield at | {"PREFECT_API_URL": address.read_text()}
        user.unlink()
        if is_mine:
            wait_for(is_unused, seconds=900)


@contextmanager
def prefect_server(home: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of its API."""
    from tests.background import answers, background, free_port, wait_for

    port = free_port()
    lean = {f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in UNUSED_SERVICES}
    lean["PREFECT_SERVER_UI_ENABLED"] = "false"
    with background(home, "prefect", "server", "start", "--port", port, **environment, **lean):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/api/health"))
        yield f"http://127.0.0.1:{port}/api"
