"""What the project's source files import, read from the source itself."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pawline", "tasks", "flows")

# What surrounds a stage's work and cannot change a byte of its outputs: how a process begins and ends, the whole of
# the params (DVC compares their values itself), the checkout, MLflow's mirror. tests/test_pipeline.py proves it.
SHELL = (
    "pawline/process.py",
    "pawline/terminal.py",
    "pawline/params/whole.py",
    "pawline/workspace/",
    "pawline/tracking/",
    "pawline/walk/",  # what the stage `export` keeps for pages about the model
    "tasks/__init__.py",
    "tasks/stage.py",
)


# Code that a stage runs without importing it: MLflow runs the file of its model, and a process of its own the service.
RUN = {"tasks/check.py": {"pawline/tracking/served_model.py", "pawline/service/server.py"}}


def imported_names(file: Path) -> set[str]:
    """Every module that a file imports, wherever in the file: "pawline.files", "cv2", …"""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def project_files(names: set[str]) -> set[str]:
    """The project's own files among imported names; importing a module runs its package's __init__ too."""
    files = set()
    for name in names:
        parts = name.split(".")
        if parts[0] in PACKAGES:
            packages = [Path(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
            inner = [Path(*parts).with_suffix(".py"), *packages]
            files |= {path.as_posix() for path in inner if (ROOT / path).is_file()}
    return files


def library_files(start: str) -> set[str]:
    """Every project file whose code runs in a stage, `start` included, without the shell and what only that needs."""
    seen: set[str] = set()
    waiting = {start, *RUN.get(start, ())}
    while waiting:
        file = waiting.pop()
        seen.add(file)
        imported = project_files(imported_names(ROOT / file))
        waiting |= {path for path in imported if not path.startswith(SHELL)} - seen
    return {file for file in seen if has_code(ROOT / file)}


def has_code(file: Path) -> bool:
    """Whether a module does anything: a package's __init__ may hold a docstring alone."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text()).body)
