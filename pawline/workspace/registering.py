"""`pawline register` for a flow: a process of its own, since it loads MLflow and models, and may be killed."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pawline.errors import BusyError
from pawline.workspace.dvc_command import ProcessError, own_process
from pawline.workspace.registered import Answer, known_answer


def register(workspace: Path, environment: Mapping[str, str]) -> Answer:
    """The answer about the model of a workspace: the one that is known, or that of the command.

    Raises BusyError where MLflow does not answer, ProcessError for another failure."""
    if known := known_answer(workspace):
        return known
    with own_process(
        workspace, "pawline.cli", "register", "--json", environment=environment, stderr=subprocess.PIPE
    ) as child:
        answer, complaint = child.communicate()
    if child.returncode == 0:
        return Answer(**json.loads(answer))
    lines = [line.removeprefix("pawline: ") for line in complaint.splitlines() if line]
    message = lines[-1] if lines else "failed without a message; `pawline register` shows more"
    if child.returncode == BusyError.exit_code:
        raise BusyError(message)
    raise ProcessError(message, child.returncode)
