"""What `dvc.lock` records of the stages, and where DVC's cache keeps their outputs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawline.errors import PawlineError
from pawline.files import read_regular_file
from pawline.workspace.checkout import show_staged
from pawline.workspace.dvc_command import run_dvc
from pawline.yaml_files import YAMLError, parse_yaml

LOCK = Path("dvc.lock")
WHOLE = ""  # no problem


@dataclass(frozen=True)
class Output:
    """One output of a stage; `md5` ends in .dir for a folder."""

    path: str
    md5: str
    stage: str

    @property
    def is_folder(self) -> bool:
        return self.md5.endswith(".dir")


def parse_lock(text: str) -> dict[str, Any]:
    """The entries of the stages in the text of a dvc.lock, as DVC wrote them. Raises PawlineError."""
    try:
        entries: dict[str, Any] = (parse_yaml(text) or {}).get("stages", {})
        if not all(isinstance(entry, Mapping) for entry in entries.values()):
            raise TypeError("a stage's entry is not a mapping")
        return entries
    except (YAMLError, AttributeError, TypeError) as error:
        raise _cannot_be_parsed(error) from None


def locked_outputs(text: str) -> dict[str, Output]:
    """The outputs in the text of a dvc.lock, by path. Raises PawlineError for one in conflict or cut off."""
    try:
        return {
            out["path"]: Output(out["path"], out["md5"], stage)
            for stage, entry in parse_lock(text).items()
            for out in entry.get("outs", [])
        }
    except (KeyError, TypeError) as error:
        raise _cannot_be_parsed(error) from None


def _cannot_be_parsed(error: Exception) -> PawlineError:
    reason = " ".join(str(error).split())
    # Before the first commit git has nothing to restore; DVC's cache gives the outputs back to whatever is equal.
    mend = "git checkout dvc.lock" if show_staged(LOCK) else "rm dvc.lock && dvc repro"
    return PawlineError(f"dvc.lock: cannot be parsed: {reason}; restore it with `{mend}`")


def read_entries(root: Path = Path()) -> dict[str, Any]:
    """The entries of the stages in a workspace's dvc.lock; none before the first run. Raises PawlineError."""
    return parse_lock((root / LOCK).read_text(encoding="utf-8")) if (root / LOCK).exists() else {}


def read_lock(path: Path = LOCK) -> dict[str, Output]:
    """The outputs that dvc.lock names, by path. Raises PawlineError where nothing was run yet."""
    try:
        return locked_outputs(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PawlineError(f"{path}: not there; nothing has been run yet: `dvc repro`") from None


def locked_md5(path: Path, root: Path = Path()) -> str:
    """The md5 that dvc.lock records of an output; empty before the first."""
    outputs = read_lock(root / LOCK) if (root / LOCK).exists() else {}
    return outputs[str(path)].md5 if str(path) in outputs else ""


def md5_of(file: Path) -> str:
    """The digest by which DVC knows a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def problem_of(file: Path, md5: str) -> str:
    """What is wrong with a file that should have this MD5; nothing where it has."""
    try:
        content = read_regular_file(file)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return WHOLE if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5 else "is not what was recorded"


class Cache:
    """DVC's cache of this workspace, wherever it is configured to be."""

    def __init__(self, root: Path = Path()) -> None:
        self.folder_of_objects = root / run_dvc(root, "cache", "dir").strip() / "files" / "md5"

    def path(self, md5: str) -> Path:
        return self.folder_of_objects / md5[:2] / md5[2:]

    def folder(self, md5: str) -> dict[str, str]:
        """The md5 of each file of a folder, by its path inside. Raises OSError when the list is not in the cache,
        ValueError when the list is damaged."""
        try:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(self.path(md5).read_text())}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.path(md5)}: damaged list of files: {error!r}") from None

    def problem(self, md5: str) -> str:
        """What is wrong with an object; "" where it is whole."""
        return problem_of(self.path(md5), md5.removesuffix(".dir"))
