"""What can go wrong, by who can mend it. Each message is one line: what, where, expected, next.

PawlineError
├── UsageError      2   the command line is wrong
├── ParamsError     2   params.yaml is wrong
├── DatasetError    3   the data is wrong
├── ModelError      3   the model file is missing, damaged or not one of ours
└── BusyError      75   someone else is at it, or a server does not answer; try again
"""


class PawlineError(Exception):
    """A mistake that its message lets the user mend. `exit_code` is what the process ends with."""

    exit_code = 1


class UsageError(PawlineError):
    exit_code = 2


class ParamsError(PawlineError):
    exit_code = 2


class DatasetError(PawlineError):
    exit_code = 3


class ModelError(PawlineError):
    exit_code = 3


class BusyError(PawlineError):
    exit_code = 75
