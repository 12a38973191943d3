"""What the project's source files import, read from the source itself."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pawline", "tasks", "flows")


def imported_names(file: Path) -> set[str]:
    """Every module that a file imports, wherever in the file: "pawline.images", "cv2", …"""
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


def executed_files(start: str) -> set[str]:
    """Every project file that runs when `python -m` runs this one, itself included."""
    seen: set[str] = set()
    waiting = {start, f"{Path(start).parts[0]}/__init__.py"}
    while waiting:
        file = waiting.pop()
        seen.add(file)
        waiting |= project_files(imported_names(ROOT / file)) - seen
    return seen
