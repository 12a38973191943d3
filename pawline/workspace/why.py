"""Why each stage would run, or which run made its outputs and what that saves: `pawline why`.

DVC says which stages changed; here its answer is put into words, with `dvc.lock` for what was, the workspace for
what is and the history for who made it.
"""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.addresses import is_address, public_address
from pawline.errors import ParamsError
from pawline.params.whole import dotted, load_params
from pawline.terminal import listed
from pawline.workspace.checkout import ask_git, main_checkout
from pawline.workspace.dag import PACKAGES, Stage, dag_of, makers, plain, read_dag, value
from pawline.workspace.history import StageRun, code_digests, content_of_entry, duration, read_history
from pawline.workspace.layout import Layout, LocalState
from pawline.workspace.lock import LOCK, read_entries
from pawline.workspace.status import Status, dvc_status
from pawline.yaml_files import read_yaml

if TYPE_CHECKING:
    from pawline.workspace.source_changes import ChangesByPath

UNCHANGED = "unchanged"
RESTORED = "will be restored"  # outputs are missing or tampered with, and DVC's cache holds what was made
MAY_RUN = "may run"  # when a stage before it writes something new
WILL_RUN = "will run"

# What stands before the reasons of a kind; a kind that is not here speaks for itself.
INTRODUCED = {"param": "params ", "module": "edited ", "upstream": "after "}
# A fresh clone: its stages came to the very inputs that the commit has, and git brought the outputs.
NOT_ON_RECORD = "made by a run that is not on record here, such as one in another clone"
MOST_SHOWN, ALL = 3, 100  # reasons of a kind that a line names, of all stages and of a single one


@dataclass(frozen=True)
class Reason:
    """kind: "never run", "command", "param", "source", "module", "input", "upstream", "output" or "version".
    subject: the key, path or stage that it is about. detail: the same for programs, by kind."""

    kind: str
    subject: str
    text: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """made: the run that made the outputs in use; None where they are to be made, or nothing is known of it."""

    stage: str
    state: str
    reasons: list[Reason]
    made: StageRun | None = None

    @property
    def saved_seconds(self) -> float | None:
        return self.made.seconds if self.made else None

    def text(self, most: int = MOST_SHOWN) -> str:
        """The reasons and the run that made the outputs, in one line. most: reasons named per kind."""
        kinds = groupby(self.reasons, lambda reason: reason.kind)
        clauses = [_clause(kind, list(reasons), most) for kind, reasons in kinds]
        if self.made:
            when = f"{self.made.finished.astimezone():%Y-%m-%d %H:%M}"
            clauses.append(f"made {when} by {self.made.by}; saved {duration(self.made.seconds)}")
        return "; ".join(clauses) or NOT_ON_RECORD

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "state": self.state,
            "reasons": [asdict(reason) for reason in self.reasons],
            "made_at": self.made.finished.isoformat() if self.made else None,
            "made_by": self.made.by if self.made else None,
            "saved_seconds": self.saved_seconds,
        }


def _clause(kind: str, reasons: list[Reason], most: int) -> str:
    return INTRODUCED.get(kind, "") + listed([reason.text for reason in reasons], most)


def check_stage(only: str | None) -> None:
    """Raise ParamsError where dvc.yaml has no stage of this name."""
    stages = dag_of()
    if only is not None and only not in stages:
        close = difflib.get_close_matches(only, stages, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(stages)}"
        raise ParamsError(f"dvc.yaml: no stage '{only}'; {hint}")


def why(only: str | None = None) -> list[Explanation]:
    """One per stage of the workspace in the current folder, or of one stage. Raises ParamsError."""
    check_stage(only)
    explained = explain(dvc_status())
    return [explained[only]] if only else list(explained.values())


def explain(status: Status, root: Path = Path()) -> dict[str, Explanation]:
    """What `dvc status --json` said of the workspace at `root`, explained stage by stage."""
    known = _Known.read(root)
    explained: dict[str, Explanation] = {}
    for stage in known.stages.values():
        explained[stage.name] = _explain(stage, status.get(stage.name, []), known, explained)
    return explained


