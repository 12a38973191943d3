"""Copies are found after any usual change; pictures that only resemble each other stay separate."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from benchmarks.fixed_camera import fixed_camera
from pawline.drawn.data_set import GeneratedSet, draw_data_set
from pawline.params.prepare import ImageForm
from pawline.pictures.decode import BadImage, decode_image
from pawline.pictures.duplicates import (
    COARSE,
    LEAF_SIZE,
    NUM_HASHES,
    find_duplicates,
    perceptual_hashes,
    without_padding,
)
from tests.conftest import encode, stripes
from tests.source import ROOT

SHARED = ROOT.parent / "shared" / "data" / "cats-dogs-180px.zip"
SIDE = 64

Picture = NDArray[np.uint8]


STRETCH, PAD = (
    ImageForm(image_size=SIDE, color="grayscale", aspect=aspect, background=255) for aspect in ("stretch", "pad")
)


def groups_of(pixels: Picture, digests: list[str] | None = None, form: ImageForm = STRETCH) -> list[str]:
    """The smallest digest of each picture's group."""
    column = pd.Series(digests or [f"{number:06}" for number in range(len(pixels))])
    hashes = perceptual_hashes(without_padding(pixels, form))
    found = find_duplicates(column, hashes, lambda rows: without_padding(pixels[rows], form))
    return list(column.take(found.group))


def drawn(number: int, side: int = SIDE) -> Picture:
    """uint8 (side, side, 1): soft blots at random places, a picture that resembles no other picture."""
    blots = np.random.default_rng(number).uniform(0, 255, (9, 9))
    return cv2.resize(blots, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.uint8)[..., None]


def drawn_set(count: int) -> Picture:
    return np.array([drawn(number) for number in range(count)], np.uint8).reshape(-1, SIDE, SIDE, 1)


# The changes that make copies

