"""Pictures that must stay together, by whatever they share: a group of near-duplicates, a group that the user names."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

GROUP_COLUMNS = ["group", "given_group"]  # of data/split.parquet; the second only where the user names groups


def linked(columns: Iterable[pd.Series]) -> NDArray[np.int64]:
    """Number the sets of rows that share a value in any column, directly or through other rows: (n,), from 0.

    columns: text, (n,) each; an empty text links nothing."""
    rows, values, num_values = [], [], 0
    length = 0
    for column in columns:
        length = len(column)
        named = np.flatnonzero((column != "").to_numpy(bool))
        codes = pd.factorize(column.iloc[named])[0]
        rows.append(named)
        values.append(codes + num_values)
        num_values += int(codes.max(initial=-1)) + 1
    row, value = np.concatenate(rows), np.concatenate(values) + length
    size = length + num_values
    graph = coo_array((np.ones(len(row), np.int8), (row, value)), shape=(size, size))
    return np.unique(connected_components(graph, directed=False)[1][:length], return_inverse=True)[1].astype(
        np.int64
    )


def group_keys(table: pd.DataFrame) -> pd.Series:
    """The name of each picture's set: the smallest `group` in it, which stays when other pictures are added.

    table: the rows of data/split.parquet."""
    numbers = pd.Series(linked(table[name] for name in GROUP_COLUMNS if name in table), table.index)
    return table["group"].groupby(numbers).transform("min")
