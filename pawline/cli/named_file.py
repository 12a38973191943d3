"""A file that an argument names: whoever names none, or a folder, has used the command wrongly, exit code 2."""

import os
from pathlib import Path

from pawline.errors import ParamsError
from pawline.terminal import printable


def refuse_no_file(named: Path, advice: str) -> None:
    """Raise ParamsError where there is nothing of this name, or a folder. advice: what to give instead."""
    if not os.path.lexists(named):  # unlike Path.exists, no error for a name that is too long
        raise ParamsError(f"{printable(str(named))}: no such file; {advice}")
    if os.path.isdir(named):  # noqa: PTH112 - as above
        raise ParamsError(f"{printable(str(named))}: a folder, expected a file; {advice}")
