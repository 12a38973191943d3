"""Decode every image once: turn upright, resize, grayscale or RGB, pack; list what must be left out."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from pawline.duplicates import difference_hash
from pawline.errors import DatasetError
from pawline.files import read_regular_file, whole_folder
from pawline.images import BadImage, decode_image
from pawline.index import class_names
from pawline.params import PrepareParams
from pawline.shards import SHARD_SIZE, write_description, write_shards

BATCH = 1024  # images on their way through the threads at once: bounds memory, keeps all cores busy

QUARANTINE_COLUMNS = ["path", "class_name", "reason", "detail"]


@dataclass(frozen=True)
class Decoded:
    """uint8 (image_size, image_size, channels) and its two perceptual hashes."""

    pixels: NDArray[np.uint8]
    hashes: tuple[int, int]


def prepare(index: pd.DataFrame, raw: Path, prepared: Path, params: PrepareParams) -> pd.DataFrame:
    """Fill the folder `prepared` (see shards.py) from the images under `raw`; return the quarantine.

    Raises DatasetError when more than `max_bad_fraction` of the images are bad or a class has none left.
    """
    with whole_folder(prepared) as folder:
        accepted: list[tuple[int, int, int]] = []
        bad: list[tuple[str, str, str, str]] = []

        def sort_out() -> Iterator[NDArray[np.uint8]]:
            rows: Iterator[Any] = index.itertuples()
            for row, outcome in zip(rows, _decode_all(index, raw, params), strict=True):
                if isinstance(outcome, Decoded):
                    accepted.append((row.Index, *outcome.hashes))
                    yield outcome.pixels
                else:
                    bad.append((row.path, row.class_name, outcome.reason, outcome.detail))

        write_shards(folder, sort_out(), SHARD_SIZE)
        quarantine = pd.DataFrame(bad, columns=QUARANTINE_COLUMNS)
        _check_enough(index, quarantine, params)
        write_description(folder, _table(index, accepted), _description(index, params))
    return quarantine


def summarize(index: pd.DataFrame, quarantine: pd.DataFrame) -> dict[str, Any]:
    """What `metrics/prepare.json` holds."""
    return {
        "num_images": len(index) - len(quarantine),
        "num_quarantined": len(quarantine),
        "bad_fraction": round(len(quarantine) / len(index), 6),
        "num_per_reason": {str(reason): int(n) for reason, n in quarantine["reason"].value_counts().items()},
    }


def _decode_all(index: pd.DataFrame, raw: Path, params: PrepareParams) -> Iterator[Decoded | BadImage]:
    """One outcome per row of the index, in its order."""
    labels_of = index.groupby("digest")["class_name"].nunique()
    conflicting = set(labels_of.index[labels_of > 1]) - {""}

    def outcome(row: Any) -> Decoded | BadImage:
        try:
            pixels = decode_image(_read(row, raw), params.image_size, params.color)
            if row.digest in conflicting:  # asked last: what is no picture anywhere has no label to be wrong
                raise BadImage("conflicting_label")
        except BadImage as bad:
            return bad
        return Decoded(pixels, difference_hash(pixels))

    cv2.setNumThreads(1)  # one image per core beats all cores on one small image
    with (
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
        tqdm(total=len(index), desc="prepare", unit="image", disable=None) as bar,
    ):
        for start in range(0, len(index), BATCH):
            for result in pool.map(outcome, index.iloc[start : start + BATCH].itertuples()):
                bar.update()
                yield result


def _read(row: Any, raw: Path) -> bytes:
    if row.problem:
        raise BadImage("unreadable", row.problem)
    try:
        data = read_regular_file(raw / row.path)
    except OSError as error:
        raise BadImage("unreadable", error.strerror or str(error)) from None
    if hashlib.sha256(data).hexdigest() != row.digest:
        raise BadImage("unreadable", "the bytes under data/raw are not those that were taken in")
    return data


def _check_enough(index: pd.DataFrame, quarantine: pd.DataFrame, params: PrepareParams) -> None:
    fraction = len(quarantine) / len(index)
    if fraction > params.max_bad_fraction:
        raise DatasetError(
            f"{len(quarantine)} of {len(index)} images are bad ({fraction:.1%}), but prepare.max_bad_fraction "
            f"allows {params.max_bad_fraction:.1%}: {_commonest(quarantine)}; mend the data or raise the param"
        )
    without = set(class_names(index)) - set(index["class_name"][~index["path"].isin(quarantine["path"])])
    if without:
        raise DatasetError(f"class '{min(without)}' has no usable image left: {_commonest(quarantine)}")


def _commonest(quarantine: pd.DataFrame) -> str:
    examples = quarantine.groupby("reason")["path"].agg(["size", "first"]).nlargest(3, "size")
    return ", ".join(
        f"{row.size_} {row.Index} (such as {row.first})"
        for row in examples.rename(columns={"size": "size_"}).itertuples()
    )


def _table(index: pd.DataFrame, accepted: list[tuple[int, int, int]]) -> pd.DataFrame:
    hashes = pd.DataFrame(accepted, columns=["row", "hash", "mirrored_hash"]).astype("uint64")
    table = index.loc[hashes["row"], ["path", "digest", "class_name", "given_part"]].reset_index(drop=True)
    labels = table["class_name"].map({name: label for label, name in enumerate(class_names(index))})
    return table.assign(label=labels.astype("int64"), hash=hashes["hash"], mirrored_hash=hashes["mirrored_hash"])


def _description(index: pd.DataFrame, params: PrepareParams) -> dict[str, Any]:
    return {
        "class_names": class_names(index),
        "image_size": params.image_size,
        "color": params.color,
        "shard_size": SHARD_SIZE,
    }
