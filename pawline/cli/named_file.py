"""A file that an argument names: whoever names one that is not there has used the command wrongly, exit code 2."""

import os
from pathlib import Path

from pawline.errors import ParamsError
from pawline.terminal import printable


def refuse_missing(named: Path, advice: str) -> None:
    """Raise ParamsError where there is nothing of this name. advice: what to give instead."""
    if not os.path.lexists(named):  # unlike Path.exists, no error for a name that is too long
        raise ParamsError(f"{printable(str(named))}: no such file; {advice}")
