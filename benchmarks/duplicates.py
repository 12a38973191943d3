"""Near-duplicates: how many are found, how many are wrong, what it costs:  python -m benchmarks.duplicates

1. Copies of 1,000 photographs are planted among all of them, one kind of change at a time, so that no kind helps
   another. Recall: the share of copies in the group of their original. Precision: the share of pairs within groups
   that were planted, are equal byte for byte or were looked at (tests/test_duplicates.py); others are listed once.
2. 100,000 pictures: the photographs whole and in quarters, each mirrored or not, with a light and a noise of its
   own; every tenth is a copy of the one before, half the size, JPEG of quality 60, half of them mirrored. They are
   grouped at three sizes; up to 30,000 also by comparing all pairs, which grows with the square.

Where the archive of photographs is not there, drawn cats and dogs stand in (down to sixteenths).
"""

import argparse
import hashlib
import multiprocessing
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.altered import BEYOND, CHANGES, Change, Picture, save, size
from benchmarks.photographs import SHARED, machine
from pawline.drawn.data_set import GeneratedSet, draw_data_set
from pawline.pictures.decode import BadImage, decode_image
from pawline.pictures.duplicates import MAX_DISTANCE, MIRROR, _are_similar, find_duplicates, perceptual_hashes
from tests.test_duplicates import NEAR_PAIRS

SIDE, NUM_COPIES, ROUNDS = 64, 1000, 5
ALL_PAIRS_UP_TO = 30_000  # images; 100,000 would take minutes
Read = Callable[[np.ndarray], np.ndarray]


def read_source(source: Path) -> dict[str, bytes]:
    """Name ("Cat/12") to content of the files that are pictures."""
    if source.is_file():
        with zipfile.ZipFile(source) as archive:
            files = {name.removeprefix("PetImages/"): archive.read(name) for name in archive.namelist()}
    else:
        spec = GeneratedSet(seed=7, num_images_per_class=2000, min_side=120, max_side=200, planted_faults=False)
        with tempfile.TemporaryDirectory() as folder:
            draw_data_set(spec, Path(folder) / "drawn")
            files = {f"{p.parent.name}/{p.name}": p.read_bytes() for p in Path(folder).glob("drawn/*/*")}
    return {name.split(".")[0]: files[name] for name in sorted(files) if is_picture(files[name])}


def is_picture(data: bytes) -> bool:
    try:
        return decode(data).size > 0
    except BadImage:
        return False


def decode(data: bytes) -> Picture:
    return decode_image(data, SIDE, "grayscale")


