"""Exact and near-duplicates: the same photograph resized, re-encoded or mirrored.

A difference hash (dHash: Krawetz, "Kind of like that", 2013) sends pictures that look alike to nearly
the same 64 bits. Looking up four bands of 16 bits finds every pair that differs in at most three bits
without comparing all pairs; a look at small thumbnails then throws out the chance hits.
"""

from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NUM_BANDS, BAND_BITS = 4, 16
MAX_BUCKET = 64  # a band shared by more images than this says nothing: plain backgrounds do that
MIN_CORRELATION = 0.97
THUMBNAIL_SIDE = 16

Hashes = NDArray[np.uint64]


NUM_HASHES = 2


def perceptual_hashes(pixels: NDArray[np.uint8]) -> Hashes:
    """uint64 (n, NUM_HASHES) of uint8 (n, height, width, channels)."""
    return np.array([difference_hash(image) for image in pixels], np.uint64).reshape(-1, NUM_HASHES)


def difference_hash(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """(hash, hash of the mirrored picture) of uint8 (height, width, channels): is each of 8 x 8 cells
    darker than its right-hand neighbour?"""
    small = cv2.resize(_grayscale(pixels), (9, 8), interpolation=cv2.INTER_AREA)
    return _pack(small[:, :-1] < small[:, 1:]), _pack(small[:, :0:-1] < small[:, -2::-1])


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (THUMBNAIL_SIDE²,) of zero mean and unit length, so that a dot product is a correlation."""
    small = cv2.resize(_grayscale(pixels), (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
    centred = small.astype(np.float32).ravel() - small.mean(dtype=np.float32)
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def group_duplicates(table: pd.DataFrame, pixels: Callable[[NDArray[np.int64]], NDArray[np.uint8]]) -> pd.Series:
    """The smallest digest among the images that are linked to each one by near-equality, itself included.

    table: `digest` (hex), `hash` and `mirrored_hash` (uint64), one row per image;
    pixels: gives uint8 (n, height, width, channels) for row numbers.
    """
    exact, first = pd.factorize(table["digest"], sort=True)  # sorted: the order of listing never shows
    rows = np.asarray(pd.Series(range(len(table))).groupby(exact).first(), np.int64)
    one = table.iloc[rows]
    pairs = _candidate_pairs(one["hash_0"].to_numpy(), one["hash_1"].to_numpy())
    pairs = pairs[_look_alike(rows[pairs], pixels)]
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(one), len(one)))
    component = connected_components(links, directed=False)[1]
    smallest = pd.Series(np.asarray(first)).groupby(component).transform("min")
    return pd.Series(smallest.to_numpy()[exact], index=table.index, name="group")


def _candidate_pairs(hashes: Hashes, mirrored: Hashes) -> NDArray[np.int64]:
    """int64 (n, 2): pairs (i, j), i < j, that share a band, the one upright and the other either way."""
    number = np.tile(np.arange(len(hashes)), 2)
    both = np.concatenate([hashes, mirrored])
    found = [np.empty((0, 2), np.int64)]
    for band in range(NUM_BANDS):
        key = (both >> np.uint64(band * BAND_BITS)) & np.uint64(2**BAND_BITS - 1)
        found.append(_pairs_within(key, number))
    pairs = np.sort(np.concatenate(found), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    near = _distance(hashes[pairs[:, 0]], hashes[pairs[:, 1]]) < NUM_BANDS
    near |= _distance(hashes[pairs[:, 0]], mirrored[pairs[:, 1]]) < NUM_BANDS
    return pairs[near]


def _pairs_within(key: Hashes, number: NDArray[np.int64]) -> NDArray[np.int64]:
    """All pairs of numbers whose keys are equal: sort by key, then pair each with its 1st, 2nd, … follower."""
    order = np.argsort(key, kind="stable")
    key, number = key[order], number[order]
    found = []
    for step in range(1, MAX_BUCKET):
        same = np.flatnonzero(key[step:] == key[:-step])
        if not len(same):
            break
        found.append(np.stack([number[same], number[same + step]], axis=1))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def _look_alike(
    pairs: NDArray[np.int64], pixels: Callable[[NDArray[np.int64]], NDArray[np.uint8]], batch: int = 4096
) -> NDArray[np.bool_]:
    """bool (n,): whether the thumbnails of a pair correlate, upright or mirrored."""
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), batch):
        some = pairs[start : start + batch]
        numbers, place = np.unique(some, return_inverse=True)  # one image may stand in many pairs
        thumbnails = np.stack([thumbnail(image) for image in pixels(numbers)])
        left, right = thumbnails[place.reshape(some.shape).T]
        mirrored = right.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)[:, :, ::-1].reshape(right.shape)
        correlation = np.maximum((left * right).sum(axis=1), (left * mirrored).sum(axis=1))
        alike[start : start + batch] = correlation >= MIN_CORRELATION
    return alike


def _distance(left: Hashes, right: Hashes) -> NDArray[np.uint8]:
    return np.bitwise_count(left ^ right)


def _grayscale(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (
        pixels[:, :, 0] if pixels.shape[2] == 1 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    )


def _pack(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes())
