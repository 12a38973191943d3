"""Count the pictures of train, val and test whose label people corrected."""

import pandas as pd

from pawline.parts import num_per_part


def num_relabelled(index: pd.DataFrame, split: pd.DataFrame) -> dict[str, int]:
    """Count the pictures of each part whose label a decision of data/relabel.csv changed.

    index: with the columns path, class_name and given_class, or without the last one, as an earlier version wrote it:
    then nothing is known and the result is empty; split: the pictures in use, with path and split."""
    if "given_class" not in index:
        return {}
    changed = index.loc[index["class_name"] != index["given_class"], "path"]
    return num_per_part(split.loc[split["path"].isin(changed), "split"])
