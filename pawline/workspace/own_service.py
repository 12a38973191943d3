"""The server of `pawline serve` for a while: a process of its own, `python -m pawline.workspace.own_service MODEL`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from pawline.errors import BusyError
from pawline.process import begin, end_with
from pawline.workspace.runner_watch import end_with_parent


@contextmanager
def own_service(model: Path) -> Iterator[str]:
    """The address at which a process of its own answers, on a free port of this machine, while the block runs.

    Raises BusyError, with the last line of the process, where it does not start."""
    command = [sys.executable, "-m", __name__, str(model)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    last = ""
    try:
        for last in process.stderr:
            if found := re.search(r"answers at (http://\S+?)/$", last.strip()):
                break
        else:
            raise BusyError(f"the service did not start: {last.strip() or f'exit code {process.wait()}'}")
        Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the service
        yield found[1]
    finally:
        process.terminate()
        process.wait()


def main(model: Path) -> int:
    from pawline.predict import MAX_BYTES
    from pawline.service.limits import Limits
    from pawline.service.server import serve

    end_with_parent()
    return serve(model, "127.0.0.1", 0, [], Limits(max_body=MAX_BYTES, max_bodies=MAX_BYTES))


if __name__ == "__main__":
    begin()
    end_with(lambda: main(Path(sys.argv[1])))
