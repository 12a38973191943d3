"""Exact and near-duplicates: the same photograph resized, re-encoded, mirrored, brightened or slightly cropped.

1. `perceptual_hashes` describes a picture by 32 low frequencies of its cosine transform, 8 bits each, free of
   brightness and contrast. Pictures that look alike lie close together; a mirror flips the sign of half of them.
2. A forest of random trees finds what lies close together in n·log n: a tree halves the set again and again
   along random directions, then compares within its leaves. Since it halves by count, thousands of look-alikes
   (bursts, studio shots) cost no more than other pictures, and nothing is ever too crowded to be looked at.
3. The pixels decide: fine detail must agree, once it is aligned by as much as a small crop may have moved it.

docs/duplicates.md has the figures and what else was tried.
"""

from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pawline.images import Pixels
from pawline.index import digest_bytes
from pawline.params import ImageForm

HASH = "cosine transform, 32 x 8 bits, 2"  # counted up when a hash changes: hashes are kept with decoded images
NUM_HASHES = 4  # uint64 per image, each of eight coefficients
MIN_CONTRAST = 1.0  # grey levels (standard deviation); below that a picture shows nothing to compare
NUM_TREES, LEAF_SIZE = 16, 16
MAX_DISTANCE = 0.5  # of hashes, taken as vectors of length 1; unrelated ones are about 1.4 apart
MIN_CORRELATION = 0.9  # of detail where there is much of it
MIN_CORRELATION_PLAIN, MIN_VARIETY = 0.985, 32  # where there is little, different pictures may agree by chance
COARSE, FINE = 16, 24  # sides of the thumbnails that are hashed and that are compared

Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]
Vectors = NDArray[np.int8]  # (n, 32): hashes as vectors
Pictures = Pixels | list[Pixels]  # n times (height, width, channels); sizes may differ
Read = Callable[[Numbers], Pictures]

# The 32 lowest frequencies (down, across) except the mean. Integers, so that sums in float32 are exact and a hash
# depends neither on the batch that the picture is in nor on threads or processor.
FREQUENCIES = np.array([(y, x) for y in range(6) for x in range(6) if 0 < y * y + x * x <= 34])
_WAVES = np.cos(np.outer(range(6), np.arange(1, 2 * COARSE, 2)) * np.pi / (2 * COARSE))
BASIS = np.rint(127 * np.einsum("fy,fx->yxf", _WAVES[FREQUENCIES[:, 0]], _WAVES[FREQUENCIES[:, 1]]))
WEIGHTS = np.rint(4 * np.hypot(*FREQUENCIES.T)).astype(np.int64)  # in photographs, high frequencies are fainter
MIRROR = np.where(FREQUENCIES[:, 1] % 2, -1, 1).astype(np.int8)


def perceptual_hashes(pictures: Pictures) -> NDArray[np.uint64]:
    """uint64 (n, NUM_HASHES) of n times uint8 (height, width, channels); all 0 for one that shows nothing."""
    thumbnails = _thumbnails(pictures, COARSE).reshape(-1, COARSE**2).astype(np.float32)
    waves = (thumbnails @ BASIS.reshape(COARSE**2, -1).astype(np.float32)).astype(np.int64)
    contrast = np.sqrt((waves**2).sum(axis=1)) / (127 / 2 * COARSE**2)
    waves *= WEIGHTS
    length = np.sqrt((waves**2).sum(axis=1))
    scale = np.where(contrast < MIN_CONTRAST, 0, 127 / np.maximum(length, 1))
    return np.rint(waves * scale[:, None]).astype(np.int8).view("<u8").astype(np.uint64)


