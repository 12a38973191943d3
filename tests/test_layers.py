"""Imports point inward, every foreign system has one room, and heavy imports stay where they are needed."""

import ast
from pathlib import Path

import pytest

from tests.conftest import run
from tests.source import PACKAGES, ROOT, imported_names, library_files

MODULES = sorted(path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
IMPORTS = {module: imported_names(ROOT / module) for module in MODULES}
ROOMS = ("pawline/workspace/", "pawline/tracking/", "pawline/cli/")
LIBRARY = [module for module in MODULES if module.startswith("pawline/") and not module.startswith(ROOMS)]
TENSORFLOW = ("pawline/training/", "pawline/model/", "pawline/exporting/")

# Which packages of the project a room may not import: imports run flows -> tasks -> workspace, tracking -> library.
OUTSIDE = {
    "pawline/workspace/": ("pawline.tracking", "pawline.cli", "tasks", "flows"),
    "pawline/tracking/": ("pawline.cli", "tasks", "flows"),
    "pawline/cli/": ("tasks", "flows"),
    "tasks/": ("pawline.cli", "flows"),
    "flows/": ("pawline.cli",),
    "pawline/": ("pawline.workspace", "pawline.tracking", "pawline.cli", "tasks", "flows"),
}


def users_of(*packages: str) -> list[str]:
    """The modules that import one of these packages, or something below it."""
    return [module for module in MODULES if imports_any(module, packages)]


def imports_any(module: str, packages: tuple[str, ...]) -> bool:
    return any(
        name == package or name.startswith(f"{package}.") for name in IMPORTS[module] for package in packages
    )


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_inward(module: str) -> None:
    room = next(room for room in OUTSIDE if module.startswith(room))
    assert not imports_any(module, OUTSIDE[room])


@pytest.mark.parametrize(
    ("packages", "room"),
    [
        (("prefect",), ("flows/",)),
        (("mlflow",), ("pawline/tracking/",)),
        (("tensorflow", "keras", "pawline.model.backend"), TENSORFLOW),
        (("onnx",), ("pawline/exporting/graph.py", "pawline/exporting/int8.py")),
        (("onnxruntime",), ("pawline/runtime/engine.py", "pawline/exporting/int8.py")),
        (("subprocess",), ("pawline/workspace/",)),
        (("ruamel",), ("pawline/yaml_files.py",)),
        (("dvc",), ()),  # its public commands only, never its modules
    ],
)
def test_a_foreign_system_has_one_room(packages: tuple[str, ...], room: tuple[str, ...]) -> None:
    assert [module for module in users_of(*packages) if not module.startswith(room)] == []


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("git", "pawline/workspace/checkout.py"),  # the first word of a command
        ("dvc.lock", "pawline/workspace/lock.py"),
    ],
)
def test_a_command_is_started_and_a_file_is_read_in_one_place(text: str, module: str) -> None:
    assert [name for name in MODULES if text in strings(ROOT / name)] == [module]


def test_dvc_is_started_in_one_place() -> None:
    assert [name for name in users_of("subprocess") if "dvc" in strings(ROOT / name)] == [
        "pawline/workspace/dvc_command.py"
    ]


@pytest.mark.parametrize("module", LIBRARY)
def test_the_librarys_messages_name_no_command_of_a_checkout(module: str) -> None:
    """They also reach those who have the package and a model alone; the outer layers add what to do next."""
    if module == "pawline/process.py":
        return
    named = [text for text in strings(ROOT / module) if "`dvc" in text or "--model" in text or "`git" in text]
    assert named == []


def strings(file: Path) -> list[str]:
    """The string literals of a module, without its docstrings."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [node.value for node in found if isinstance(node.value, str)]


def test_flows_hold_prefect_alone() -> None:
    assert {*users_of("prefect")} == {module for module in MODULES if module.startswith("flows/")} - {
        "flows/__init__.py"
    }


@pytest.mark.parametrize("start", ["tasks/evaluate.py", "pawline/predict.py", "pawline/tracking/served_model.py"])
def test_whoever_asks_the_model_needs_no_tensorflow(start: str) -> None:
    assert [file for file in library_files(start) if file.startswith(TENSORFLOW)] == []


def test_the_command_and_the_data_stages_load_nothing_heavy(tmp_path: Path) -> None:
    modules = ["pawline.cli.__main__", "tasks.ingest", "tasks.prepare", "tasks.split", "tasks.train"]
    light = [module for module in LIBRARY if not module.startswith(TENSORFLOW)]
    light += [module for module in MODULES if module.startswith("pawline/workspace/")]
    modules += [module.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for module in light]
    modules += ["pawline.model.machine", "pawline.training.schedule", "pawline.training.conditions"]
    code = f"import sys, {', '.join(modules)}; print(*sorted(sys.modules))"
    loaded = run(tmp_path, "python", "-c", code).stdout.split()
    assert set(modules) <= set(loaded)
    assert set(loaded) & {"tensorflow", "keras", "mlflow", "prefect", "dvc"} == set()
