"""The stages as `dvc.yaml` writes them down, with values such as ${ingest.source} put in from `params.yaml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from os.path import normpath
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawline.errors import ParamsError, PawlineError


@dataclass(frozen=True)
class Stage:
    """params: the sections of params.yaml that it reads. outs: its metrics and plots too."""

    name: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]


def read_dag(params: Mapping[str, Any], root: Path = Path()) -> dict[str, Stage]:
    """The stages by name, each after those whose outputs it reads."""
    entries = read_yaml(root / "dvc.yaml")["stages"]
    stages = {name: _stage(name, entry, params) for name, entry in entries.items()}
    order = TopologicalSorter({name: makers(stage, stages) for name, stage in stages.items()}).static_order()
    return {name: stages[name] for name in order}


def makers(stage: Stage, stages: Mapping[str, Stage]) -> list[str]:
    """The stages whose outputs this one reads."""
    return [other.name for other in stages.values() if not {*stage.deps}.isdisjoint(other.outs)]


def _stage(name: str, entry: Mapping[str, Any], params: Mapping[str, Any]) -> Stage:
    def paths(*keys: str) -> tuple[str, ...]:
        items = [item for key in keys for item in entry.get(key, [])]
        # With options, an item is a dict of one key: {"metrics/ingest.json": {"cache": False}}.
        return tuple(plain(_filled(item if isinstance(item, str) else next(iter(item)), params)) for item in items)

    return Stage(name, paths("deps"), tuple(entry.get("params", [])), paths("outs", "metrics", "plots"))


def _filled(text: str, params: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda found: str(value(params, found[1])), text)


def value(params: Mapping[str, Any], key: str) -> Any:
    """The value of a key such as "ingest.source", or None where there is none."""
    place: Any = params
    for name in key.split("."):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place


def plain(path: str) -> str:
    """One spelling per path, so that `pictures/` and `./pictures` are the same; addresses as they are."""
    return path if "://" in path else normpath(path)


def read_yaml(path: Path) -> Any:
    """With the parser that DVC reads its files with. Raises PawlineError."""
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise PawlineError(f"{path}: not here; run from the project's root, or restore it from git") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        said = " ".join(str(error).split())
        raise ParamsError(f"{path}: cannot be read: {said}; mend it, or restore it from git") from None
