"""One module per stage: what DVC executes and Prefect wraps.

Importing the package settles the environment, before any library reads it; the user's own values win. From then on
Ctrl-C costs one line: what a stage imports takes seconds, and a traceback through it tells nobody anything.
"""

import importlib.util
import os
import sys
from types import TracebackType

if importlib.util.find_spec("mlflow") is None:  # `python` is not the project's
    print("pawline: not installed for this Python; run `make setup`, then `. .venv/bin/activate`", file=sys.stderr)
    sys.exit(2)

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
    # What tables need for a moment goes back to the system, not to a pool: peak memory stays flat.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # Loading a model must not run what somebody pickled.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
for key, value in ENVIRONMENT.items():
    os.environ.setdefault(key, value)

INTERRUPTED = "interrupted; the same command continues"


def _end_in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # pydantic makes an error of its own of what interrupts it, as while Prefect is imported.
    by_pydantic = kind.__name__ == "PydanticSerializationError" and "KeyboardInterrupt" in str(error)
    if not (issubclass(kind, KeyboardInterrupt) or by_pydantic):
        return sys.__excepthook__(kind, error, trace)
    print(f"pawline: {INTERRUPTED}", file=sys.stderr)
    sys.exit(130)


sys.excepthook = _end_in_one_line