@dataclass(frozen=True)
class _Known:
    """What was and what is. recorded: the entries of dvc.lock."""

    root: Path
    stages: dict[str, Stage]
    params: dict[str, Any]
    recorded: dict[str, Any]
    history: dict[tuple[str, str], StageRun]

    @classmethod
    def read(cls, root: Path) -> "_Known":
        params = read_yaml(root / Layout().params)
        history = read_history(LocalState(main_checkout(root)).history)
        return cls(root, read_dag(params, root), params, read_entries(root), history)

    def file(self, stage: str, kind: str, path: str) -> dict[str, Any]:
        """What dvc.lock says of one of the "deps" or "outs" of a stage; empty where it says nothing."""
        files = self.recorded.get(stage, {}).get(kind, [])
        return next((file for file in files if plain(file["path"]) == path), {})

    def made(self, stage: str) -> StageRun | None:
        return self.history.get((stage, content_of_entry(self.recorded[stage])))


def _explain(stage: Stage, changes: list[Any], known: _Known, before: Mapping[str, Explanation]) -> Explanation:
    if stage.name not in known.recorded:
        return Explanation(stage.name, WILL_RUN, [Reason("never run", stage.name, "never run")])
    own = list(_own_reasons(stage, changes, known, before))
    outputs = list(_output_reasons(changes, known))
    upstream = [Reason("upstream", name, name) for name in _running_before(stage, known, before)]
    if own or any(reason.detail["how"] in ("not in cache", "new") for reason in outputs):
        return Explanation(stage.name, WILL_RUN, [*own, *outputs, *upstream])
    if upstream:
        return Explanation(stage.name, MAY_RUN, [*outputs, *upstream])
    reasons = [*outputs, *_version_reasons(stage, known)]
    return Explanation(stage.name, RESTORED if outputs else UNCHANGED, reasons, known.made(stage.name))


def _running_before(stage: Stage, known: _Known, before: Mapping[str, Explanation]) -> list[str]:
    """The stages with a reason of their own to run, directly or further up."""
    causes: dict[str, None] = {}
    for maker in (before[name] for name in makers(stage, known.stages)):
        causes |= dict.fromkeys(reason.subject for reason in maker.reasons if reason.kind == "upstream")
        if maker.state == WILL_RUN:
            causes[maker.stage] = None
    return [name for name in known.stages if name in causes]


def _own_reasons(
    stage: Stage, changes: list[Any], known: _Known, before: Mapping[str, Explanation]
) -> Iterator[Reason]:
    yield from (Reason("command", stage.name, change) for change in changes if isinstance(change, str))
    changed = _paths(changes, "changed deps", known)
    maker_of = {path: name for name in makers(stage, known.stages) for path in known.stages[name].outs}
    for path, how in sorted(changed.items()):
        if path == str(Layout().params):
            yield from _param_reasons(stage, known)
        elif path.startswith(PACKAGES):
            yield from _module_reasons(stage, path, how, known)
        elif path == str(Layout().relabel):
            yield Reason("source", path, f"decisions about labels in {path}", {"how": how})
        elif path not in maker_of:
            yield _source_reason(stage, path, how, known)
        elif before[maker_of[path]].state in (UNCHANGED, RESTORED):
            yield from _input_reasons(stage, maker_of[path], path, known)


def _paths(changes: list[Any], kind: str, known: _Known) -> dict[str, Any]:
    """How each path of one kind changed, by the path that dvc.yaml has: DVC makes one outside the checkout absolute."""
    named = {path: path for stage in known.stages.values() for path in (*stage.deps, *stage.outs)}
    named |= {os.path.abspath(known.root / path): path for path in named}  # noqa: PTH100 - links kept, as by DVC
    groups = [change.get(kind, {}) for change in changes if isinstance(change, dict)]
    paths = {plain(path): how for group in groups for path, how in group.items()}
    return {named.get(path, path): how for path, how in paths.items()}


def _param_reasons(stage: Stage, known: _Known) -> Iterator[Reason]:
    old = dotted(known.recorded[stage.name].get("params", {}).get(str(Layout().params), {}))
    new = dotted({section: value(known.params, section) for section in stage.params})
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            was, now = _without_secrets(old.get(key)), _without_secrets(new.get(key))
            yield Reason("param", key, f"{key} {_shown(was)} -> {_shown(now)}", {"old": was, "new": now})


