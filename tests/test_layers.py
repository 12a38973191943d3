"""Imports point inward, flows -> tasks -> pawline, and heavy ones stay where they are needed."""

from pathlib import Path

import pytest

from tests.conftest import run
from tests.source import ROOT, imported_names

LIBRARY = sorted(str(path.relative_to(ROOT / "pawline")) for path in (ROOT / "pawline").rglob("*.py"))
TASKS = sorted(path.name for path in (ROOT / "tasks").glob("*.py"))

NETWORK_MODULES = {
    "augment.py",
    "backend.py",
    "model.py",
    "optimizers.py",
    "tensorboard.py",
    "train.py",
    "trainer.py",
}
NETWORK_MODULES |= {name for name in LIBRARY if name.startswith("networks/")}


def roots(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_names(file)}


@pytest.mark.parametrize("module", LIBRARY)
def test_the_library_knows_no_orchestrator(module: str) -> None:
    assert roots(ROOT / "pawline" / module) & {"prefect", "dvc", "mlflow", "tasks", "flows"} == set()


@pytest.mark.parametrize("module", TASKS)
def test_stages_do_not_know_who_runs_them(module: str) -> None:
    assert roots(ROOT / "tasks" / module) & {"prefect", "dvc", "flows"} == set()


def test_only_the_network_modules_import_tensorflow() -> None:
    heavy = {name for name in LIBRARY if roots(ROOT / "pawline" / name) & {"tensorflow", "keras"}}
    heavy |= {name for name in LIBRARY if "pawline.backend" in imported_names(ROOT / "pawline" / name)}
    assert heavy == NETWORK_MODULES


def test_the_command_and_the_data_stages_load_nothing_heavy(tmp_path: Path) -> None:
    modules = ["tasks.cli", "tasks.ingest", "tasks.prepare", "tasks.split", "tasks.train"]
    modules += [f"pawline.{Path(name).stem}" for name in sorted({*LIBRARY} - NETWORK_MODULES)]
    code = f"import sys, {', '.join(modules)}; print(*sorted(sys.modules))"
    loaded = run(tmp_path, "python", "-c", code).stdout.split()
    assert set(modules) <= set(loaded)
    assert set(loaded) & {"tensorflow", "keras", "mlflow", "prefect", "dvc"} == set()
