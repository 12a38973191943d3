"""The parts of the split, and a digest of the data that a training learns from."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.prepared import PreparedImages

# In the order of a reader: as a model meets them. (part_by_hash.py has them in the order that decides ties.)
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """One part of the split: paths of its images, their rows in the prepared images, and their labels, (n,) each."""

    paths: list[str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, name: str, images: PreparedImages, split: pd.DataFrame) -> "Part":
        """The images of a part, ordered by content, so that a rename changes no training and no figure.

        split: the images in use, from split_images.
        """
        table = split[split["split"] == name].sort_values(["digest", "path"])  # copies: equal pixels, equal labels
        return cls(list(table["path"]), images.rows_of(table["path"]), table["label"].to_numpy(np.int64))

    def head(self, count: int) -> "Part":
        """The first `count` images of the part."""
        return Part(self.paths[:count], self.rows[:count], self.labels[:count])


def num_per_part(parts: pd.Series) -> dict[str, int]:
    """Count pictures by part, 0 for a part without any. parts: the part of each."""
    counts = parts.value_counts()
    return {part: int(counts.get(part, 0)) for part in PARTS}


def digests_learned(split: pd.DataFrame) -> frozenset[str]:
    """The digests of train and val: a training learns from both, since val chooses its weights."""
    return frozenset(split.loc[split["split"] != "test", "digest"])


def data_digest(used: pd.DataFrame) -> str:
    """Hash the digest, label and part of every image with SHA-256; file names and order do not matter."""
    lines = sorted(f"{row.digest} {row.label} {row.split}" for row in used.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