COPIES: dict[str, Callable[[Picture], bytes]] = {
    "a third of the size": lambda image: encode(cv2.resize(image, None, fx=0.3, fy=0.3, interpolation=3)),
    "twice the size": lambda image: encode(cv2.resize(image, None, fx=2, fy=2)),
    "another aspect": lambda image: encode(cv2.resize(image, (180, 90), interpolation=cv2.INTER_AREA)),
    "JPEG of low quality": lambda image: encode(image, quality=30),
    "PNG": lambda image: encode(image, ".png"),
    "WebP": lambda image: encode(image, ".webp"),
    "mirrored": lambda image: encode(np.ascontiguousarray(image[:, ::-1])),
    "mirrored and small": lambda image: encode(
        cv2.resize(image[:, ::-1].copy(), None, fx=0.5, fy=0.5), quality=50
    ),
    "brighter": lambda image: encode(cv2.convertScaleAbs(image, alpha=1, beta=15)),
    "less contrast": lambda image: encode(cv2.convertScaleAbs(image, alpha=0.75, beta=30)),
    "gamma": lambda image: encode((255 * (image / 255) ** 1.3).astype(np.uint8)),
    "grayscale": lambda image: encode(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """Thirty cats and dogs."""
    folder = tmp_path_factory.mktemp("drawn") / "set"
    spec = GeneratedSet(seed=5, num_images_per_class=15, min_side=150, max_side=260, planted_faults=False)
    draw_data_set(spec, folder)
    return [cv2.imread(str(path)) for path in sorted(folder.glob("*/*.*"))]


@pytest.mark.parametrize(
    ("size", "color", "aspect"), [(64, "grayscale", "stretch"), (64, "rgb", "crop"), (32, "grayscale", "pad")]
)
def test_copies_join_their_original_and_nothing_else(
    originals: list[Picture], size: int, color: str, aspect: str
) -> None:
    decoded, number_of = [], []
    for number, image in enumerate(originals):
        copies = [copy for name, copy in COPIES.items() if aspect == "stretch" or name != "another aspect"]
        for data in [encode(image, ".png"), *(copy(image) for copy in copies)]:
            decoded.append(decode_image(data, size, color, aspect))
            number_of.append(number)
    groups = pd.Series(groups_of(np.stack(decoded), form=PAD if aspect == "pad" else STRETCH))
    expected = groups.groupby(number_of).first().to_numpy()[number_of]
    assert groups.groupby(number_of).first().is_unique, "two originals in one group"
    assert (groups == expected).mean() > 0.98


@pytest.mark.parametrize("color", ["grayscale", "rgb"])
def test_striped_copies_join_their_original_and_nothing_else(color: str) -> None:
    decoded, origin = [], []
    for seed in range(40):
        original = stripes(seed % 2 == 0, seed, 160, 120)
        small = cv2.resize(original, (96, 72), interpolation=cv2.INTER_AREA)
        mirrored = np.ascontiguousarray(original[:, ::-1])
        copies = [encode(original), encode(small), encode(original, quality=50), encode(mirrored)]
        decoded += [decode_image(data, SIDE, color) for data in copies]
        origin += [seed] * len(copies)
    assert groups_of(np.stack(decoded)) == [f"{4 * seed:06}" for seed in origin]


def test_most_small_crops_join_their_original(originals: list[Picture]) -> None:
    cropped = [image[: round(0.97 * len(image)), round(0.03 * image.shape[1]) :] for image in originals]
    pixels = np.stack([decode_image(encode(image), SIDE, "grayscale") for image in originals + cropped])
    groups = groups_of(pixels)
    joined = np.mean([group == crop for group, crop in zip(groups, groups[30:], strict=False)])
    assert joined > 0.7
    assert len(set(groups[:30])) == 30


# The hash


def test_the_hash_of_a_wave_is_a_single_frequency() -> None:
    """A cosine wave, two half periods down and one half period across, gives a single coefficient."""
    place = (np.arange(COARSE) + 0.5) * np.pi / COARSE
    wave = np.rint(128 + 100 * np.outer(np.cos(2 * place), np.cos(place))).astype(np.uint8)[None, ..., None]
    coefficients = perceptual_hashes(wave).view(np.int8)[0]
    assert coefficients.max() == 127
    assert np.abs(np.delete(coefficients, coefficients.argmax())).max() <= 1
    mirrored = perceptual_hashes(wave[:, :, ::-1]).view(np.int8)[0]
    assert mirrored[coefficients.argmax()] == -127


@pytest.mark.parametrize("side", [8, 50, 64, 250])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_hash_does_not_depend_on_the_batch(side: int, channels: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (40, side, side, channels), np.uint8)
    together = perceptual_hashes(pixels)
    assert (together.shape, together.dtype) == ((40, NUM_HASHES), np.uint64)
    alone = np.concatenate([perceptual_hashes(picture[None]) for picture in pixels])
    assert np.array_equal(together, alone)
    assert len(np.unique(together, axis=0)) == 40


def test_no_pictures_give_no_hashes() -> None:
    assert perceptual_hashes(np.empty((0, SIDE, SIDE, 1), np.uint8)).shape == (0, NUM_HASHES)


def test_brightness_and_contrast_do_not_change_the_hash() -> None:
    picture = drawn(1)[None]
    darker = (picture // 2 + 20).astype(np.uint8)
    left, right = (perceptual_hashes(pixels).view(np.int8).astype(int) for pixels in (picture, darker))
    assert np.abs(left - right).max() <= 2


def test_the_bars_of_a_padded_picture_are_not_part_of_its_hash() -> None:
    wide = np.random.default_rng(3).integers(0, 256, (48, SIDE, 1), np.uint8)
    padded = np.full((SIDE, SIDE, 1), 255, np.uint8)
    padded[8:56] = wide
    for turned in (False, True):
        left, right = (picture.swapaxes(0, 1) if turned else picture for picture in (padded, wide))
        assert np.array_equal(perceptual_hashes(without_padding(left[None], PAD)), perceptual_hashes(right[None]))


def test_a_margin_of_the_photograph_itself_stays() -> None:
    """A margin in a JPEG is not exactly one grey, so cutting it from a picture would not cut it from a copy."""
    framed = np.full((1, SIDE, SIDE, 1), 255, np.uint8)
    framed[0, 8:56] = drawn(3)[8:56]
    assert without_padding(framed, STRETCH) is framed
    copy = decode_image(encode(framed[0], quality=30), SIDE, "grayscale")
    assert len(set(groups_of(np.concatenate([framed, copy[None]])))) == 1


# Groups


def test_a_group_has_the_name_of_its_smallest_digest_in_any_order() -> None:
    pixels = np.stack([drawn(1), drawn(2), drawn(1) // 2 + 60, drawn(1)[:, ::-1], drawn(2)])
    digests = ["dd", "bb", "cc", "ee", "aa"]
    assert groups_of(pixels, digests) == ["cc", "aa", "cc", "cc", "aa"]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(5)
        expected = [["cc", "aa", "cc", "cc", "aa"][place] for place in order]
        assert groups_of(pixels[order], [digests[place] for place in order]) == expected


def test_equal_digests_are_one_group_without_reading_pixels() -> None:
    pixels = np.stack([drawn(1), drawn(2), drawn(1)])

    def refuse(rows: NDArray[np.int64]) -> Picture:
        raise AssertionError(f"rows {rows} were read")

    digests = pd.Series(["bb", "aa", "bb"])
    assert list(find_duplicates(digests, perceptual_hashes(pixels), refuse).group) == [0, 1, 0]


@pytest.mark.parametrize("count", [0, 1, 2, LEAF_SIZE // 2, LEAF_SIZE + 1])
def test_sets_of_any_size_are_grouped(count: int) -> None:
    pixels = np.concatenate([drawn_set(count), drawn_set(count)[:, :, ::-1]])
    assert groups_of(pixels) == [f"{number % count:06}" for number in range(2 * count)]


def test_a_chain_of_near_copies_is_one_group() -> None:
    first = drawn(1).astype(int)
    drift = (drawn(2).astype(int) - 128) // 20
    chain = [(first + step * drift).clip(0, 255).astype(np.uint8) for step in range(6)]
    assert groups_of(np.stack([*chain, drawn(3)]), ["ff", "ee", "dd", "cc", "bb", "fa", "aa"]) == ["bb"] * 6 + [
        "aa"
    ]


def test_a_few_shots_of_one_scene_are_copies() -> None:
    noise = np.random.default_rng(0).integers(-4, 5, (10, SIDE, SIDE, 1))
    shots = (drawn(1) + noise).clip(0, 255).astype(np.uint8)
    groups = groups_of(np.concatenate([shots, drawn_set(300)[2:]]))
    assert groups[:10] == ["000000"] * 10


def test_thousands_of_shots_of_a_scene_are_no_copies_and_equal_ones_still_are() -> None:
    """Three thousand shots of two scenes, each with its own noise; the first ten stand there twice."""
    noise = np.random.default_rng(0).integers(-4, 5, (3000, SIDE, SIDE, 1))
    scenes = np.stack([drawn(1), drawn(2)])[np.arange(3000) % 2]
    shots = (scenes + noise).clip(0, 255).astype(np.uint8)
    groups = groups_of(np.concatenate([shots, shots[:10]]))
    assert groups == [f"{number % 3000:06}" for number in range(3010)]


@pytest.mark.parametrize("defects", [False, True])
@pytest.mark.parametrize(("texture", "size"), [("fine", "small"), ("coarse", "middle"), ("faint", "large")])
def test_pictures_of_a_fixed_camera_are_no_copies(texture: str, size: str, defects: bool) -> None:
    pixels = fixed_camera(texture, size, defects)
    column = pd.Series([f"{number:06}" for number in range(len(pixels))])
    found = find_duplicates(column, perceptual_hashes(pixels), pixels.__getitem__)
    assert len(set(found.group)) > 0.92 * len(pixels)
    assert np.bincount(found.group).max() <= 4
    assert found.shares_scene.any()


def test_copies_are_found_among_the_pictures_of_a_fixed_camera() -> None:
    pixels = fixed_camera("fine", "middle", defects=False)
    copies = [decode_image(encode(shot, quality=75), SIDE, "grayscale") for shot in pixels[:50]]
    copies += [
        decode_image(encode(cv2.convertScaleAbs(s, alpha=0.75, beta=30)), SIDE, "grayscale") for s in pixels[:50]
    ]
    groups = groups_of(np.concatenate([pixels, copies]))
    assert np.mean([copy == shot for copy, shot in zip(groups[300:], groups[:50] * 2, strict=True)]) > 0.9


def test_two_thousand_copies_with_one_hash_are_one_group() -> None:
    assert set(groups_of(np.repeat(drawn_set(1), 2000, axis=0))) == {"000000"}


def test_a_pair_is_found_among_thousands_of_similar_pictures() -> None:
    """Different small objects at the same place on the same white: only two shots of the same object are a pair."""
    rng = np.random.default_rng(0)
    shots = np.full((2000, SIDE, SIDE, 1), 250, np.uint8)
    for shot in shots:
        small_object = cv2.resize(rng.uniform(60, 190, (6, 6)), (28, 28), interpolation=cv2.INTER_CUBIC)
        shot[20:48, 18:46, 0] = small_object.clip(0, 255)
    again = (shots[:3] + rng.integers(-1, 2, shots[:3].shape)).clip(0, 255).astype(np.uint8)
    groups = groups_of(np.concatenate([shots, again]))
    assert groups[2000:] == ["000000", "000001", "000002"]
    assert len(set(groups)) >= 1995


def test_pictures_without_content_stay_separate() -> None:
    rng = np.random.default_rng(0)
    plain = np.repeat(np.arange(0, 250, 5), SIDE * SIDE).reshape(50, SIDE, SIDE, 1)
    noisy = plain + rng.normal(0, 3, plain.shape)
    pixels = np.concatenate([plain, noisy]).clip(0, 255).astype(np.uint8)
    assert not perceptual_hashes(pixels).any()
    assert len(set(groups_of(pixels))) == 100


def test_gradients_in_different_directions_stay_separate() -> None:
    """A thousand pictures with only a gradient and noise, which correlate with each other."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    angle = rng.uniform(0, 2 * np.pi, (1000, 1, 1))
    light = 128 + 60 * (np.cos(angle) * across + np.sin(angle) * down)
    pixels = (light + rng.normal(0, 3, light.shape)).clip(0, 255).astype(np.uint8)[..., None]
    assert len(set(groups_of(pixels))) == 1000


def test_drawn_cats_and_dogs_stay_separate(originals: list[Picture]) -> None:
    pixels = np.stack([decode_image(encode(image), SIDE, "grayscale") for image in originals])
    assert len(set(groups_of(pixels))) == len(originals)


def test_pairs_are_found_where_pair_numbers_exceed_32_bits() -> None:
    """Random hashes without pictures; the last three hashes repeat the first three."""
    hashes = np.random.default_rng(0).integers(0, 2**64, (50_000, NUM_HASHES), np.uint64)
    hashes[-3:] = hashes[:3]
    scenes = drawn_set(5)

    def pictures(rows: NDArray[np.int64]) -> Picture:
        return scenes[np.where(rows >= 49_997, rows - 49_997, np.minimum(rows, 3))]

    digests = pd.Series(range(50_000)).map("{:06}".format)
    assert list(find_duplicates(digests, hashes, pictures).group[-3:]) == [0, 1, 2]


def test_each_pair_is_compared_once() -> None:
    """A thousand striped pictures need few reads of rows, since a refused pair is not compared again."""
    pixels = np.stack([cv2.resize(stripes(n % 2 == 0, n), (SIDE, SIDE))[..., :1] for n in range(1000)])
    num_read = 0

    def read(rows: NDArray[np.int64]) -> Picture:
        nonlocal num_read
        num_read += len(rows)
        return pixels[rows]

    find_duplicates(pd.Series(range(1000)).map("{:06}".format), perceptual_hashes(pixels), read)
    assert num_read < 20 * 1000


# The shared photographs

NEAR_PAIRS = [  # each checked by eye: the same photograph, saved twice
    *[("Cat/2565", "Cat/3565"), ("Cat/2580", "Cat/4726"), ("Cat/3112", "Cat/7545"), ("Cat/4126", "Cat/4575")],
    *[("Cat/4852", "Cat/6442"), ("Cat/6143", "Cat/6204"), ("Dog/5163", "Dog/6026"), ("Dog/6421", "Dog/6902")],
]


@pytest.mark.skipif(not SHARED.exists(), reason=f"no photographs at {SHARED}")
def test_all_duplicates_of_the_shared_photographs_are_found() -> None:
    names, digests, pixels = photographs(SHARED)
    names, digests = np.array(names), np.array(digests)
    exact = pd.Series(names).groupby(digests).agg(list)
    exact = exact[exact.map(len) > 1]
    assert len(exact) == 11
    assert ["Cat/8456", "Dog/8736"] in list(exact)  # the same picture with both labels, which prepare quarantines
    groups = pd.Series(names).groupby(groups_of(pixels, list(digests))).agg(list)
    duplicates = {tuple(group) for group in groups if len(group) > 1}
    assert duplicates == {tuple(group) for group in exact} | set(NEAR_PAIRS)


def photographs(archive: Path) -> tuple[list[str], list[str], Picture]:
    names, digests, pixels = [], [], []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            data = files.read(name)
            try:
                pixels.append(decode_image(data, 32, "grayscale"))
            except BadImage:
                continue
            names.append(name.removeprefix("PetImages/").removesuffix(".jpg"))
            digests.append(hashlib.sha256(data).hexdigest())
    return names, digests, np.stack(pixels)
