"""`dvc.lock` as it was before a stage. DVC writes it in place: ended in that moment it leaves nothing, or a part
that it refuses to read, and no DVC command works any more."""

import fcntl
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawline.files import write_bytes

LOCK, KEPT = Path("dvc.lock"), Path(".dvc/tmp/dvc.lock")


def keep_lock(workspace: Path) -> None:
    if _is_whole(LOCK, workspace):
        write_bytes(workspace / KEPT, (workspace / LOCK).read_bytes())
    else:
        (workspace / KEPT).unlink(missing_ok=True)


def mend_lock(workspace: Path) -> None:
    """Where it was cut off, put back the kept one, or none. What a stage made meanwhile DVC has in its cache.

    Not while a DVC command is at work, which may be writing it, nor where git left two versions of it in one.
    """
    if not _is_broken(workspace):
        return
    with (workspace / ".dvc/tmp/lock").open("a") as guard:  # what DVC locks while it writes
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if _is_broken(workspace):  # still
            _put_back(workspace)


def _put_back(workspace: Path) -> None:
    if _is_whole(KEPT, workspace):
        write_bytes(workspace / LOCK, (workspace / KEPT).read_bytes())
    elif not (workspace / LOCK).read_bytes():
        (workspace / LOCK).unlink()


def _is_broken(workspace: Path) -> bool:
    if not (workspace / LOCK).exists() or _is_whole(LOCK, workspace):
        return False
    return b"<<<<<<<" not in (workspace / LOCK).read_bytes()


def _is_whole(lock: Path, workspace: Path) -> bool:
    """Whether DVC would read it. Cut off between two stages or outputs it is whole too: the rest is run again."""
    try:
        text = (workspace / lock).read_text(encoding="utf-8")
        content: Any = YAML(typ="safe").load(text)
        with_outputs = _stages_with_outputs(workspace)
        return text.endswith("\n") and all(
            _is_complete(entry, name in with_outputs) for name, entry in content["stages"].items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, YAMLError):
        return False


def _stages_with_outputs(workspace: Path) -> set[str]:
    stages: dict[str, dict[str, Any]] = YAML(typ="safe").load((workspace / "dvc.yaml").read_text())["stages"]
    return {name for name, stage in stages.items() if stage.keys() & {"outs", "metrics", "plots"}}


def _is_complete(entry: dict[str, Any], has_outputs: bool) -> bool:
    """Outputs stand last in a stage's entry, and the size last in an output's."""
    if not has_outputs:
        return "cmd" in entry
    return "cmd" in entry and bool(entry.get("outs")) and all("size" in output for output in entry["outs"])
