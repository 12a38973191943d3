"""The stages as `dvc.yaml` writes them down, with values such as ${ingest.source} put in from `params.yaml`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from os.path import normpath
from pathlib import Path, PurePath
from typing import Any

from pawline.addresses import is_address
from pawline.errors import ParamsError
from pawline.workspace.layout import Layout
from pawline.yaml_files import read_yaml

DVC_YAML = "dvc.yaml"
PACKAGES = ("pawline/", "tasks/")
SOURCE = "ingest.source"


@dataclass(frozen=True)
class Stage:
    """params: the sections of params.yaml that it reads. outs: its metrics and plots too."""

    name: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def code(self) -> tuple[str, ...]:
        """The deps that are files and folders of the project's own code."""
        return tuple(path for path in self.deps if path.startswith(PACKAGES))


def dag_of(root: Path = Path()) -> dict[str, Stage]:
    """The stages of a checkout, see `read_dag`, with the values of its params.yaml."""
    return read_dag(read_yaml(root / Layout().params), root)


def read_dag(params: Mapping[str, Any], root: Path = Path()) -> dict[str, Stage]:
    """The stages by name, each after those whose outputs it reads; where that leaves it open, in dvc.yaml's order."""
    entries = read_yaml(root / DVC_YAML)["stages"]
    stages = {name: _stage(name, entry, params) for name, entry in entries.items()}
    _refuse_source_in_outputs(str(value(params, SOURCE)), stages, root)
    sorter = TopologicalSorter({name: makers(stage, stages) for name, stage in stages.items()})
    sorter.prepare()
    order: dict[str, Stage] = {}
    ready: set[str] = set()
    while sorter.is_active():
        ready |= {*sorter.get_ready()}
        name = next(name for name in stages if name in ready)
        order[name] = stages[name]
        ready.remove(name)
        sorter.done(name)
    return order


def _refuse_source_in_outputs(source: str, stages: Mapping[str, Stage], root: Path) -> None:
    """A source that is, contains or lies in an output would be removed by DVC before the stage reads it."""
    if is_address(source):
        return
    place = (root / source).resolve()
    for output in (root / out for stage in stages.values() for out in stage.outs):
        written = output.resolve()
        if place == written or place in written.parents or written in place.parents:
            raise ParamsError(
                f"ingest.source {source}: {output.relative_to(root)} is written by the pipeline, and DVC removes it "
                "before a stage runs; put your pictures into a folder outside of the checkout and name that"
            )


def stages_with_outputs(root: Path) -> set[str]:
    """The names of the stages that write anything, without a look at params.yaml."""
    entries = read_yaml(root / DVC_YAML)["stages"]
    return {name for name, entry in entries.items() if entry.keys() & {"outs", "metrics", "plots"}}


def uncached_outputs(root: Path = Path()) -> set[str]:
    """The outputs that DVC's cache does not hold (`cache: false`), without a look at params.yaml."""
    entries = read_yaml(root / DVC_YAML)["stages"].values()
    items = [item for entry in entries for key in ("outs", "metrics", "plots") for item in entry.get(key, [])]
    options = [pair for item in items if isinstance(item, Mapping) for pair in item.items()]
    return {plain(path) for path, option in options if option.get("cache") is False}


def makers(stage: Stage, stages: Mapping[str, Stage]) -> list[str]:
    """The stages whose outputs this one reads."""
    return [other.name for other in stages.values() if not {*stage.deps}.isdisjoint(other.outs)]


def code_files(stage: Stage, root: Path = Path()) -> list[str]:
    """Every file of the code that a stage depends on, relative to `root`, sorted."""
    files: list[Path] = []
    for path in stage.code:
        inside = (root / path).rglob("*") if (root / path).is_dir() else [root / path]
        files += [file for file in inside if file.is_file() and "__pycache__" not in file.parts]
    return sorted(file.relative_to(root).as_posix() for file in files)


def _stage(name: str, entry: Mapping[str, Any], params: Mapping[str, Any]) -> Stage:
    def paths(*keys: str) -> tuple[str, ...]:
        items = [item for key in keys for item in entry.get(key, [])]
        # With options, an item is a dict of one key: {"metrics/ingest.json": {"cache": False}}.
        return tuple(plain(_filled(item if isinstance(item, str) else next(iter(item)), params)) for item in items)

    return Stage(name, paths("deps"), tuple(entry.get("params", [])), paths("outs", "metrics", "plots"))


def _filled(text: str, params: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda match: str(value(params, match[1])), text)


def value(params: Mapping[str, Any], key: str) -> Any:
    """The value of a key such as "ingest.source", or None where there is none."""
    place: Any = params
    for name in key.split("."):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place


def plain(path: str) -> str:
    """One spelling per path, so that `pictures/` and `./pictures` are the same; addresses stay as they are."""
    return path if is_address(path) else normpath(path)


def is_relative(source: str) -> bool:
    """Whether a source is named relative to the checkout, and is no address."""
    return not is_address(source) and not PurePath(source).is_absolute()
