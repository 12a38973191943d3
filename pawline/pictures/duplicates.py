"""Find exact and near-duplicates: the same photograph resized, re-encoded, mirrored, brightened or slightly cropped.

1. `perceptual_hashes` describes a picture by 32 low frequencies of its cosine transform, 8 bits each, independent of
   brightness and contrast. Similar pictures have close hashes; a mirrored picture flips the sign of half the numbers.
2. A forest of random trees finds close hashes in n·log n time: a tree repeatedly halves the set along random
   directions, then compares the hashes within each leaf. The halves have equal counts, so thousands of similar
   pictures (bursts, studio shots) take no longer than other pictures, and no leaf is ever too large to compare.
3. The pixels decide: the fine details must agree after an alignment that corrects the shift of a small crop.
4. A group too large for copies shares a scene (a fixed camera, a burst): it is compared again without the scene.

docs/duplicates.md has the results, and the methods that were tried but not used.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pawline.index import digest_bytes
from pawline.params.prepare import ImageForm
from pawline.pictures.decode import Pixels
from pawline.pictures.scenes import ReadPictures, Scene
from pawline.pictures.thumbnails import Pictures, thumbnails

# Increase the last number when a hash changes, since the cache keeps hashes with the images.
HASH = "cosine transform, 32 x 8 bits, 2"
NUM_HASHES = 4  # uint64 values per image, each holding eight coefficients
MIN_CONTRAST = 1.0  # grey levels (standard deviation); a picture with less has no content to compare
NUM_TREES, LEAF_SIZE = 16, 16
MAX_DISTANCE = 0.5  # between hashes as vectors of length 1; unrelated hashes are about 1.4 apart
MIN_CORRELATION = 0.9  # of the details of pictures with many details
MIN_CORRELATION_PLAIN, MIN_VARIETY = 0.985, 32  # with few details, different pictures may agree by chance
# Different images. Where a group is larger (or larger than SMALL_GROUP and a 25th of all), its images rather share a
# scene than a photograph: nobody saves one so often.
LARGE_GROUP, SMALL_GROUP = 20, 8
MAX_REST_DIFFERENCE = 0.35  # of two rests, relative to the stronger one
MAX_SCENE_ROUNDS = 4  # such as a door camera: first the scene is taken away, then the open and the closed door
COARSE, FINE = 16, 24  # sides of the thumbnails for hashing and for comparing

Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]
AreSimilar = Callable[[Numbers, NDArray[np.bool_]], NDArray[np.bool_]]  # pairs (n, 2), mirrored (n,) -> (n,)
Vectors = NDArray[np.int8]  # (n, 32): hashes as vectors

# The 32 lowest frequencies (down, across) except the mean. The waves are integers, so float32 sums are exact, and a
# hash does not depend on the other pictures of a batch, the threads or the processor.
FREQUENCIES = np.array([(y, x) for y in range(6) for x in range(6) if 0 < y * y + x * x <= 34])
_WAVES = np.cos(np.outer(range(6), np.arange(1, 2 * COARSE, 2)) * np.pi / (2 * COARSE))
BASIS = np.rint(127 * np.einsum("fy,fx->yxf", _WAVES[FREQUENCIES[:, 0]], _WAVES[FREQUENCIES[:, 1]]))
WEIGHTS = np.rint(4 * np.hypot(*FREQUENCIES.T)).astype(np.int64)  # in photographs, high frequencies are fainter
MIRROR = np.where(FREQUENCIES[:, 1] % 2, -1, 1).astype(np.int8)


def perceptual_hashes(pictures: Pictures) -> NDArray[np.uint64]:
    """uint64 (n, NUM_HASHES): a hash per picture; all 0 for a picture without content.

    pictures: n times uint8 (height, width, channels).
    """
    light = thumbnails(pictures, COARSE).reshape(-1, COARSE**2).astype(np.float32)
    waves = (light @ BASIS.reshape(COARSE**2, -1).astype(np.float32)).astype(np.int64)
    contrast = np.sqrt((waves**2).sum(axis=1)) / (127 / 2 * COARSE**2)
    waves *= WEIGHTS
    length = np.sqrt((waves**2).sum(axis=1))
    scale = np.where(contrast < MIN_CONTRAST, 0, 127 / np.maximum(length, 1))
    return np.asarray(np.rint(waves * scale[:, None]).astype(np.int8).view("<u8"), np.uint64)


def without_padding(pixels: Pixels, form: ImageForm) -> Pictures:
    """Remove the bars of `prepare.aspect: pad`, which would dominate a comparison. Returns n pictures.

    pixels: uint8 (n, height, width, channels). A plain margin that belongs to the photograph itself stays.
    """
    if form.aspect != "pad":
        return pixels
    return [
        picture[top:bottom, left:right]
        for chunk in np.array_split(pixels, len(pixels) // 256 + 1)
        for picture, (top, bottom, left, right) in zip(chunk, _inside_bars(chunk).tolist(), strict=True)
    ]


def group_copies(digests: pd.Series) -> Numbers:
    """int64 (n,): for each image the first row with the same digest."""
    rows, exact = np.unique(digest_bytes(digests), return_index=True, return_inverse=True)[1:]
    return np.asarray(rows[exact], np.int64)


class Duplicates(NamedTuple):
    """group: int64 (n,), for each image the row of the smallest digest in its group of duplicates; shares_scene: bool
    (n,), whether so many images resemble it that only what they do not share was compared (pictures/scenes.py)."""

    group: Numbers
    shares_scene: NDArray[np.bool_]


def find_duplicates(digests: pd.Series, hashes: NDArray[np.uint64], pictures: ReadPictures) -> Duplicates:
    """Group the duplicates among n images.

    digests: hex, of n images; hashes: uint64 (n, NUM_HASHES);
    pictures: returns m times uint8 (height, width, channels) for int64 (m,) row numbers.
    """
    # Sorted by digest, so that the order of the images has no effect.
    rows, exact = np.unique(digest_bytes(digests), return_index=True, return_inverse=True)[1:]
    links = _comparable_links(
        hashes[rows], partial(_are_similar, pictures=lambda numbers: pictures(rows[numbers]))
    )
    component = _components(links, len(rows))
    component, shares_scene = _compare_without_scene(component, lambda numbers: pictures(rows[numbers]))
    _, smallest, component = np.unique(component, return_index=True, return_inverse=True)
    return Duplicates(np.asarray(rows[smallest[component[exact]]], np.int64), shares_scene[exact])


def _comparable_links(hashes: NDArray[np.uint64], are_similar: AreSimilar) -> Numbers:
    comparable = np.flatnonzero(hashes.any(axis=1))
    links = _links(hashes[comparable], lambda pairs, mirrored: are_similar(comparable[pairs], mirrored))
    return np.asarray(comparable[links])


def _compare_without_scene(component: Numbers, pictures: ReadPictures) -> tuple[Numbers, NDArray[np.bool_]]:
    """Take apart groups that are too large for copies: a fixed camera, or a burst. Returns (components, bool (n,): the
    images compared again).

    Such a group is compared again without the scene that its images share, and so is any smaller group that shows this
    scene. What remains is linked only if it agrees, or if all pixels are equal.
    """
    component, again = component.copy(), np.zeros(len(component), bool)
    for _ in range(MAX_SCENE_ROUNDS):
        large = _large_groups(component)
        for number in large:
            members = np.flatnonzero(component == number)
            scene = Scene.of(members, pictures)
            grouped = np.flatnonzero(np.bincount(component)[component] > 1)
            others = np.setdiff1d(grouped, np.flatnonzero(np.isin(component, large)))
            members = np.union1d(members, others[scene.is_seen_in(others, pictures)])
            again[members] = True
            read = partial(_without, scene, members, pictures)
            chunks = np.array_split(np.arange(len(members)), len(members) // 256 + 1)
            hashes = np.concatenate([perceptual_hashes(read(chunk)) for chunk in chunks])
            links = _comparable_links(hashes, partial(_rests_are_similar, read=read))
            links = np.concatenate([links, scene.equal_pictures(members, pictures)])
            component[members] = component.max() + 1 + _components(links, len(members))
        component = np.unique(component, return_inverse=True)[1]
        if not len(large):
            break
    return component, again


def _rests_are_similar(pairs: Numbers, mirrored: NDArray[np.bool_], read: ReadPictures) -> NDArray[np.bool_]:
    """bool (n,): whether what remains of two pictures is equal, but for noise. A fixed camera has no mirror."""
    similar = ~mirrored
    for places in np.array_split(np.flatnonzero(similar), similar.sum() // 256 + 1):
        left, right = (thumbnails(read(pairs[places, side]), FINE).astype(np.float32) - 128 for side in (0, 1))
        strength = np.maximum((left**2).mean(axis=(1, 2)), (right**2).mean(axis=(1, 2)))
        similar[places] = ((left - right) ** 2).mean(axis=(1, 2)) <= MAX_REST_DIFFERENCE**2 * strength
    return np.asarray(similar)


def _without(scene: Scene, members: Numbers, pictures: ReadPictures, numbers: Numbers) -> Pixels:
    return scene.taken_away(pictures(members[numbers]))


def _large_groups(component: Numbers) -> Numbers:
    """The numbers of groups larger than people save a photograph, also in relation to all images."""
    sizes = np.bincount(component)
    return np.flatnonzero((sizes > LARGE_GROUP) | ((sizes > SMALL_GROUP) & (sizes > len(component) / 25)))


def _links(hashes: NDArray[np.uint64], are_similar: AreSimilar) -> Numbers:
    """int64 (n, 2): pairs of similar images, enough to connect every group."""
    num = len(hashes)
    upright = np.ascontiguousarray(hashes, "<u8").view(
        np.int8
    )  # point i is image i, and point i + num is image i mirrored
    links, refused = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    rng = np.random.default_rng(0)
    for _ in range(NUM_TREES if num > 1 else 0):
        component = np.tile(_components(links, num), 2)
        image, point = np.divmod(_close_pairs(upright, _leaves(upright, rng), component, refused), 2 * num)
        pairs = np.stack([image, point % num], axis=1)
        similar = are_similar(pairs, point >= num)
        links = np.concatenate([links, pairs[similar]])
        refused = np.union1d(refused, (image * 2 * num + point)[~similar])
    return links


def _components(links: Numbers, num: int) -> Numbers:
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(num, num))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _leaves(upright: Vectors, rng: np.random.Generator) -> NDArray[np.int32]:
    """int32 (num_leaves, at most LEAF_SIZE): the points of each leaf of a random tree."""
    num = 2 * len(upright)
    num_levels = max(0, int(np.ceil(np.log2(num / LEAF_SIZE))))
    rank = rng.permutation(num).astype(np.int32)  # breaks ties, in each tree differently
    leaves = np.resize(rank, (1, -(-num // 2**num_levels) << num_levels))  # a few points appear twice
    for _ in range(num_levels):
        direction = np.asarray(rng.integers(-127, 128, upright.shape[1]))
        half = leaves.shape[1] // 2
        order = np.argpartition(_along(direction, upright, rank)[leaves], half, axis=1)
        leaves = np.take_along_axis(leaves, order, axis=1).reshape(-1, half)
    return np.sort(leaves, axis=1)


def _along(direction: Numbers, upright: Vectors, rank: NDArray[np.int32]) -> Numbers:
    """int64 (2 n,): a sort key for each point, by its projection on a direction and then by its rank. The projections
    are integers, so float32 is exact here too."""
    num = len(upright)
    directions = np.stack([direction, direction * MIRROR], axis=1).astype(np.float32)
    projection = np.empty((2, num), np.int64)
    for start in range(0, num, 8192):  # in chunks, since float32 takes four times the memory of int8
        chunk = upright[start : start + 8192].astype(np.float32)
        projection[:, start : start + 8192] = (chunk @ directions).T
    projection *= 2 * num
    return projection.reshape(-1) + rank


def _close_pairs(upright: Vectors, leaves: NDArray[np.int32], component: Numbers, refused: Numbers) -> Numbers:
    """int64 (m,): pairs to compare, for each point with the nearest point of its leaf that is closer than
    MAX_DISTANCE, not yet connected with it and not refused.

    A pair is an upright image and a point of a later image, as one number: image * 2 n + point.
    """
    num, chunks = len(upright), []
    for points in np.array_split(leaves, -(-len(leaves) // 256)):
        vectors = upright[points % num].astype(np.float32)
        vectors[points >= num] *= MIRROR
        product = vectors @ vectors.transpose(0, 2, 1)
        square = np.einsum("lii->li", product)
        distance = square[:, :, None] + square[:, None] - 2 * product
        apart = component[points][:, :, None] != component[points][:, None]
        leaf, first, second = np.nonzero(apart & (distance < (127 * MAX_DISTANCE) ** 2))
        nearest_first = np.argsort(distance[leaf, first, second], kind="stable")
        pair = np.stack([points[leaf, first], points[leaf, second]])[:, nearest_first]
        pair = pair.astype(np.int64)  # since the product below exceeds 32 bits
        mirrored = (pair[0] < num) != (pair[1] < num)
        image, later = np.sort(pair % num, axis=0)
        key = image * 2 * num + later + num * mirrored
        new = ~np.isin(key, refused)
        chunks.append(key[new][np.unique(pair[0][new], return_index=True)[1]])
    return np.unique(np.concatenate(chunks))


def _are_similar(
    pairs: Numbers, mirrored: NDArray[np.bool_], pictures: ReadPictures, batch_size: int = 1024
) -> NDArray[np.bool_]:
    """bool (n,): whether the details of the two images of each pair agree. pairs: int64 (n, 2); mirrored: bool (n,)."""
    similar = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), batch_size):
        batch = slice(start, start + batch_size)
        numbers, place = np.unique(pairs[batch], return_inverse=True)  # an image may be in many pairs
        chunks = np.array_split(numbers, -(-len(numbers) // 64))
        detail = np.concatenate([_detail(pictures(chunk)) for chunk in chunks])
        place = place.reshape(-1, 2)
        left, right = detail[place.T]
        right[mirrored[batch]] = right[mirrored[batch], :, ::-1]
        varied = (_variety(detail) >= MIN_VARIETY)[place].all(axis=1)
        threshold = np.where(varied, MIN_CORRELATION, MIN_CORRELATION_PLAIN)
        similar[batch] = np.minimum(_correlation(left, right), _correlation(right, left)) >= threshold
    return similar


def _detail(pictures: Pictures) -> Floats:
    """float32 (n, FINE, FINE): the difference of each pixel from its surroundings, relative to the variation there.
    Light, and a frame or vignette that many pictures have, thus have little influence."""
    smooth = _blur(thumbnails(pictures, FINE).astype(np.float32), sigma=0.7)
    fine = smooth - _blur(smooth, sigma=2)
    return np.asarray(fine / (np.sqrt(_blur(fine**2, sigma=2)) + 4), np.float32)  # 4 grey levels: noise


def _blur(pictures: Floats, sigma: float) -> Floats:
    """Apply a Gaussian blur to float32 (n, FINE, FINE)."""
    place = np.arange(FINE)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * sigma**2))
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(weights @ pictures @ weights.T, np.float32)


def _variety(detail: Floats) -> Floats:
    """float32 (n,): the effective number of frequencies, times the effective fraction of pixels with details."""
    spectrum = np.asarray(np.abs(np.fft.fft2(detail)) ** 2, np.float32)
    return np.asarray(
        _effective_number(spectrum) * _effective_number(_blur(detail**2, sigma=2)) / FINE**2, np.float32
    )


def _effective_number(energy: Floats) -> Floats:
    """float32 (n,): 1 where a single element has all energy, the number of elements where all have equal energy."""
    flat = energy.reshape(len(energy), -1)
    return np.asarray(flat.sum(axis=1) ** 2 / np.maximum((flat**2).sum(axis=1), 1e-9), np.float32)


def _correlation(left: Floats, right: Floats) -> NDArray[np.float64]:
    """float64 (n,): the correlation of `right` with `left`, after `left` is shifted and stretched for the best fit.

    To first order, the fit is least squares over `left`, its two slopes, and the slopes times the distance from the
    middle.
    """
    down, across = np.gradient(left, axis=(1, 2))
    place = np.linspace(-1, 1, FINE, dtype=np.float32)
    basis = np.stack([left, down, across, down * place[:, None], across * place], axis=1)
    basis = basis.reshape(len(left), 5, -1)
    target = right.reshape(len(right), -1, 1)
    products = (basis @ target).astype(np.float64)
    squares = (basis @ basis.transpose(0, 2, 1)).astype(np.float64) + 1e-6 * np.eye(5)
    explained = (np.linalg.solve(squares, products) * products).sum(axis=(1, 2))
    return np.asarray(np.sqrt(np.maximum(explained, 0) / np.maximum((target**2).sum(axis=(1, 2)), 1e-6)))


def _inside_bars(pixels: Pixels) -> Numbers:
    """int64 (n, 4): top, bottom, left, right of each picture without its bars: two opposite bars of the same grey whose
    thickness differs by at most a pixel."""
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