def origins(files: dict[str, bytes]) -> pd.Series:
    """For each name the first name of the same picture, as far as equal bytes or somebody's eyes tell."""
    digests = pd.Series({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    first = digests.index.to_series().groupby(digests).transform("min")
    return first.replace({later: first for first, later in NEAR_PAIRS if first in files})


def digests_and_hashes(read: Read, count: int) -> tuple[pd.Series, np.ndarray]:
    """What `prepare` keeps; here all pictures count as different in bytes."""
    parts = np.array_split(np.arange(count), count // 256 + 1)
    hashes = np.concatenate([perceptual_hashes(read(rows)) for rows in parts])
    return pd.Series([f"{number:08}" for number in range(count)]), hashes


def num_pairs(*labels: pd.Series) -> int:
    """How many pairs of pictures agree in all of the labels."""
    counts = pd.concat(labels, axis=1).value_counts()
    return int((counts * (counts - 1) // 2).sum())


def precision(group: pd.Series, truth: pd.Series, listed: set[tuple[str, ...]]) -> str:
    """The figure, and the groups that hold what was not planted, unless they are listed already."""
    found, right = num_pairs(group), num_pairs(group, truth)
    mixed = {tuple(sorted(set(members))) for _, members in truth.groupby(group) if members.nunique() > 1}
    lines = "".join(f"\n    not planted: {', '.join(names)}" for names in sorted(mixed - listed))
    listed |= mixed
    return f"precision {right / max(found, 1):.4f} ({found - right} of {found:,} pairs wrong){lines}"


def measure_quality(files: dict[str, bytes]) -> None:
    names, origin, listed = list(files), origins(files).reset_index(drop=True), set()
    originals = np.stack([decode(data) for data in files.values()])
    chosen = np.sort(np.random.default_rng(1).choice(len(files), NUM_COPIES, replace=False))

    def plant(title: str, copies: list[np.ndarray]) -> float:
        pixels = np.concatenate([originals, *copies])
        group = grouped(pixels)
        truth = pd.concat([origin, *[origin[chosen]] * len(copies)], ignore_index=True)
        recall = float((group[len(files) :].to_numpy() == np.tile(group[chosen], len(copies))).mean())
        print(f"  {title}: recall {recall:.3f}, {precision(group, truth, listed)}", flush=True)
        return recall

    group = grouped(originals)
    found = f"{num_pairs(group, origin)} of {num_pairs(origin)} known pairs found"
    print(f"{len(files):,} pictures, nothing planted: {found}, {precision(group, origin, listed)}")
    promised, recalls = [], []
    for number, (name, change) in enumerate((CHANGES | BEYOND).items()):
        copies = np.stack([altered(files[names[one]], change, [number, one]) for one in chosen])
        recall = plant(f"beyond: {name}" if name in BEYOND else name, [copies])
        if name in CHANGES:
            promised.append(copies)
            recalls.append(recall)
    print(f"  mean of the {len(recalls)} kinds but those beyond: recall {np.mean(recalls):.4f}")
    plant("all of these at once", promised)


def grouped(pixels: np.ndarray) -> pd.Series:
    read = pixels.__getitem__
    return pd.Series(find_duplicates(*digests_and_hashes(read, len(pixels)), read).group)


def altered(data: bytes, change: Change, seed: list[int]) -> Picture:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return decode(change(image, np.random.default_rng(seed)))


def write_pictures(files: dict[str, bytes], count: int, path: Path) -> pd.Series:
    """uint8 (count, SIDE, SIDE, 1), in random order; returns what each of them shows."""
    origin, rng = origins(files), np.random.default_rng(2)
    tiles = [(name, grid, place) for grid in (1, 2, 3, 4) for place in range(grid**2) for name in files]
    tiles = tiles[: count - count // 10]
    order = iter(rng.permutation(len(tiles)))
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIDE, SIDE, 1))
    shown = []
    for row in range(count):
        if row % 10 < 9:
            name, grid, place = tiles[next(order)]
            image = tile(files[name], grid, place, rng)
        else:
            small = save(size(image, 0.5)[:, :: rng.choice([1, -1])], 60)  # of the row before
            image = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_GRAYSCALE)
        how = cv2.INTER_AREA if min(image.shape) >= SIDE else cv2.INTER_LINEAR
        pixels[row, ..., 0] = cv2.resize(image, (SIDE, SIDE), interpolation=how)
        shown.append(f"{origin[name]} part {place + 1} of {grid}x{grid}")
    return pd.Series(shown)


def tile(data: bytes, grid: int, place: int, rng: np.random.Generator) -> Picture:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    rows, columns = (np.linspace(0, side, grid + 1).astype(int) for side in image.shape)
    down, across = divmod(place, grid)
    part = image[rows[down] : rows[down + 1], columns[across] : columns[across + 1]][:, :: rng.choice([1, -1])]
    light = rng.uniform(0.8, 1.2) * part + rng.uniform(-15, 15)
    return (light + rng.normal(0, 2, part.shape)).clip(0, 255).astype(np.uint8)


def measure_cost(path: Path, count: int) -> tuple[pd.Series, list[float], float, float, float]:
    """(groups, seconds of each round, seconds of all pairs, share of their pairs found, peak megabytes)."""

    def read(rows: np.ndarray) -> np.ndarray:
        return np.load(path, mmap_mode="r")[rows]  # mapped anew: what was read before does not count as memory

    (digests, hashes), rounds = digests_and_hashes(read, count), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        group = find_duplicates(digests, hashes, read).group
        rounds.append(time.perf_counter() - start)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    start, shared = time.perf_counter(), float("nan")
    if count <= ALL_PAIRS_UP_TO:
        one, other = all_pairs(hashes, read).T
        shared = float((np.asarray(group)[one] == np.asarray(group)[other]).mean())
    return pd.Series(group), rounds, time.perf_counter() - start, shared, int(peak.split()[1]) / 1024


def all_pairs(hashes: np.ndarray, read: Read) -> np.ndarray:
    """int64 (n, 2): what comparing each hash with every other one finds, by the same rules."""
    num = len(hashes)
    vectors = np.ascontiguousarray(hashes, "<u8").view(np.int8).astype(np.float32)
    points, found = np.concatenate([vectors, vectors * MIRROR]), []
    square = (points**2).sum(axis=1)
    for rows in np.array_split(np.arange(num), num // 500 + 1):
        distance = square[rows, None] + square - 2 * (vectors[rows] @ points.T)
        row, point = np.nonzero(distance < (127 * MAX_DISTANCE) ** 2)
        pairs = np.stack([rows[row], point], axis=1)
        found.append(pairs[pairs[:, 1] % num > pairs[:, 0]])
    one, point = np.concatenate(found).T
    pairs = np.stack([one, point % num], axis=1)
    return pairs[_are_similar(pairs, point >= num, read)]


def report_cost(files: dict[str, bytes], most: int, path: Path) -> None:
    truth, listed = write_pictures(files, most, path), set()
    for count in (most // 10, most * 3 // 10, most):
        with multiprocessing.get_context("spawn").Pool(1) as fresh:  # so that the peak is its own
            group, rounds, pairs_seconds, shared, peak = fresh.apply(measure_cost, (path, count))
        recall = (group[9::10].to_numpy() == group[8::10].to_numpy()).mean()
        print(f"{count:,} pictures: best of {', '.join(f'{s:.1f}' for s in rounds)} s, ", end="")
        print(f"{1e6 * min(rounds) / count:.0f} ms per 1,000, peak {peak:.0f} MB")
        if count <= ALL_PAIRS_UP_TO:
            print(f"  all pairs: {pairs_seconds:.1f} s, {1e6 * pairs_seconds / count:.0f} ms per 1,000: ", end="")
            print(f"{pairs_seconds / min(rounds):.1f} x; {shared:.2%} of the pairs they find are found")
        print(f"  recall of planted copies {recall:.4f}, {precision(group, truth[:count], listed)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, default=SHARED / "cats-dogs-180px.zip")
    parser.add_argument("--images", type=int, default=100_000)
    given = parser.parse_args()
    print(machine())
    print("Photographs" if given.source.is_file() else f"{given.source}: not there, so drawn pictures")
    files = read_source(given.source)
    measure_quality(files)
    with tempfile.TemporaryDirectory() as folder:
        report_cost(files, given.images, Path(folder) / "pictures.npy")


if __name__ == "__main__":
    main()
