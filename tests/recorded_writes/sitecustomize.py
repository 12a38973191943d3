"""Put on PYTHONPATH, this records what a stage writes, and which of the project's files were at work on it.

One line of JSON per file that is opened for writing or renamed: stage, path, the project's files on the stack, the
innermost first. tests/test_pipeline.py reads them.
"""

import json
import os
import sys
from pathlib import Path
from types import FrameType

STAGE, LOG = os.environ.get("DVC_STAGE"), os.environ.get("PAWLINE_TEST_WRITES")


def record(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename":
        path = arguments[1]
    elif event == "open" and writes(*arguments):
        path = arguments[0]
    else:
        return
    if isinstance(path, str | os.PathLike):
        line = {"stage": STAGE, "path": relative(str(path)), "files": project_files(sys._getframe(1))}
        os.write(log, (json.dumps(line) + "\n").encode())


def writes(path: object, mode: object, flags: object) -> bool:
    opened = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
    return opened or (isinstance(mode, str) and not {*"wax+"}.isdisjoint(mode))


def project_files(frame: FrameType | None) -> list[str]:
    files = []
    while frame:
        file = relative(frame.f_code.co_filename)
        if file.startswith(("pawline/", "tasks/")):
            files.append(file)
        frame = frame.f_back
    return files


def relative(path: str) -> str:
    return os.path.relpath(path, CHECKOUT) if path.startswith(CHECKOUT) else path


if STAGE and LOG:
    CHECKOUT = str(Path.cwd())
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(record)
