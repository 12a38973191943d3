"""Assign every image to train, val or test, permanently and without leaks.

The part of an image depends only on its own digest (or its group's name) and the seed, so an image never changes its
part when other images are added, removed or renamed. In a class whose hashes leave test or val short, the smallest
hashes fill them up (part_by_hash.py). Copies of the same bytes have the same digest and stay together.
Near-duplicates have different digests. If a group of near-duplicates falls into several parts, test keeps its images
(val, where none is in test), and the images in the other parts are left out. (No rule without a memory can also keep
the class fractions exact; docs/decisions/0003-split.md explains why.)
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.params.split import SplitParams
from pawline.part_by_hash import PARTS, TRAIN, Parts, parts_by_hash
from pawline.picture_groups import group_names
from pawline.pictures.duplicates import LARGE_GROUP, find_duplicates, group_copies, without_padding
from pawline.pictures.thumbnails import Pictures
from pawline.prepared import PreparedImages
from pawline.rare_classes import ClassCounts, named, refuse

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Split(NamedTuple):
    """The images in use and the images left out, two tables with the columns path, digest, label, group and split.

    `group` is the smallest digest in the image's group of near-duplicates; where the user names groups, a column
    `given_group` follows. num_topped_up: the images that fill parts which the hashes leave short; num_in_scenes: the
    images that share a scene with many others, so that only the rest was compared; findings: lines to show to the user.
    """

    used: pd.DataFrame
    left_out: pd.DataFrame
    num_topped_up: int
    num_in_scenes: int
    findings: list[str]


def split_images(images: PreparedImages, params: SplitParams) -> Split:
    """Assign a part to every image.

    Raises DatasetError if a class is too rare for three parts and `split.rare_classes` says `refuse`.
    """
    table, names = images.table, images.class_names
    labels = table["label"].to_numpy(np.int64)
    given_groups = group_names(table, params.group)
    keys = table["digest"].where(given_groups == "", given_groups)
    near, in_scene = _near_duplicates(images, params)
    together = [near, pd.factorize(keys)[0]]
    part, fills = parts_by_hash(keys, labels, table["given_part"], params)
    keeps = _keeps(part, together)
    counts = ClassCounts.of(keys, labels, part, keeps)
    given = {name for name in ("test", "val") if (table["given_part"] == name).any()}
    findings, used = [], np.ones(len(table), bool)
    if len(rare := counts.rare()):
        if params.rare_classes == "refuse":
            refuse(counts, rare, names, given, params)
        if params.rare_classes == "train_only":
            free = ~table["given_part"].isin(given).to_numpy(bool)
            part[np.isin(labels, rare) & free] = TRAIN
        used = ~np.isin(labels, _unusable(rare, labels, part, params))
        keeps = _keeps(part, together, used)
        _check_enough(labels[keeps], part[keeps])
        findings.append(_rare_finding(rare, names, params))
    fills &= keeps & (part != TRAIN)
    assign = partial(_assignment, table, near, given_groups, part)
    split = Split(
        assign(np.flatnonzero(keeps)),
        assign(np.flatnonzero(~keeps)),
        int(fills.sum()),
        int(in_scene.sum()),
        findings,
    )
    without_val = np.setdiff1d(counts.without_val(), rare)
    findings += _findings(split, labels[fills], without_val, int((used & ~keeps).sum()), names, params)
    return split


def _near_duplicates(images: PreparedImages, params: SplitParams) -> tuple[Numbers, Mask]:
    """(the group of each image, whether it was compared without its scene), see find_duplicates; copies alone where the
    search is off."""
    digests = images.table["digest"]
    if params.near_duplicates:
        return find_duplicates(digests, images.hashes, partial(_pictures, images))
    return group_copies(digests), np.zeros(len(digests), bool)


def _pictures(images: PreparedImages, rows: Numbers) -> Pictures:
    pictures = without_padding(images.pixels(rows), images.form)
    images.drop_pages()
    return pictures


def _keeps(part: Parts, together: list[Numbers], used: Mask | None = None) -> Mask:
    """Whether each image stays: those that belong together stay in the first part that holds one of them.

    together: int64 (n,) each, an equal number for images that belong together."""
    used = np.ones(len(part), bool) if used is None else used
    keeps = used.copy()
    for group in together:
        first = np.full(group.max() + 1, len(PARTS), np.int8)
        np.minimum.at(first, group[used], part[used])
        keeps &= part == first[group]
    return keeps


def _unusable(rare: Numbers, labels: Numbers, part: Parts, params: SplitParams) -> Numbers:
    """Which rare classes are left out: all, or those without an image in train, which nothing could learn."""
    return rare if params.rare_classes == "leave_out" else np.setdiff1d(rare, labels[part == TRAIN])


def _check_enough(labels: Numbers, part: Parts) -> None:
    for number, name in enumerate(PARTS):
        num_classes, least = len(np.unique(labels[part == number])), 1 if name == "val" else 2
        if num_classes < least:
            raise DatasetError(
                f"{name} has pictures of {num_classes} classes, at least {least} are needed; add pictures to the "
                "classes that are too rare"
            )


def _rare_finding(rare: Numbers, names: list[str], params: SplitParams) -> str:
    done = "left out" if params.rare_classes == "leave_out" else "in train only"
    count = f"{len(rare)} classes are" if len(rare) > 1 else "1 class is"
    return f"{count} too rare for three parts and {done} (split.rare_classes): {named(rare, names)}"


def _findings(
    split: Split,
    filling: Numbers,
    without_val: Numbers,
    num_straddling: int,
    names: list[str],
    params: SplitParams,
) -> list[str]:
    """What the user should know, a line each. filling: the label of each image that fills a part."""
    by_parts = _findings_on_parts(filling, without_val, names, params)
    return by_parts + _findings_on_duplicates(split, num_straddling)


def _findings_on_parts(filling: Numbers, without_val: Numbers, names: list[str], params: SplitParams) -> list[str]:
    """What became of the classes whose hashes leave a part short."""
    lines = []
    if len(filling):
        lines.append(
            f"{len(filling)} pictures fill test and val of {len(np.unique(filling))} classes that their hashes leave "
            f"short (split.min_per_part {params.min_per_part})"
        )
    if len(without_val):
        lines.append(
            f"no picture in val, since all there are near-duplicates of pictures in test: {named(without_val, names)}; "
            f"split.min_per_part {params.min_per_part + 1} fills up more"
        )
    return lines


def _findings_on_duplicates(split: Split, num_straddling: int) -> list[str]:
    """What the search for near-duplicates found, and what it cost."""
    lines = []
    if num_straddling:
        lines.append(
            f"{num_straddling} pictures are left out, since copies, near-duplicates or others of their group stand in "
            "another part; data/left_out.parquet lists them, and split.near_duplicates: false keeps near-duplicates"
        )
    if split.num_in_scenes:
        lines.append(
            f"{split.num_in_scenes} pictures share a scene with many others (a fixed camera, a burst), so they count "
            "as near-duplicates only where the rest is equal too; split.group keeps a burst in one part"
        )
    groups = _duplicate_groups(split.used, split.left_out)
    if mixed := groups["mixed"].sum():
        lines.append(
            f"{mixed} groups of near-duplicates mix classes: either a wrong label or no copies at all; the report "
            "shows such groups, and split.near_duplicates: false turns the search off"
        )
    if len(large := groups[groups["num_different"] > LARGE_GROUP]):
        lines.append(
            f"{len(large)} groups have more than {LARGE_GROUP} near-duplicates, the largest {large['size'].max()}: a "
            "burst, or pictures that only resemble each other; split.near_duplicates: false turns the search off"
        )
    return lines


def _assignment(
    table: pd.DataFrame, group: Numbers, given_groups: pd.Series, part: Parts, rows: Numbers
) -> pd.DataFrame:
    columns = {
        **{name: table[name].take(rows).array for name in ("path", "digest", "label")},
        "group": table["digest"].take(group[rows]).array,
        "split": np.array(PARTS)[part[rows]],
    }
    if (given_groups != "").any():
        columns["given_group"] = given_groups.take(rows).array
    return pd.DataFrame(columns)


def summarize(split: Split, class_names: list[str]) -> dict[str, Any]:
    """The content of `metrics/split.json`."""
    used, left_out = split.used, split.left_out
    groups = _duplicate_groups(used, left_out)
    duplicate_sizes = groups["size"].to_numpy()
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
        "num_mixed_duplicate_groups": int(groups["mixed"].sum()),
        "num_large_duplicate_groups": int((groups["num_different"] > LARGE_GROUP).sum()),
        "num_left_out": len(left_out),
        "num_topped_up": split.num_topped_up,
        "num_compared_without_scene": split.num_in_scenes,
        # A random split keeps a group of n images together with probability sum(p**n).
        "num_groups_separated_by_a_random_split": round(
            float(sum(1 - (fractions**n).sum() for n in duplicate_sizes)), 1
        ),
    }


def _duplicate_groups(used: pd.DataFrame, left_out: pd.DataFrame) -> pd.DataFrame:
    """One row per group of two or more images: size, num_different (digests) and whether it mixes classes."""
    columns = ["group", "digest", "label"]
    every = pd.concat([used[columns], left_out[columns]], ignore_index=True)
    every = every[every["group"].duplicated(keep=False)]
    groups = every.groupby("group")
    return pd.DataFrame(
        {
            "size": groups.size(),
            "num_different": groups["digest"].nunique(),
            "mixed": groups["label"].nunique() > 1,
        }
    )
