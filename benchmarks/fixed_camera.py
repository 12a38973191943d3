"""Pictures of one fixed camera, which are no copies of each other:  python -m benchmarks.fixed_camera

300 pictures of one textured background with noise. Each has an object of its own place, size and grey: a disc or a
square (shapes), or a disc in every second picture only (ok against defect). Printed: how many pictures the search for
near-duplicates leaves out with the default fractions, how many stay in test, and how many the whole picture's
comparison alone would leave out. Then copies of 60 of the pictures are planted, one kind of change at a time.
"""

import cv2
import numpy as np
import pandas as pd

from benchmarks.altered import CHANGES, Picture
from benchmarks.photographs import machine
from pawline.part_by_hash import hash_fraction
from pawline.pictures import duplicates
from pawline.pictures.decode import decode_image

NUM_PICTURES, SIDE, NUM_COPIES, NOISE = 300, 128, 60, 4
SIZES = {"small": (3, 8), "middle": (6, 20), "large": (15, 40)}  # radius in pixels
TEXTURES = {"fine": (43, 75), "coarse": (12, 75), "faint": (32, 25)}  # tiles across, deviation in grey levels


def fixed_camera(texture: str, size: str, defects: bool, seed: int = 0) -> Picture:
    """uint8 (NUM_PICTURES, 64, 64, 1)."""
    rng = np.random.default_rng(seed)
    tiles, deviation = TEXTURES[texture]
    scene = cv2.resize(rng.normal(128, deviation, (tiles, tiles)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.stack([_shot(scene, size, defects, number % 2 == 1, rng) for number in range(NUM_PICTURES)])


def _shot(scene: Picture, size: str, defects: bool, is_odd: bool, rng: np.random.Generator) -> Picture:
    image = scene + rng.normal(0, NOISE, scene.shape)
    radius, grey = int(rng.integers(*SIZES[size])), float(rng.uniform(0, 255))
    across, down = map(int, rng.integers(radius, SIDE - radius, 2))
    if is_odd:
        cv2.circle(image, (across, down), radius, grey, -1)
    elif not defects:
        cv2.rectangle(image, (across - radius, down - radius), (across + radius, down + radius), grey, -1)
    return cv2.resize(image.clip(0, 255).astype(np.uint8), (64, 64), interpolation=cv2.INTER_AREA)[..., None]


def grouped(pixels: Picture) -> np.ndarray:
    digests = pd.Series([f"{number:08}" for number in range(len(pixels))])
    return duplicates.find_duplicates(digests, duplicates.perceptual_hashes(pixels), pixels.__getitem__).group


def kept(group: np.ndarray) -> tuple[int, int]:
    """(How many pictures are left out, how many stay in test) with fractions of 0.15."""
    fraction = np.array([hash_fraction(f"{number:08}", 1) for number in range(len(group))])
    part = np.digitize(fraction, [0.15, 0.3])
    first = pd.Series(part).groupby(group).transform("min").to_numpy()
    return int((part != first).sum()), int((part == 0).sum())


def main() -> None:
    print(machine())
    for defects in (False, True):
        for texture in TEXTURES:
            for size in SIZES:
                pixels = fixed_camera(texture, size, defects)
                group, rounds = grouped(pixels), duplicates.MAX_SCENE_ROUNDS
                duplicates.MAX_SCENE_ROUNDS = 0
                before = kept(grouped(pixels))[0]
                duplicates.MAX_SCENE_ROUNDS = rounds
                (left_out, in_test), largest = kept(group), np.bincount(group).max()
                kind = "ok against defect" if defects else "disc against square"
                print(
                    f"{kind}, {texture} texture, {size} object: {left_out} left out, {in_test} in test, ", end=""
                )
                print(f"largest group {largest}; without the second comparison {before} left out", flush=True)
    pixels = fixed_camera("fine", "middle", defects=False)
    for name, change in CHANGES.items():
        shots = [cv2.cvtColor(shot, cv2.COLOR_GRAY2BGR) for shot in pixels[:NUM_COPIES]]
        copies = [decode_image(change(s, np.random.default_rng(n)), 64, "grayscale") for n, s in enumerate(shots)]
        group = grouped(np.concatenate([pixels, copies]))
        print(f"copies, {name}: recall {(group[NUM_PICTURES:] == group[:NUM_COPIES]).mean():.3f}")


if __name__ == "__main__":
    main()