def pictures_of(pixels: Pixels, form: ImageForm) -> Pictures:
    """What is compared: prepared pictures without the bars of `prepare.aspect: pad`, which would count for most.

    pixels: uint8 (n, height, width, channels). A plain margin that the photograph itself has is part of it.
    """
    if form.aspect != "pad":
        return pixels
    return [
        picture[top:bottom, left:right]
        for few in np.array_split(pixels, len(pixels) // 256 + 1)
        for picture, (top, bottom, left, right) in zip(few, _inside_bars(few).tolist(), strict=True)
    ]


def group_duplicates(digests: pd.Series, hashes: NDArray[np.uint64], pictures: Read) -> Numbers:
    """int64 (n,): for each image the row of the smallest digest among those linked to it by near-equality.

    digests: hex, of n images; hashes: uint64 (n, NUM_HASHES);
    pictures: gives m times uint8 (height, width, channels) for m row numbers.
    """
    # Sorted by digest: the order of listing never shows.
    rows, exact = np.unique(digest_bytes(digests), return_index=True, return_inverse=True)[1:]
    shown = np.flatnonzero(hashes[rows].any(axis=1))
    links = shown[_links(hashes[rows[shown]], lambda numbers: pictures(rows[shown[numbers]]))]
    _, smallest, component = np.unique(_components(links, len(rows)), return_index=True, return_inverse=True)
    return np.asarray(rows[smallest[component[exact]]], np.int64)


def _links(hashes: NDArray[np.uint64], pictures: Read) -> Numbers:
    """int64 (n, 2): pairs of images that look alike, enough of them to connect all that do."""
    num = len(hashes)
    upright = np.ascontiguousarray(hashes, "<u8").view(np.int8)  # point i is image i; i + num is it, mirrored
    links, refused = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    rng = np.random.default_rng(0)
    for _ in range(NUM_TREES if num > 1 else 0):
        component = np.tile(_components(links, num), 2)
        image, point = np.divmod(_close_pairs(upright, _leaves(upright, rng), component, refused), 2 * num)
        pairs = np.stack([image, point % num], axis=1)
        alike = _look_alike(pairs, point >= num, pictures)
        links = np.concatenate([links, pairs[alike]])
        refused = np.union1d(refused, (image * 2 * num + point)[~alike])
    return links


def _components(links: Numbers, num: int) -> Numbers:
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(num, num))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _leaves(upright: Vectors, rng: np.random.Generator) -> NDArray[np.int32]:
    """int32 (num_leaves, at most LEAF_SIZE): the numbers of points that no cut of this tree parted."""
    num = 2 * len(upright)
    num_levels = max(0, int(np.ceil(np.log2(num / LEAF_SIZE))))
    rank = rng.permutation(num).astype(np.int32)  # decides between equals, in each tree differently
    leaves = np.resize(rank, (1, -(-num // 2**num_levels) << num_levels))  # a few points stand twice
    for _ in range(num_levels):
        direction = np.asarray(rng.integers(-127, 128, upright.shape[1]))
        half = leaves.shape[1] // 2
        order = np.argpartition(_along(direction, upright, rank)[leaves], half, axis=1)
        leaves = np.take_along_axis(leaves, order, axis=1).reshape(-1, half)
    return np.sort(leaves, axis=1)


def _along(direction: Numbers, upright: Vectors, rank: NDArray[np.int32]) -> Numbers:
    """int64 (2 n,): how far each point lies along a direction, and then its rank. Integers in float32 are exact
    here too."""
    num = len(upright)
    both = np.stack([direction, direction * MIRROR], axis=1).astype(np.float32)
    far = np.empty((2, num), np.int64)
    for start in range(0, num, 8192):  # float32 takes four times as much
        far[:, start : start + 8192] = (upright[start : start + 8192].astype(np.float32) @ both).T
    far *= 2 * num
    return far.reshape(-1) + rank


def _close_pairs(upright: Vectors, leaves: NDArray[np.int32], component: Numbers, refused: Numbers) -> Numbers:
    """For each point the nearest one in its leaf that is closer than MAX_DISTANCE, neither connected with it nor
    refused. A pair is an upright image and a point of a later one, as one number: image * 2 n + point."""
    num, found = len(upright), []
    for some in np.array_split(leaves, -(-len(leaves) // 256)):
        few = upright[some % num].astype(np.float32)
        few[some >= num] *= MIRROR
        product = few @ few.transpose(0, 2, 1)
        square = np.einsum("lii->li", product)
        distance = square[:, :, None] + square[:, None] - 2 * product
        apart = component[some][:, :, None] != component[some][:, None]
        leaf, one, other = np.nonzero(apart & (distance < (127 * MAX_DISTANCE) ** 2))
        nearest_first = np.argsort(distance[leaf, one, other], kind="stable")
        pair = np.stack([some[leaf, one], some[leaf, other]])[:, nearest_first]
        pair = pair.astype(np.int64)  # below, their product
        mirrored = (pair[0] < num) != (pair[1] < num)
        image, later = np.sort(pair % num, axis=0)
        key = image * 2 * num + later + num * mirrored
        fresh = ~np.isin(key, refused)
        found.append(key[fresh][np.unique(pair[0][fresh], return_index=True)[1]])
    return np.unique(np.concatenate(found))


def _look_alike(
    pairs: Numbers, mirrored: NDArray[np.bool_], pictures: Read, batch: int = 1024
) -> NDArray[np.bool_]:
    """bool (n,): whether the two images of each pair agree in detail."""
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), batch):
        some = slice(start, start + batch)
        numbers, place = np.unique(pairs[some], return_inverse=True)  # one image may stand in many pairs
        reads = np.array_split(numbers, -(-len(numbers) // 64))
        detail = np.concatenate([_detail(pictures(few)) for few in reads])
        place = place.reshape(-1, 2)
        left, right = detail[place.T]
        right[mirrored[some]] = right[mirrored[some], :, ::-1]
        varied = (_variety(detail) >= MIN_VARIETY)[place].all(axis=1)
        enough = np.where(varied, MIN_CORRELATION, MIN_CORRELATION_PLAIN)
        alike[some] = np.minimum(_correlation(left, right), _correlation(right, left)) >= enough
    return alike


def _detail(pictures: Pictures) -> Floats:
    """float32 (n, FINE, FINE): how each place differs from its surroundings, relative to how much they vary, so
    that neither light nor a frame or vignette that many pictures share counts for much."""
    smooth = _blur(_thumbnails(pictures, FINE).astype(np.float32), sigma=0.7)
    fine = smooth - _blur(smooth, sigma=2)
    return np.asarray(fine / (np.sqrt(_blur(fine**2, sigma=2)) + 4), np.float32)  # 4 grey levels: noise


def _blur(pictures: Floats, sigma: float) -> Floats:
    """Gauss's, of many pictures at once."""
    place = np.arange(FINE)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(weights @ pictures @ weights.T, np.float32)


def _variety(detail: Floats) -> Floats:
    """float32 (n,): how many frequencies share the energy, times the share of places that have some."""
    spectrum = np.asarray(np.abs(np.fft.fft2(detail)) ** 2, np.float32)
    return np.asarray(_num_sharing(spectrum) * _num_sharing(_blur(detail**2, sigma=2)) / FINE**2, np.float32)


def _num_sharing(energy: Floats) -> Floats:
    """float32 (n,): 1 where one element of the picture has all of the energy, their number where all are equal."""
    shares = energy.reshape(len(energy), -1)
    return np.asarray(shares.sum(axis=1) ** 2 / np.maximum((shares**2).sum(axis=1), 1e-9), np.float32)


def _correlation(left: Floats, right: Floats) -> NDArray[np.float64]:
    """float64 (n,): the correlation of `right` with `left` shifted and stretched to fit it best. To first order
    that is least squares over `left`, its two slopes, and these times the distance from the middle."""
    down, across = np.gradient(left, axis=(1, 2))
    place = np.linspace(-1, 1, FINE, dtype=np.float32)
    moved = np.stack([left, down, across, down * place[:, None], across * place], axis=1)
    moved = moved.reshape(len(left), 5, -1)
    target = right.reshape(len(right), -1, 1)
    products = (moved @ target).astype(np.float64)
    squares = (moved @ moved.transpose(0, 2, 1)).astype(np.float64) + 1e-6 * np.eye(5)
    explained = (np.linalg.solve(squares, products) * products).sum(axis=(1, 2))
    return np.sqrt(np.maximum(explained, 0) / np.maximum((target**2).sum(axis=(1, 2)), 1e-6))


def _thumbnails(pictures: Pictures, side: int) -> Pixels:
    """uint8 (n, side, side), grayscale."""
    small = [cv2.resize(picture, (side, side), interpolation=_filter(picture, side)) for picture in pictures]
    if not small:
        return np.empty((0, side, side), np.uint8)
    column = np.array(small, np.uint8).reshape(len(small) * side, side, -1)  # one picture below the other
    if column.shape[2] == 3:
        column = np.asarray(cv2.cvtColor(column, cv2.COLOR_RGB2GRAY), np.uint8)
    return column.reshape(len(small), side, side)


def _filter(picture: Pixels, side: int) -> int:
    return cv2.INTER_AREA if side <= min(picture.shape[:2]) else cv2.INTER_LINEAR  # area would make blocks


def _inside_bars(pixels: Pixels) -> Numbers:
    """int64 (n, 4): top, bottom, left, right of each picture without two bars of one grey that are, to a pixel,
    equally thick."""
    num, height, width, _ = pixels.shape
    boxes = np.tile([0, height, 0, width], (num, 1))
    bar = pixels[:, :1, :1, :1]
    ends = [(pixels.take([0, -1], axis) == bar).all(axis=(1, 2, 3)) for axis in (1, 2)]
    for axis, barred in ((1, ends[0] & ~ends[1]), (2, ends[1] & ~ends[0])):
        numbers = np.flatnonzero(barred)
        flat = (pixels[numbers] == bar[numbers]).all(axis=(3 - axis, 3))
        first, last = flat.argmin(axis=1), flat[:, ::-1].argmin(axis=1)
        even = np.abs(first - last) <= 1
        boxes[numbers[even], 2 * axis - 2] += first[even]
        boxes[numbers[even], 2 * axis - 1] -= last[even]
    return boxes
