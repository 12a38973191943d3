"""The part of each image by its own hash, and what fills the parts of a class that the hashes leave short.

Within a class, a key (an image's digest, or the name of its group) has a rank: how many keys of the class have a
smaller hash. Test takes the hashes below its fraction and at least the first `min_per_part` ranks; val takes the
hashes below the sum of both fractions, and at least the next `min_per_part` ranks. docs/decisions/0003-split.md proves
that an added image moves others only from test to val and from val to train, and only those that filled a part.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.params.split import SplitParams

# In order of preference: of a group in several parts the first keeps its images, so test never loses one. (parts.py has
# them in the order of a reader.)
PARTS = ["test", "val", "train"]
TEST, VAL, TRAIN = range(3)

Parts = NDArray[np.int8]  # positions in PARTS


def hash_fraction(key: str, seed: int) -> float:
    """Map a key and a seed to a number in [0, 1); the numbers of many keys are spread evenly."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8]) / 2**64


def parts_by_hash(
    keys: pd.Series, labels: NDArray[np.int64], given: pd.Series, params: SplitParams
) -> tuple[Parts, NDArray[np.bool_]]:
    """(part of each image, whether it fills a part that the hashes leave short). Parts that the source defines stay;
    a missing part is cut from train."""
    part = np.full(len(keys), TRAIN, np.int8)
    given_rows = {name: (given == name).to_numpy(bool) for name in ("test", "val")}
    ends: list[float] = []
    cut: list[int] = []
    for name, width in (("test", params.test_fraction), ("val", params.val_fraction)):
        if given_rows[name].any():
            part[given_rows[name]] = PARTS.index(name)
        else:
            cut.append(PARTS.index(name))
            ends.append((ends[-1] if ends else 0.0) + width)
    free = np.flatnonzero(part == TRAIN)
    fills = np.zeros(len(keys), bool)
    if cut:
        fractions = np.fromiter((hash_fraction(key, params.seed) for key in keys), float, len(keys))
        for rows in _rows_per_class(labels, free):
            part[rows], fills[rows] = _cut(fractions[rows], ends, cut, params.min_per_part)
    return part, fills


def _rows_per_class(labels: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    order = rows[np.argsort(labels[rows], kind="stable")]
    yield from np.split(order, 1 + np.flatnonzero(np.diff(labels[order])))


def _cut(
    fractions: NDArray[np.float64], ends: list[float], cut: list[int], min_per_part: int
) -> tuple[Parts, NDArray[np.bool_]]:
    """Cut the parts of one class. ends: where each part ends, as a fraction; cut: the parts, test before val."""
    # Equal keys have equal fractions, hence equal ranks.
    different, rank = np.unique(fractions, return_inverse=True)
    natural, filled = (np.full(len(fractions), TRAIN, np.int8) for _ in range(2))
    limit, limits = 0, []
    for end in ends:
        limit = max(int(np.searchsorted(different, end)), limit + min_per_part)
        limits.append(limit)
    for part, end, limit in reversed(list(zip(cut, ends, limits, strict=True))):  # test last, since it goes first
        natural[fractions < end] = part
        filled[rank < limit] = part
    return filled, filled != natural
