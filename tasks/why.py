"""Why each stage would run, or which run made its outputs and what that saves: `pawline why`.

DVC says which stages changed; here its answer is put into words, with `dvc.lock` for what was, the workspace for
what is and the history for who made it.
"""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.errors import ParamsError
from tasks.dag import Stage, makers, plain, read_dag, read_yaml, value
from tasks.dotted import dotted
from tasks.dvc_status import Status, dvc_status
from tasks.history import HISTORY, StageRun, content_of_entry, read_history
from tasks.layout import Layout
from tasks.workspace import main_checkout

if TYPE_CHECKING:
    from tasks.source_changes import SourceChanges

UNCHANGED = "unchanged"
RESTORED = "will be restored"  # outputs are missing or tampered with, and DVC's cache holds what was made
MAY_RUN = "may run"  # when a stage before it writes something new
WILL_RUN = "will run"

# What stands before the reasons of a kind; a kind that is not here speaks for itself.
INTRODUCED = {"param": "params ", "module": "edited ", "upstream": "after "}
MOST_SHOWN = 3


@dataclass(frozen=True)
class Reason:
    """kind: "never run", "command", "param", "source", "module", "input", "upstream" or "output".
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
        """In a line. most: how many reasons of a kind are named, the others being counted."""
        told = [_told(kind, list(group), most) for kind, group in groupby(self.reasons, lambda one: one.kind)]
        if self.made:
            when = f"{self.made.finished.astimezone():%Y-%m-%d %H:%M}"
            told.append(f"made {when} by {self.made.by}; saved {duration(self.made.seconds)}")
        return "; ".join(told) or "made by a run that is not on record here"

    def as_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "state": self.state,
            "reasons": [asdict(reason) for reason in self.reasons],
            "made_at": self.made.finished.isoformat() if self.made else None,
            "made_by": self.made.by if self.made else None,
            "saved_seconds": self.saved_seconds,
        }


def _told(kind: str, reasons: list[Reason], most: int) -> str:
    more = f" and {len(reasons) - most} more" if len(reasons) > most else ""
    return INTRODUCED.get(kind, "") + ", ".join(reason.text for reason in reasons[:most]) + more


def duration(seconds: float) -> str:
    """0.4 s, 14 s, 17 min, 2.5 h"""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def why(only: str | None = None) -> list[Explanation]:
    """One per stage of the workspace in the current folder, or of one stage. Raises ParamsError."""
    stages = read_dag(read_yaml(Layout().params))
    if only is not None and only not in stages:
        close = difflib.get_close_matches(only, stages, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(stages)}"
        raise ParamsError(f"dvc.yaml: no stage '{only}'; {hint}")
    explained = explain(dvc_status(stages.values()))
    return [explained[name] for name in ([only] if only else stages)]


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
        params, lock = read_yaml(root / Layout().params), root / "dvc.lock"
        recorded = read_yaml(lock).get("stages", {}) if lock.exists() else {}
        history = read_history(main_checkout(root) / HISTORY)
        return cls(root, read_dag(params, root), params, recorded, history)

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
    outputs = list(_output_reasons(changes))
    upstream = [Reason("upstream", name, name) for name in _running_before(stage, known, before)]
    if own or any(reason.detail["how"] in ("not in cache", "new") for reason in outputs):
        return Explanation(stage.name, WILL_RUN, [*own, *outputs, *upstream])
    if upstream:
        return Explanation(stage.name, MAY_RUN, [*outputs, *upstream])
    return Explanation(stage.name, RESTORED if outputs else UNCHANGED, outputs, known.made(stage.name))


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
    source = plain(str(value(known.params, "ingest.source")))
    outside = os.path.abspath(known.root / source)  # noqa: PTH100 - links kept, as DVC writes what is not in the checkout
    changed = {source if path == outside else path: how for path, how in _paths(changes, "changed deps").items()}
    if str(Layout().params) in changed:
        yield from _param_reasons(stage, known)
    maker_of = {path: name for name in makers(stage, known.stages) for path in known.stages[name].outs}
    for path, how in sorted(changed.items()):
        if path == str(Layout().params):
            continue
        if path in maker_of:
            if before[maker_of[path]].state in (UNCHANGED, RESTORED):
                yield from _input_reasons(stage, maker_of[path], path, known)
        elif path == source:
            yield _source_reason(stage, path, how, known)
        else:
            yield _module_reason(stage, path, how, known)


def _paths(changes: list[Any], kind: str) -> dict[str, Any]:
    """Of the changes that DVC lists, those of one kind: how each path changed."""
    groups = [change.get(kind, {}) for change in changes if isinstance(change, dict)]
    return {plain(path): how for group in groups for path, how in group.items()}


def _param_reasons(stage: Stage, known: _Known) -> Iterator[Reason]:
    old = dotted(known.recorded[stage.name].get("params", {}).get(str(Layout().params), {}))
    new = dotted({section: value(known.params, section) for section in stage.params})
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            was, now = _without_secrets(old.get(key)), _without_secrets(new.get(key))
            yield Reason("param", key, f"{key} {_shown(was)} -> {_shown(now)}", {"old": was, "new": now})


def _shown(found: Any) -> str:
    return found if isinstance(found, str) else "nothing" if found is None else json.dumps(found, default=str)


def _without_secrets(found: Any) -> Any:
    """The same, but for addresses: without what may be a password."""
    if not isinstance(found, str) or "://" not in found:
        return found
    from pawline.buckets import shown

    return shown(found)


def _input_reasons(stage: Stage, maker: str, path: str, known: _Known) -> Iterator[Reason]:
    """None where the stage before will bring back what this one read."""
    if known.file(maker, "outs", path).get("md5") != known.file(stage.name, "deps", path).get("md5"):
        yield Reason("input", path, f"{maker} has made {path} anew", {"maker": maker})


def _module_reason(stage: Stage, path: str, how: str, known: _Known) -> Reason:
    if how == "modified":
        how = "edited" if known.file(stage.name, "deps", path) else "new"
    return Reason("module", path, path if how == "edited" else f"{path} ({how})", {"how": how})


def _source_reason(stage: Stage, path: str, how: str, known: _Known) -> Reason:
    name = _without_secrets(path)
    if how == "deleted":
        return Reason("source", name, f"the source {name} is missing", {"how": how})
    if counts := _counted(stage, path, known):
        return Reason("source", name, f"{counts} in {name}", asdict(counts))
    old, new = known.file(stage.name, "deps", path).get("size"), _size(known.root / path)
    told = f" ({old:,} -> {new:,} bytes)" if old and new and old != new else ""
    return Reason("source", name, f"the source {name} changed{told}", {"old_bytes": old, "new_bytes": new})


def _counted(stage: Stage, path: str, known: _Known) -> "SourceChanges | None":
    """What changed in a folder; an archive or an address would have to be read for it."""
    if not (known.root / path).is_dir():
        return None
    from tasks.source_changes import count_changes

    made = known.made(stage.name)
    return count_changes(known.root / path, known.root / Layout().index, made.started if made else None)


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


HOW_OUTPUTS_CHANGED = {
    "deleted": "is missing",
    "modified": "is not what was made",
    "new": "was never recorded",
    "not in cache": "is not in DVC's cache",
}


def _output_reasons(changes: list[Any]) -> Iterator[Reason]:
    for path, how in sorted(_paths(changes, "changed outs").items()):
        yield Reason("output", path, f"{path} {HOW_OUTPUTS_CHANGED.get(how, how)}", {"how": how})
