"""How every process of Pawline begins and ends: a settled environment, one line and a stable exit code on failure."""

import errno
import importlib.util
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from types import TracebackType
from typing import NoReturn

from pawline.addresses import without_secrets
from pawline.errors import PawlineError
from pawline.terminal import say

ENVIRONMENT = {
    # Nothing is sent anywhere.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A tracking server that dies should cost seconds, not four minutes; files are the truth anyway.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    # It would print the server's address with the password in it.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # What tables need for a moment goes back to the system, not to a pool: peak memory stays flat.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # Loading a model must not run what somebody pickled.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}

OWN = ("pawline", "tasks", "flows")
INTERRUPTED = "interrupted; the same command continues"


def begin() -> None:
    """Settle the environment, and let Ctrl-C print one line, not a traceback: a stage's imports take seconds, in which
    people press it."""
    if importlib.util.find_spec("onnxruntime") is None:  # `python` is not the project's
        say("not installed for this Python; run `make setup`, then `. .venv/bin/activate`")
        sys.exit(2)
    settle_environment()
    sys.excepthook = _end_in_one_line


def settle_environment() -> None:
    """Set what libraries read when they are imported; the user's own values win."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)


def end_with(work: Callable[[], int | None]) -> NoReturn:
    """Do `work` and end the process with its exit code, or with one line and the code of its failure."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        code = work() or 0
    except PawlineError as error:
        code = _complain(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OWN:
            raise  # a bug
        code = _complain(
            f"this command needs the package {error.name}, which is not installed here; requirements.lock has it, "
            "requirements-serve.lock is for predict and serve alone",
            2,
        )
    except OSError as error:  # a full disk, a missing right: the machine's state, not a bug
        code = _complain(f"{error.filename or _fullest(error)}: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        code = _complain(INTERRUPTED, 130)
    sys.exit(code)


def _fullest(error: OSError) -> str:
    """The file system that an error without a file name is about: of a full disk, where the least space is left."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return "file system"
    places = [place for place in (Path.cwd(), Path(gettempdir()), Path.home()) if place.is_dir()]
    return str(min(places, key=lambda place: disk_usage(place).free))


def _end_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # Ctrl-C inside pydantic, while Prefect is imported, surfaces as pydantic's own error.
    by_pydantic = kind.__name__ == "PydanticSerializationError" and "KeyboardInterrupt" in str(error)
    if not (issubclass(kind, KeyboardInterrupt) or by_pydantic):
        print(without_secrets("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)
        return
    say(INTERRUPTED)
    sys.exit(130)


def _complain(message: str, code: int) -> int:
    say(message)
    return code


def _stop(signum: int, frame: object) -> NoReturn:
    sys.exit(128 + signum)  # by way of SystemExit, so that partial files are removed
