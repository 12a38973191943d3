"""A copy of `dvc.lock` from before a stage. DVC writes the file in place: when DVC is killed in that moment, the file
is empty or cut off, and no DVC command works any more."""

import fcntl
from pathlib import Path
from typing import Any

from pawline.errors import PawlineError
from pawline.files import write_bytes
from pawline.workspace.dag import stages_with_outputs
from pawline.workspace.lock import LOCK, parse_lock

KEPT = Path(".dvc/tmp/dvc.lock")


def keep_lock(workspace: Path) -> None:
    """Copy a whole dvc.lock before a stage runs."""
    if _is_whole(LOCK, workspace):
        write_bytes(workspace / KEPT, (workspace / LOCK).read_bytes())
    else:
        (workspace / KEPT).unlink(missing_ok=True)


def mend_lock(workspace: Path) -> None:
    """Replace a dvc.lock that was cut off by the kept one, or delete it. DVC's cache holds what a stage made since.

    Nothing happens while a DVC command runs, which may be writing the file, nor where git left a conflict in it.
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
    """Whether DVC would read this file. One cut off between two stages counts as whole: the others run again."""
    try:
        text = (workspace / lock).read_text(encoding="utf-8")
        with_outputs = stages_with_outputs(workspace)
        entries = parse_lock(text)
        complete = [_is_complete(entry, name in with_outputs) for name, entry in entries.items()]
        return bool(complete) and all(complete) and (text.endswith("\n") or _ends_whole(entries, workspace))
    except (OSError, ValueError, TypeError, PawlineError):
        return False


def _ends_whole(entries: dict[str, Any], workspace: Path) -> bool:
    """Whether the last number of a file without a last line break is whole: an editor may have taken the break away.
    The output that it describes tells; where that is no file here, the number counts as whole."""
    last = next(reversed(entries.values()))
    output = last["outs"][-1] if last.get("outs") else {}
    file = workspace / output.get("path", "")
    return not file.is_file() or file.stat().st_size == output["size"]


def _is_complete(entry: dict[str, Any], has_outputs: bool) -> bool:
    """Whether a stage's entry is whole: its outputs stand last, and the size stands last in an output."""
    if not has_outputs:
        return "cmd" in entry
    return "cmd" in entry and bool(entry.get("outs")) and all("size" in output for output in entry["outs"])
