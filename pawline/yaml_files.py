"""Read and edit YAML, with the same parser that DVC uses for `params.yaml` and `dvc.yaml`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawline.errors import ParamsError

__all__ = ["YAMLError", "edit_yaml", "parse_yaml", "read_yaml", "yaml_problem"]


def parse_yaml(text: str) -> Any:
    """Parse a text as YAML 1.2, in which 1e-3 is a number. Raises YAMLError."""
    return YAML(typ="safe", pure=True).load(text)


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Raises ParamsError, a single line that names the file and the place."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: not found; run from the project's root, or restore it from git") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: cannot be read: {error}; restore it from git") from None
    except YAMLError as error:
        raise ParamsError(f"{path}:{yaml_problem(error)}; correct it, or restore it from git") from None


def yaml_problem(error: YAMLError) -> str:
    """The parser's complaint with its line, to follow the file name in a message."""
    mark = getattr(error, "problem_mark", None)
    line = f" line {mark.line + 1}:" if mark else ""
    return f"{line} not valid YAML: {' '.join(str(getattr(error, 'problem', error)).split())}"


def edit_yaml(path: Path, into: Path, change: Callable[[Any], object]) -> None:
    """Write a changed copy of a YAML file to `into`; comments and order stay."""
    yaml = YAML()
    tree = yaml.load(path.read_text(encoding="utf-8"))
    change(tree)
    with into.open("w", encoding="utf-8") as file:
        yaml.dump(tree, file)
