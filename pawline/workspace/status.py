"""What `dvc status` answers about the stages."""

import json
from pathlib import Path
from typing import Any

from pawline.workspace.dvc_command import run_dvc

# By stage that changed, what `dvc status --json` lists: {"changed deps": {path: how}}, "changed command", …
Status = dict[str, list[Any]]


def dvc_status(workspace: Path = Path()) -> Status:
    """The stages of a workspace that changed. Raises BusyError while DVC works there, PawlineError when it fails."""
    status: Status = json.loads(run_dvc(workspace, "status", "--json"))
    return status
