"""Assign every image to train, val or test: for good, and without leaks.

Which part an image belongs to follows from its own digest and the seed alone, so whatever is added,
removed or renamed around it, it never moves. Copies of the same bytes have the same digest and stay
together. Near-duplicates have different digests: where those of one group fall into different parts,
the part with most of them keeps its own and the others are left out. (No rule without a memory can
also keep class shares exact; docs/decisions/0003-split.md has the argument.)
"""

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.duplicates import group_duplicates
from pawline.errors import DatasetError
from pawline.params import SplitParams
from pawline.shards import PreparedImages

PARTS = ["test", "val", "train"]  # a tie within a group goes to the first: test images are the scarcest
COLUMNS = ["path", "digest", "label", "group", "split"]


def split_images(images: PreparedImages, params: SplitParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(`path, digest, label, group, split` for the images in use, the same for those left out).

    Raises DatasetError when a class has no image in one of the parts.
    """
    table = images.table
    own = table.assign(
        group=group_duplicates(table, images.pixels),
        split=_own_part(table["digest"], table["given_part"], params),
    )
    keeps = own["split"] == _part_that_keeps(own)
    _check_every_class_everywhere(own[keeps], images.class_names, params)
    return own.loc[keeps, COLUMNS].reset_index(drop=True), own.loc[~keeps, COLUMNS].reset_index(drop=True)


def share(digest: str, seed: int) -> float:
    """A number in [0, 1) that depends on nothing but its two arguments."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8]) / 2**64


def data_digest(used: pd.DataFrame) -> str:
    """SHA-256 over which image content has which label in which part, whatever the files are called."""
    lines = sorted(f"{row.digest} {row.label} {row.split}" for row in used.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def summarize(used: pd.DataFrame, left_out: pd.DataFrame, class_names: list[str]) -> dict[str, Any]:
    """What `metrics/split.json` holds."""
    size = pd.concat([used, left_out]).groupby("group").size()
    fractions = used["split"].value_counts(normalize=True).to_numpy()
    copies = size[size > 1].to_numpy()
    counts = used.groupby(["split", "label"]).size()
    return {
        "num_images": {part: int((used["split"] == part).sum()) for part in PARTS},
        "num_per_class": {
            part: {name: int(counts.get((part, label), 0)) for label, name in enumerate(class_names)}
            for part in PARTS
        },
        "num_duplicate_groups": len(copies),
        "num_images_in_duplicate_groups": int(copies.sum()),
        "num_left_out": len(left_out),
        # What a random split would do: a group of n copies stays whole with probability sum(p**n).
        "num_groups_separated_by_a_random_split": round(float(sum(1 - (fractions**n).sum() for n in copies)), 1),
    }


def _own_part(digests: pd.Series, given: pd.Series, params: SplitParams) -> pd.Series:
    """The part by hash; where the source came ready-split, only the parts it lacks are cut from its train."""
    shares = digests.map(lambda digest: share(digest, params.seed)).to_numpy(float)
    lacking = [part for part in ("test", "val") if not (given == part).any()]
    part: NDArray[np.str_] = np.full(len(shares), "train", dtype="<U5")
    start = 0.0
    for name in lacking:
        width = params.test_fraction if name == "test" else params.val_fraction
        part[(start <= shares) & (shares < start + width)] = name
        start += width
    fixed = given.isin(["val", "test"]).to_numpy()
    return pd.Series(np.where(fixed, given.astype(str), part), index=digests.index)


def _part_that_keeps(own: pd.DataFrame) -> pd.Series:
    """For each image the part that holds most of its group."""
    counts = pd.crosstab(own["group"], own["split"]).reindex(columns=PARTS, fill_value=0)
    return own["group"].map(counts.idxmax(axis=1))  # idxmax takes the first of equals


def _check_every_class_everywhere(used: pd.DataFrame, class_names: list[str], params: SplitParams) -> None:
    for label, name in enumerate(class_names):
        of_class = used[used["label"] == label]
        for part in PARTS:
            if not (of_class["split"] == part).any():
                raise DatasetError(
                    f"class '{name}' has {len(of_class)} usable images and none of them falls into {part} "
                    f"with split.seed {params.seed}; add images, raise the {part} fraction or try another seed"
                )