def _shown(setting: Any) -> str:
    return (
        setting if isinstance(setting, str) else "nothing" if setting is None else json.dumps(setting, default=str)
    )


def _without_secrets(setting: Any) -> Any:
    """The same, but for addresses: without what may be a password."""
    return public_address(setting) if isinstance(setting, str) and is_address(setting) else setting


def _input_reasons(stage: Stage, maker: str, path: str, known: _Known) -> Iterator[Reason]:
    """None where the stage before will bring back what this one read."""
    if known.file(maker, "outs", path).get("md5") != known.file(stage.name, "deps", path).get("md5"):
        yield Reason("input", path, f"{maker} has made {path} again", {"maker": maker})


def _module_reasons(stage: Stage, path: str, how: str, known: _Known) -> Iterator[Reason]:
    """One per edited file where the path is a folder and the history or git knows them; else one for the path."""
    if how == "modified":
        how = "edited" if known.file(stage.name, "deps", path) else "new"
    files = _edited_files(stage, path, known) if (known.root / path).is_dir() and how == "edited" else []
    for file in files or [path]:
        yield Reason("module", file, file if how == "edited" else f"{file} ({how})", {"how": how})


def _edited_files(stage: Stage, folder: str, known: _Known) -> list[str]:
    """The files of a code folder that differ from those of the recorded run; where that is not known, as in a fresh
    clone, those that differ from the commit of dvc.lock."""
    made, prefix = known.made(stage.name), f"{folder}/"
    if made and made.code:
        now = code_digests(stage, known.root)
        paths = (path for path in made.code.keys() | now.keys() if path.startswith(prefix))
        return sorted(path for path in paths if made.code.get(path) != now.get(path))
    commit = ask_git(known.root, "log", "-1", "--format=%H", "--", str(LOCK))
    changed = ask_git(known.root, "diff", "--name-only", "--relative", commit, "--", folder) if commit else ""
    return sorted(changed.splitlines())


def _source_reason(stage: Stage, path: str, how: str, known: _Known) -> Reason:
    name = _without_secrets(path)
    if how == "deleted":
        return Reason("source", name, f"the source {name} is missing", {"how": how})
    if counts := _counted(stage, path, known):
        return Reason("source", name, f"{counts} in {name}", asdict(counts))
    old, new = known.file(stage.name, "deps", path).get("size"), _size(known.root / path)
    sizes = f" ({old:,} -> {new:,} bytes)" if old and new and old != new else ""
    return Reason("source", name, f"the source {name} changed{sizes}", {"old_bytes": old, "new_bytes": new})


def _counted(stage: Stage, path: str, known: _Known) -> "ChangesByPath | None":
    """What changed in a folder; an archive or an address would have to be read for it."""
    if not (known.root / path).is_dir():
        return None
    from pawline.workspace.source_changes import changes_by_path

    made = known.made(stage.name)
    since = made.started if made else None
    params = load_params(known.root / Layout().params).ingest
    return changes_by_path(known.root / path, known.root / Layout().index, since, params)


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


HOW_OUTPUTS_CHANGED = {
    "deleted": "is missing",
    "modified": "is not what was made",
    "new": "was never recorded",
    "not in cache": "is not in DVC's cache",
}


def _output_reasons(changes: list[Any], known: _Known) -> Iterator[Reason]:
    for path, how in sorted(_paths(changes, "changed outs", known).items()):
        yield Reason("output", path, f"{path} {HOW_OUTPUTS_CHANGED.get(how, how)}", {"how": how})


def _version_reasons(stage: Stage, known: _Known) -> Iterator[Reason]:
    """Libraries that made the model in another version than the installed one: no reason to run, but worth knowing."""
    card = known.root / Layout().card
    if str(Layout().card) not in stage.outs or not card.exists():
        return
    conditions = json.loads(card.read_text(encoding="utf-8")).get("conditions", {})
    for package, name in (("tensorflow", "TensorFlow"), ("keras", "Keras")):
        old, new = conditions.get(package), version(package)
        if old and old != new:
            yield Reason("version", package, f"made with {name} {old}, now {new}", {"old": old, "new": new})
