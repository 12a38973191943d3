"""Classes with too few pictures for three parts: refused with a way out, left out, or only trained on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.params.split import SplitParams
from pawline.part_by_hash import PARTS, TEST, TRAIN, VAL, Parts


@dataclass(frozen=True)
class ClassCounts:
    """int64 (num_classes, 3) each: images per class and part, kept ones and all; and the keys of each class."""

    kept: NDArray[np.int64]
    all: NDArray[np.int64]
    num_keys: NDArray[np.int64]  # (num_classes,): different images, or groups

    @classmethod
    def of(
        cls, keys: pd.Series, labels: NDArray[np.int64], part: Parts, keeps: NDArray[np.bool_]
    ) -> "ClassCounts":
        num_classes = int(labels.max()) + 1
        kept, every = np.zeros((2, num_classes, len(PARTS)), np.int64)
        np.add.at(kept, (labels[keeps], part[keeps]), 1)
        np.add.at(every, (labels, part), 1)
        num_keys = keys.groupby(labels).nunique().reindex(range(num_classes), fill_value=0)
        return cls(kept, every, np.asarray(num_keys, np.int64))

    def rare(self) -> NDArray[np.int64]:
        """The labels of classes that cannot be trained on and tested. A class whose val images are all left out as
        near-duplicates is not among them: only the choice of the best epoch misses it."""
        kept = self.kept
        short = (kept[:, TEST] == 0) | (kept[:, TRAIN] == 0) | (self.all[:, VAL] == 0)
        return np.flatnonzero(short & (self.all.sum(axis=1) > 0))

    def without_val(self) -> NDArray[np.int64]:
        """The labels of classes whose val images are all left out as near-duplicates of others."""
        return np.flatnonzero((self.kept[:, VAL] == 0) & (self.all[:, VAL] > 0) & (self.kept[:, TEST] > 0))


def refuse(
    counts: ClassCounts, rare: NDArray[np.int64], names: list[str], given: set[str], params: SplitParams
) -> None:
    """Raise DatasetError, one line that names every class and only what helps here. given: parts of the source."""
    found = [f"'{names[label]}' ({_lacks(counts, label)})" for label in rare]
    noun = f"{len(rare)} classes lack" if len(rare) > 1 else "a class lacks"
    raise DatasetError(
        f"{noun} pictures in a part: {', '.join(found)}; {'; '.join(_ways_out(counts, rare, given, params))}"
    )


def named(labels: NDArray[np.int64], names: list[str]) -> str:
    return ", ".join(f"'{names[label]}'" for label in labels)


def _lacks(counts: ClassCounts, label: int) -> str:
    kept = counts.kept[label]
    empty = [PARTS[part] for part in (TRAIN, VAL, TEST) if not kept[part]]
    left_out = int(counts.all[label].sum() - kept.sum())
    near = f", {left_out} left out as near-duplicates" if left_out else ""
    return f"{counts.num_keys[label]} different, none in {' and '.join(empty)}{near}"


def _ways_out(counts: ClassCounts, rare: NDArray[np.int64], given: set[str], params: SplitParams) -> list[str]:
    """What helps: seed and fraction only where a part is cut by hash and the class is large enough."""
    cut = {"test", "val"} - given
    empty = {PARTS[part] for part in (TEST, VAL, TRAIN) if (counts.kept[rare, part] == 0).any()}
    ways = []
    if given & empty:
        ways.append(f"the source gives {' and '.join(sorted(given))}: add pictures of these classes there")
    elif given and "train" in empty:
        ways.append("add pictures of these classes to the source's train")
    else:
        ways.append(f"add pictures (a class needs {1 + len(cut) * params.min_per_part} different ones or groups)")
    if cut & empty or ("train" in empty and cut):
        if params.min_per_part > 1:
            ways.append(f"lower split.min_per_part {params.min_per_part}")
        if (counts.num_keys[rare] > len(cut) * params.min_per_part).any():
            ways.append(f"try another split.seed than {params.seed}")
    if (counts.kept[rare].sum(axis=1) < counts.all[rare].sum(axis=1)).any() and params.near_duplicates:
        ways.append("split.near_duplicates: false keeps near-duplicates")
    return [*ways, "or set split.rare_classes to leave_out or train_only"]
