"""`python -m pawline.cli.champion_watch ADDRESS FOLDER`: hand over the model behind an MLflow address.

`pawline serve --model models:/…` starts it: MLflow takes seconds and hundreds of megabytes to load, which the service
itself does without. Each new model behind the address is handed over too. They lie in FOLDER as the champion does in
`.pawline/`: see pawline/workspace/laid_models.py.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pawline.errors import PawlineError
from pawline.process import end_with
from pawline.terminal import say
from pawline.workspace.laid_models import LaidModels

ASK_SECONDS = 5.0  # between two questions to MLflow
READY = "ready"


def is_in_mlflow(model: str) -> bool:
    """Whether --model names one in MLflow, not a file."""
    return re.match("(models|runs):/", model) is not None


# ---------------------------------------------------------------- in the service


@contextmanager
def handed_over(address: str) -> Iterator[Path]:
    """The file that the watcher, a process of its own, replaces with each new model behind an address.

    Raises SystemExit with the watcher's exit code where it cannot get the first model; it has said why."""
    with TemporaryDirectory(prefix="pawline-serve-") as folder:
        command = [sys.executable, "-m", "pawline.cli.champion_watch", address, folder]
        # Ctrl-C is for the service, which ends the watcher last.
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        is_over = threading.Event()
        try:
            assert watcher.stdout is not None
            if watcher.stdout.readline().strip() != READY:
                sys.exit(watcher.wait())
            threading.Thread(target=_say_if_it_ends, args=(watcher, is_over), daemon=True).start()
            yield _models_in(Path(folder)).file
        finally:
            is_over.set()
            watcher.terminate()
            watcher.wait()


def _say_if_it_ends(watcher: subprocess.Popen[str], is_over: threading.Event) -> None:
    code = watcher.wait()
    if not is_over.is_set():
        say(f"warning: MLflow is not asked any more, its watcher ended with {code}: start the service again")


# ---------------------------------------------------------------- in the watcher


def main(address: str, folder: Path) -> int:
    """Ask again and again, as long as the service lives. Raises PawlineError where the first model cannot be had."""
    laid, service = _models_in(folder), os.getppid()
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


def _models_in(folder: Path) -> LaidModels:
    return LaidModels(folder / "champion", folder / "champions")


if __name__ == "__main__":
    end_with(lambda: main(sys.argv[1], Path(sys.argv[2])))
