"""`python -m pawline.cli.champion_watch ADDRESS FOLDER`: hand over the model behind an MLflow address.

`pawline serve --model models:/…` starts it: MLflow takes seconds and hundreds of megabytes to load, which the service
itself does without. Each new model behind the address is handed over too. They lie in FOLDER as the champion does in
`.pawline/`: see pawline/workspace/laid_models.py.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pawline.errors import PawlineError
from pawline.process import end_with
from pawline.terminal import say
from pawline.workspace.laid_models import LaidModels
from pawline.workspace.model_watch import READY, models_in

ASK_SECONDS = 5.0  # between two questions to MLflow


def main(address: str, folder: Path) -> int:
    """Ask again and again, as long as the service lives. Raises PawlineError where MLflow gives no first model."""
    laid, service = models_in(folder), os.getppid()
    last, trouble = hand_over(address, laid, ""), False
    print(READY, flush=True)
    while os.getppid() == service:
        time.sleep(ASK_SECONDS)
        last, trouble = look_again(partial(hand_over, address, laid, last), last, trouble)
    return 0


def hand_over(address: str, laid: LaidModels, last: str) -> str:
    """Lay the model behind an address, unless it is `last`, what an earlier call returned. Returns its own address."""
    from pawline.tracking.store import downloaded_model, model_behind

    if (found := model_behind(address)) != last:
        with laid.held():
            laid.lay(re.sub(r"[^\w.-]+", "-", found), lambda: downloaded_model(found))
    return found


def look_again(look: Callable[[], str], last: str, trouble: bool) -> tuple[str, bool]:
    """(the address of the model that lies there, whether there was trouble). Trouble is said once, until it is over."""
    try:
        found = look()
    except (PawlineError, OSError) as error:
        if not trouble:
            say(f"warning: the old model goes on answering, and MLflow is asked again and again: {error}")
        return last, True
    if trouble:
        say("MLflow has the model again")
    return found, False


if __name__ == "__main__":
    end_with(lambda: main(sys.argv[1], Path(sys.argv[2])))
