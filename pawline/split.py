"""Assign every image to train, val or test, permanently and without leaks.

The part of an image depends only on its own digest and the seed, so an image never changes its part when other
images are added, removed or renamed. Copies of the same bytes have the same digest and stay together.
Near-duplicates have different digests. If a group of near-duplicates falls into several parts, test keeps its images
(val, where none is in test), and the images in the other parts are left out. (No rule without a memory can also keep the
class fractions exact; docs/decisions/0003-split.md explains why.)
"""

import hashlib
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.index import digest_bytes
from pawline.params.split import SplitParams
from pawline.pictures.duplicates import Pictures, group_duplicates, without_padding
from pawline.prepared import PreparedImages

# In order of preference: of a group in several parts the first keeps its images, so test never loses one. (report.py
# has its own PARTS, in the order of a reader.)
PARTS = ["test", "val", "train"]

Numbers = NDArray[np.int64]
Parts = NDArray[np.int8]  # positions in PARTS


def split_images(images: PreparedImages, params: SplitParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two tables with the columns path, digest, label, group and split: the images in use, and the images left
    out. `group` is the smallest digest in the image's group of duplicates.

    Raises DatasetError if a class has no image in one of the parts.
    """
    table = images.table
    group = group_duplicates(table["digest"], images.hashes, partial(_pictures, images))
    part = _own_part(table["digest"], table["given_part"], params)
    keeps = part == _part_that_keeps(group, part)
    _check_every_class_everywhere(table["label"].to_numpy()[keeps], part[keeps], images.class_names, params)
    used, left_out = (_assignment(table, group, part, np.flatnonzero(mask)) for mask in (keeps, ~keeps))
    return used, left_out


def _pictures(images: PreparedImages, rows: Numbers) -> Pictures:
    pictures = without_padding(images.pixels(rows), images.form)
    images.drop_pages()
    return pictures


def _assignment(table: pd.DataFrame, group: Numbers, part: Parts, rows: Numbers) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{name: table[name].take(rows).array for name in ("path", "digest", "label")},
            "group": table["digest"].take(group[rows]).array,
            "split": np.array(PARTS)[part[rows]],
        }
    )


def hash_fraction(digest: str, seed: int) -> float:
    """Map a digest and a seed to a number in [0, 1); the numbers of many digests are spread evenly."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8]) / 2**64


def summarize(used: pd.DataFrame, left_out: pd.DataFrame, class_names: list[str]) -> dict[str, Any]:
    """The content of `metrics/split.json`."""
    groups = np.concatenate([digest_bytes(table["group"]) for table in (used, left_out)])
    group_sizes = np.unique(groups, return_counts=True)[1]
    duplicate_sizes = group_sizes[group_sizes > 1]
    counts = used.groupby(["split", "label"]).size().unstack(fill_value=0).reindex(PARTS, fill_value=0)
    fractions = counts.sum(axis=1).to_numpy() / len(used)
    return {
        "num_images": {part: int(row.sum()) for part, row in counts.iterrows()},
        "num_per_class": {
            part: {name: int(row.get(label, 0)) for label, name in enumerate(class_names)}
            for part, row in counts.iterrows()
        },
        "num_duplicate_groups": len(duplicate_sizes),
        "num_images_in_duplicate_groups": int(duplicate_sizes.sum()),
        "num_left_out": len(left_out),
        # A random split keeps a group of n images together with probability sum(p**n).
        "num_groups_separated_by_a_random_split": round(
            float(sum(1 - (fractions**n).sum() for n in duplicate_sizes)), 1
        ),
    }


def _own_part(digests: pd.Series, given: pd.Series, params: SplitParams) -> Parts:
    """The part of each image by its hash. Parts that the source defines stay; a missing part is cut from train."""
    fractions = np.fromiter((hash_fraction(digest, params.seed) for digest in digests), float, len(digests))
    part = np.full(len(fractions), PARTS.index("train"), np.int8)
    start = 0.0
    given_rows = {name: (given == name).to_numpy(bool) for name in ("test", "val")}
    for name, width in (("test", params.test_fraction), ("val", params.val_fraction)):
        if not given_rows[name].any():
            part[(start <= fractions) & (fractions < start + width)] = PARTS.index(name)
            start += width
    for name, rows in given_rows.items():  # last, so that no given image is cut
        part[rows] = PARTS.index(name)
    return part


def _part_that_keeps(group: Numbers, part: Parts) -> Parts:
    """For each image, the first of PARTS that holds an image of its group, however few."""
    first = np.full(len(group), len(PARTS), np.int8)
    np.minimum.at(first, group, part)
    return np.asarray(first[group], np.int8)


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
