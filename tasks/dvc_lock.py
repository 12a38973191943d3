"""What `dvc.lock` says of the outputs, and where DVC's cache keeps them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawline.errors import PawlineError


@dataclass(frozen=True)
class Output:
    """One output of a stage; `md5` ends in .dir for a folder."""

    path: str
    md5: str
    stage: str

    @property
    def is_folder(self) -> bool:
        return self.md5.endswith(".dir")


def locked_outputs(text: str) -> dict[str, Output]:
    """The outputs in the text of a dvc.lock, by path. Raises PawlineError for one in conflict or cut off."""
    try:
        stages = (YAML(typ="safe").load(text) or {}).get("stages", {})
        return {
            out["path"]: Output(out["path"], out["md5"], stage)
            for stage, entry in stages.items()
            for out in entry.get("outs", [])
        }
    except (YAMLError, AttributeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise PawlineError(
            f"dvc.lock: not to be read: {reason}; restore it with `git checkout dvc.lock`"
        ) from None


def read_lock(path: Path = Path("dvc.lock")) -> dict[str, Output]:
    try:
        return locked_outputs(path.read_text())
    except FileNotFoundError:
        raise PawlineError(f"{path}: not there; nothing has been run yet: `dvc repro`") from None


class Cache:
    """DVC's cache of this workspace, wherever it is configured to be."""

    def __init__(self) -> None:
        asked = subprocess.run(
            [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=False
        )
        if asked.returncode:
            raise PawlineError(f"dvc cache dir: {asked.stderr.strip()}")
        self._files = Path(asked.stdout.strip()) / "files" / "md5"

    def path(self, md5: str) -> Path:
        return self._files / md5[:2] / md5[2:]

    def folder(self, md5: str) -> dict[str, str]:
        """The md5 of each file of a folder, by its path inside. Raises OSError when it is not in the cache."""
        return {entry["relpath"]: entry["md5"] for entry in json.loads(self.path(md5).read_text())}
