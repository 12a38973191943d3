"""Pictures that belong together (one patient, video, burst or camera), as the user says: none straddles two parts."""

import re
from pathlib import PurePosixPath

import pandas as pd

from pawline.errors import DatasetError
from pawline.params.split import FOLDER


def group_names(table: pd.DataFrame, group: str | None) -> pd.Series:
    """The name of each picture's group; "" for a picture that belongs to none.

    table: path, class_name and perhaps given_group; group: `split.group`, which overrides given_group.
    Raises DatasetError where `split.group` finds no group at all.
    """
    if group is None:
        return table["given_group"] if "given_group" in table else pd.Series("", table.index, dtype="str")
    if group == FOLDER:
        names = [_folder_below(path, name) for path, name in zip(table["path"], table["class_name"], strict=True)]
        problem = (
            "no picture lies in a folder below its class; put each group into a folder there, or empty the param"
        )
    else:
        pattern = re.compile(group)
        names = [_captured(pattern.search(path)) for path in table["path"]]
        problem = f"no path matches, such as '{table['path'].iloc[0]}'; correct the expression"
    if not any(names):
        raise DatasetError(f"split.group '{group}': {problem}")
    return pd.Series(names, table.index, dtype="str")


def _folder_below(path: str, class_name: str) -> str:
    """The folder below the class folder, so that `cat/ann/1.jpg` and `dog/ann/2.jpg` are of one group."""
    folders = PurePosixPath(path).parts[:-1]
    return "/".join(folders[folders.index(class_name) + 1 :] if class_name in folders else folders)


def _captured(match: re.Match[str] | None) -> str:
    return (match[1] or "") if match else ""
