"""What can go wrong, by who can mend it. Each message is one line: what, where, expected, next.

PawlineError
├── ParamsError     2   params.yaml is wrong
├── DatasetError    3   the data is wrong
├── ModelError      3   the model file is missing, damaged or not one of ours
└── BusyError      75   someone else is at it, or a server does not answer; try again
"""


class PawlineError(Exception):
    """A mistake that its message lets the user mend. `exit_code` is what the process ends with."""

    exit_code = 1


class ParamsError(PawlineError):
    exit_code = 2


class DatasetError(PawlineError):
    exit_code = 3


class ModelError(PawlineError):
    exit_code = 3


class BusyError(PawlineError):
    exit_code = 75


def innermost(error: BaseException) -> str:
    """The reason at the bottom: "Connection refused" rather than what five layers made of it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    words = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return words.splitlines()[0]
