"""`dvc.lock` as it was before a stage. DVC writes it in place: ended in that moment it leaves nothing, or a part
that it refuses to read, and no DVC command works any more."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawline.files import write_bytes

LOCK, KEPT = Path("dvc.lock"), Path(".dvc/tmp/dvc.lock")


def keep_lock(workspace: Path) -> None:
    if _is_whole(workspace / LOCK):
        write_bytes(workspace / KEPT, (workspace / LOCK).read_bytes())
    else:
        (workspace / KEPT).unlink(missing_ok=True)


def mend_lock(workspace: Path) -> None:
    """Where it was cut off, put back the kept one, or none. What a stage made meanwhile DVC has in its cache."""
    if not (workspace / LOCK).exists() or _is_whole(workspace / LOCK):
        return
    if _is_whole(workspace / KEPT):
        write_bytes(workspace / LOCK, (workspace / KEPT).read_bytes())
    elif not (workspace / LOCK).read_bytes():
        (workspace / LOCK).unlink()


def _is_whole(path: Path) -> bool:
    """Whether DVC would read it. Cut off between two stages or outputs it is whole too: the rest is run again."""
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = YAML(typ="safe").load(text)
        return text.endswith("\n") and all(_is_complete(entry) for entry in content["stages"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, YAMLError):
        return False


def _is_complete(entry: dict[str, Any]) -> bool:
    """Outputs stand last in a stage's entry, and the size last in an output's."""
    return "cmd" in entry and bool(entry.get("outs")) and all("size" in output for output in entry["outs"])
