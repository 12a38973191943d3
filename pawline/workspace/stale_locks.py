"""DVC's locks on files that nobody holds any more. DVC itself disregards those of a process that is gone, but
stops at a record that a killed one wrote by half, and at a number that another program has been given since."""

import fcntl
import json
from pathlib import Path
from typing import Any

from pawline.files import write_json
from pawline.workspace.processes import living_process


def release_stale_locks(workspace: Path) -> None:
    """Remove from DVC's rwlock file every holder that is not a living DVC command; delete an unreadable file.

    Does nothing while DVC is changing the file."""
    record = workspace / ".dvc/tmp/rwlock"
    if not record.exists():
        return
    with record.with_name("rwlock.lock").open("a") as guard:  # what DVC locks while it changes the record
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = json.loads(record.read_text())
            readers = {path: list(filter(_lives, holders)) for path, holders in held.get("read", {}).items()}
            writers = {path: holder for path, holder in held.get("write", {}).items() if _lives(holder)}
            write_json(
                record, {"read": {path: alive for path, alive in readers.items() if alive}, "write": writers}
            )
        except BlockingIOError:
            pass
        except (ValueError, AttributeError, TypeError, KeyError):
            record.unlink()


def is_dvc_at_work(workspace: Path) -> bool:
    """Whether a living DVC command holds a file of this workspace, as it does while a stage runs."""
    release_stale_locks(workspace)
    try:
        held = json.loads((workspace / ".dvc/tmp/rwlock").read_text())
    except FileNotFoundError:
        return False
    except ValueError:  # DVC is changing the file
        return True
    return bool(held.get("read") or held.get("write"))


def _lives(holder: dict[str, Any]) -> bool:
    process = living_process(holder["pid"])
    return process is not None and any("dvc" in Path(word).name for word in process.cmdline())
