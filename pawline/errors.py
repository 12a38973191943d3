"""The errors, grouped by the cause that the user can fix. Each message is one line: what, where, expected, next.

PawlineError
├── ParamsError     2   params.yaml or an argument of a command is wrong
├── DatasetError    3   the data is wrong
├── ModelError      3   the model file is missing, damaged or not made by Pawline
└── BusyError      75   another process is busy, or a server does not answer; try again
"""


class PawlineError(Exception):
    """An error that the user can fix with the help of the message. `exit_code` is the exit code of the process."""

    exit_code = 1


class ParamsError(PawlineError):
    exit_code = 2


class DatasetError(PawlineError):
    exit_code = 3


class ModelError(PawlineError):
    exit_code = 3


class BusyError(PawlineError):
    exit_code = 75


def root_cause(error: BaseException) -> str:
    """The first cause, in one line: "Connection refused" instead of the messages of the five layers above it."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    text = (error.strerror if isinstance(error, OSError) else "") or str(error).strip() or type(error).__name__
    return text.splitlines()[0]
