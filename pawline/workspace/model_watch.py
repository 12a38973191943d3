"""A model behind an MLflow address as files: a watcher, a process of its own, fetches them and each new one."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pawline.terminal import say
from pawline.workspace.laid_models import LaidModels

WATCHER = "pawline.cli.champion_watch"  # the module that it runs
READY = "ready"  # what it prints once the first model lies there


def models_in(folder: Path) -> LaidModels:
    return LaidModels(folder / "champion", folder / "champions")


@contextmanager
def handed_over(address: str) -> Iterator[Path]:
    """The file that the watcher, a process of its own, replaces with each new model behind an address.

    Raises SystemExit with the watcher's exit code where it cannot get the first model; it has said why."""
    with TemporaryDirectory(prefix="pawline-serve-") as folder:
        command = [sys.executable, "-m", WATCHER, address, folder]
        # Ctrl-C is for the service, which ends the watcher last.
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        is_over = threading.Event()
        try:
            assert watcher.stdout is not None
            if watcher.stdout.readline().strip() != READY:
                sys.exit(watcher.wait())
            threading.Thread(target=_say_if_it_ends, args=(watcher, is_over), daemon=True).start()
            yield models_in(Path(folder)).file
        finally:
            is_over.set()
            watcher.terminate()
            watcher.wait()


def _say_if_it_ends(watcher: subprocess.Popen[str], is_over: threading.Event) -> None:
    code = watcher.wait()
    if not is_over.is_set():
        say(f"warning: MLflow is not asked any more, its watcher ended with {code}: start the service again")
