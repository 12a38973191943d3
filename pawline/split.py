"""Assign every image to train, val or test: for good, and without leaks.

Which part an image belongs to follows from its own digest and the seed alone, so whatever is added,
removed or renamed around it, it never moves. Copies of the same bytes have the same digest and stay
together. Near-duplicates have different digests: where those of one group fall into different parts,
the part with most of them keeps its own and the others are left out. (No rule without a memory can
also keep class shares exact; docs/decisions/0003-split.md has the argument.)
"""

import hashlib
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.duplicates import Pictures, group_duplicates, pictures_of
from pawline.errors import DatasetError
from pawline.index import digest_bytes
from pawline.params import SplitParams
from pawline.shards import PreparedImages

PARTS = ["test", "val", "train"]  # a tie within a group goes to the first: test images are the scarcest

Numbers = NDArray[np.int64]
Parts = NDArray[np.int8]  # positions in PARTS


def split_images(images: PreparedImages, params: SplitParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(`path, digest, label, group, split` for the images in use, the same for those left out).

    Raises DatasetError when a class has no image in one of the parts.
    """
    table = images.table
    group = group_duplicates(table["digest"], images.hashes, partial(_pictures, images))
    part = _own_part(table["digest"], table["given_part"], params)
    keeps = part == _part_that_keeps(group, part)
    _check_every_class_everywhere(table["label"].to_numpy()[keeps], part[keeps], images.class_names, params)
    used, left_out = (_assignment(table, group, part, np.flatnonzero(chosen)) for chosen in (keeps, ~keeps))
    return used, left_out


def _pictures(images: PreparedImages, rows: Numbers) -> Pictures:
    pictures = pictures_of(images.pixels(rows), images.form)
    images.let_go()
    return pictures


def _assignment(table: pd.DataFrame, group: Numbers, part: Parts, chosen: Numbers) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{name: table[name].take(chosen).array for name in ("path", "digest", "label")},
            "group": table["digest"].take(group[chosen]).array,
            "split": np.array(PARTS)[part[chosen]],
        }
    )


def share(digest: str, seed: int) -> float:
    """A number in [0, 1) that depends on nothing but its two arguments."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8]) / 2**64


def data_digest(used: pd.DataFrame) -> str:
    """SHA-256 over which image content has which label in which part, whatever the files are called."""
    lines = sorted(f"{row.digest} {row.label} {row.split}" for row in used.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def summarize(used: pd.DataFrame, left_out: pd.DataFrame, class_names: list[str]) -> dict[str, Any]:
    """What `metrics/split.json` holds."""
    groups = np.concatenate([digest_bytes(table["group"]) for table in (used, left_out)])
    size = np.unique(groups, return_counts=True)[1]
    copies = size[size > 1]
    counts = used.groupby(["split", "label"]).size().unstack(fill_value=0).reindex(PARTS, fill_value=0)
    fractions = counts.sum(axis=1).to_numpy() / len(used)
    return {
        "num_images": {part: int(row.sum()) for part, row in counts.iterrows()},
        "num_per_class": {
            part: {name: int(row.get(label, 0)) for label, name in enumerate(class_names)}
            for part, row in counts.iterrows()
        },
        "num_duplicate_groups": len(copies),
        "num_images_in_duplicate_groups": int(copies.sum()),
        "num_left_out": len(left_out),
        # What a random split would do: a group of n copies stays whole with probability sum(p**n).
        "num_groups_separated_by_a_random_split": round(float(sum(1 - (fractions**n).sum() for n in copies)), 1),
    }


def _own_part(digests: pd.Series, given: pd.Series, params: SplitParams) -> Parts:
    """The part by hash; where the source came ready-split, only the parts it lacks are cut from its train."""
    shares = np.fromiter((share(digest, params.seed) for digest in digests), float, len(digests))
    part = np.full(len(shares), PARTS.index("train"), np.int8)
    start = 0.0
    fixed = {name: (given == name).to_numpy(bool) for name in ("test", "val")}
    for name, width in (("test", params.test_fraction), ("val", params.val_fraction)):
        if not fixed[name].any():
            part[(start <= shares) & (shares < start + width)] = PARTS.index(name)
            start += width
    for name, rows in fixed.items():  # last: what is given is not cut
        part[rows] = PARTS.index(name)
    return part


def _part_that_keeps(group: Numbers, part: Parts) -> Parts:
    """For each image the part that holds most of its group."""
    counts = np.zeros((len(group), len(PARTS)), np.int32)
    np.add.at(counts, (group, part), 1)
    return counts.argmax(axis=1).astype(np.int8)[group]  # argmax takes the first of equals


def _check_every_class_everywhere(
    labels: Numbers, part: Parts, class_names: list[str], params: SplitParams
) -> None:
    for label, class_name in enumerate(class_names):
        counts = np.bincount(part[labels == label], minlength=len(PARTS))
        for name, count in zip(PARTS, counts, strict=True):
            if not count:
                raise DatasetError(
                    f"class '{class_name}' has {counts.sum()} usable images and none of them falls into {name} "
                    f"with split.seed {params.seed}; add images, raise the {name} fraction or try another seed"
                )
