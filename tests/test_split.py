"""Every image keeps its part permanently; copies and near-copies never straddle two parts."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.params.prepare import ImageForm
from pawline.params.split import SplitParams
from pawline.parts import Part, data_digest
from pawline.pictures.duplicates import perceptual_hashes
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.split import PARTS, hash_fraction, split_images, summarize
from pawline.train import _sample

PARAMS = SplitParams(val_fraction=0.2, test_fraction=0.3, seed=1)
SIDE = 24


@dataclass(frozen=True)
class Picture:
    """A prepared image: its path, its pixels and the digest of its bytes."""

    path: str
    pixels: NDArray[np.uint8]
    digest: str
    given_part: str = ""

    @property
    def class_name(self) -> str:
        return self.path.split("/")[0]


def picture(number: int, class_name: str | None = None, given_part: str = "") -> Picture:
    """A picture that looks like no other one: soft blots at random places."""
    rng = np.random.default_rng(number)
    pixels = cv2.resize(rng.uniform(0, 255, (9, 9)), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    class_name = class_name or ("cat", "dog")[number % 2]
    digest = hashlib.sha256(b"%d" % number).hexdigest()
    return Picture(f"{class_name}/{number:05}.jpg", pixels.astype(np.uint8)[..., None], digest, given_part)


def copy_of(original: Picture, number: int) -> Picture:
    """Return the same bytes under another name."""
    return replace(original, path=f"{original.class_name}/copy {number}.jpg")


def near_copy_of(original: Picture, number: int) -> Picture:
    """Save the picture again, slightly noisier, and mirrored for odd numbers."""
    noise = np.random.default_rng(number).integers(-1, 2, original.pixels.shape)
    pixels = (original.pixels + noise).clip(0, 255).astype(np.uint8)[:, :: (-1) ** number]
    digest = hashlib.sha256(b"near %d" % number).hexdigest()
    return replace(original, path=f"{original.class_name}/near {number}.jpg", pixels=pixels, digest=digest)


def prepared(folder: Path, pictures: list[Picture]) -> PreparedImages:
    """Write a folder like the stage `prepare`, in the order given."""
    names = sorted({picture.class_name for picture in pictures})
    rows = [(p.path, p.digest, p.class_name, p.given_part, names.index(p.class_name)) for p in pictures]
    pixels = np.stack([picture.pixels for picture in pictures])
    hashes = perceptual_hashes(pixels)
    table = pd.DataFrame(rows, columns=["path", "digest", "class_name", "given_part", "label"])
    folder.mkdir(parents=True)
    write_shard(folder, 0, Concatenation([pixels]), np.arange(len(pixels)))
    form = ImageForm(image_size=SIDE, color="grayscale", aspect="stretch", background=255)
    write_description(folder, table, hashes, names, "none", form)
    return PreparedImages(folder)


@dataclass
class Splitter:
    """Splits lists of pictures, each in a folder of its own."""

    folder: Path
    number: int = 0

    def __call__(self, pictures: list[Picture], params: SplitParams = PARAMS) -> tuple[pd.DataFrame, pd.DataFrame]:
        self.number += 1
        return split_images(prepared(self.folder / str(self.number), pictures), params)


@pytest.fixture
def split(tmp_path: Path) -> Splitter:
    return Splitter(tmp_path)


def part_by_hash(digest: str, seed: int = 1) -> str:
    """The part of a picture without copies, by the rule in the style guide."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{digest}".encode()).digest()[:8]) / 2**64
    return "test" if number < 0.3 else "val" if number < 0.5 else "train"


def pictures_in(part: str, count: int, number: int = 0) -> list[Picture]:
    """Pictures of cats that fall into the given part, numbered from `number`."""
    pictures: list[Picture] = []
    while len(pictures) < count:
        candidate = picture(number, "cat")
        number += 1
        if part_by_hash(candidate.digest) == part:
            pictures.append(candidate)
    return pictures


# The assignment


def test_the_part_depends_on_digest_and_seed_alone(split: Splitter) -> None:
    used, left_out = split([picture(n) for n in range(200)])
    assert list(used.columns) == list(left_out.columns) == ["path", "digest", "label", "group", "split"]
    assert (len(used), len(left_out)) == (200, 0)
    assert list(used["split"]) == [part_by_hash(digest) for digest in used["digest"]]
    assert list(used["label"]) == [n % 2 for n in range(200)]
    assert list(used["group"]) == list(used["digest"])


def test_another_seed_is_another_assignment(split: Splitter) -> None:
    pictures = [picture(n) for n in range(100)]
    used, _ = split(pictures, PARAMS.model_copy(update={"seed": 2}))
    assert list(used["split"]) == [part_by_hash(picture.digest, seed=2) for picture in pictures]
    assert list(used["split"]) != list(split(pictures)[0]["split"])


def test_hash_fractions_are_spread_evenly() -> None:
    fractions = np.array([hash_fraction(str(n), seed=3) for n in range(20000)])
    counts, _ = np.histogram(fractions, bins=10, range=(0, 1))
    assert counts.sum() == 20000
    assert np.abs(counts - 2000).max() < 4 * np.sqrt(2000)  # four standard deviations


# What never happens


@pytest.mark.parametrize("trial", range(5))
def test_adding_images_moves_no_old_image_between_parts(split: Splitter, trial: int) -> None:
    rng = np.random.default_rng(trial)
    old = [picture(n + 1000 * trial) for n in range(120)]
    old += [copy_of(old[n], n) for n in rng.integers(120, size=8)]
    old += [near_copy_of(old[n], 10_000 * trial + number) for number, n in enumerate(rng.integers(120, size=15))]
    new = [picture(n + 1000 * trial) for n in range(200, 240)]
    new += [copy_of(old[n], 500 + number) for number, n in enumerate(rng.integers(120, size=10))]
    new += [
        near_copy_of(old[n], 10_000 * trial + 500 + number) for number, n in enumerate(rng.integers(120, size=40))
    ]
    before, _ = split(unique_paths(old))
    after, left_out = split(unique_paths(old + new))
    assert len(left_out) > 0, "no image was left out, so this trial tests nothing"
    part_before, part_after = (table.set_index("path")["split"] for table in (before, after))
    common = part_before.index.intersection(part_after.index)
    assert len(common) > 100
    assert part_after[common].equals(part_before[common])
    # An old image may only drop out of train or val, and only if a near-copy of it is added to a part before its own.
    dropped_paths = part_before.index.difference(part_after.index)
    assert "test" not in set(part_before[dropped_paths])
    assert set(dropped_paths) <= set(left_out["path"])
    groups_with_new = set(left_out["group"]) & set(after["group"][~after["path"].isin(part_before.index)])
    assert set(left_out.set_index("path")["group"][dropped_paths]) <= groups_with_new


def unique_paths(pictures: list[Picture]) -> list[Picture]:
    return list({picture.path: picture for picture in pictures}.values())


def test_no_group_straddles_two_parts(split: Splitter) -> None:
    originals = [picture(n) for n in range(60)]
    near = [near_copy_of(original, number) for number, original in enumerate(originals * 3)]
    used, left_out = split(originals + near + filler())
    assert (used.groupby("group")["split"].nunique() == 1).all()
    assert used["group"].nunique() == 160
    assert len(used) + len(left_out) == 340
    # Each near-copy has its own part by hash, so groups would straddle if no image were left out.
    own_part = {row.path: part_by_hash(row.digest) for row in pd.concat([used, left_out]).itertuples()}
    assert len(left_out) > 60
    assert all(own_part[row.path] == row.split for row in used.itertuples())


def test_copies_under_new_names_stay_with_the_original(split: Splitter) -> None:
    originals = [picture(n) for n in range(30)]
    used, left_out = split(originals + [copy_of(original, n) for n, original in enumerate(originals)])
    assert len(left_out) == 0
    assert (used.groupby("digest")["split"].nunique() == 1).all()
    assert list(used["split"][:30]) == list(used["split"][30:])


def test_names_and_order_of_listing_do_not_matter(split: Splitter) -> None:
    originals = [picture(n) for n in range(60)]
    pictures = originals + [near_copy_of(original, number) for number, original in enumerate(originals)]
    used, left_out = split(pictures)
    order = np.random.default_rng(4).permutation(len(pictures))
    renamed = [
        replace(pictures[n], path=f"{pictures[n].class_name}/renamed {place}.png") for place, n in enumerate(order)
    ]
    used_again, left_out_again = split(renamed)
    for table, again in ((used, used_again), (left_out, left_out_again)):
        columns = ["digest", "label", "group", "split"]
        expected = table[columns].sort_values("digest", ignore_index=True)
        pd.testing.assert_frame_equal(again[columns].sort_values("digest", ignore_index=True), expected)
    assert data_digest(used) == data_digest(used_again)


def test_removing_images_moves_no_remaining_image(split: Splitter) -> None:
    pictures = [picture(n) for n in range(100)]
    part_before = split(pictures)[0].set_index("path")["split"]
    part_after = split(pictures[::2])[0].set_index("path")["split"]
    assert part_after.equals(part_before[part_after.index])


# Near-duplicates that fall into different parts


def filler() -> list[Picture]:
    """Enough pictures of both classes for every part."""
    return [picture(n) for n in range(5000, 5100)]


@pytest.mark.parametrize(
    ("parts", "keeps"),
    [
        (["train", "test"], "test"),
        (["train", "val"], "val"),
        (["val", "test"], "test"),
        (["train", "val", "test"], "test"),
        (["train", "train", "train", "test"], "test"),
        (["train", "val", "val", "test"], "test"),
        (["train", "train", "train", "val"], "val"),
    ],
)
def test_test_keeps_its_images_then_val_however_few_they_are(
    split: Splitter, parts: list[str], keeps: str
) -> None:
    members = [pictures_in(part, 3)[parts[:place].count(part)] for place, part in enumerate(parts)]
    look_alikes = [replace(picture, pixels=members[0].pixels) for picture in members]
    used, left_out = split(filler() + look_alikes)
    expected = {picture.path for picture, part in zip(look_alikes, parts, strict=True) if part == keeps}
    assert set(used["path"][used["path"].isin([picture.path for picture in look_alikes])]) == expected
    assert len(left_out) == len(parts) - len(expected)
    assert keeps not in set(left_out["split"])


def test_added_copies_take_no_picture_out_of_test(split: Splitter) -> None:
    old = [picture(n) for n in range(100)]
    added = [near_copy_of(old[n % 100], n) for n in range(300)]
    before, after = split(old)[0], split(old + added)[0]
    assert len(after) < 400, "no near-copy was left out, so this tests nothing"
    in_test = [set(table["path"][table["split"] == "test"]) for table in (before, after)]
    assert in_test[0] < in_test[1]


# Sources that come ready-split


def test_ready_made_parts_are_kept_as_given(split: Splitter) -> None:
    given = ["train", "val", "test"]
    pictures = [picture(n, ("cat", "dog")[n // 3 % 2], given[n % 3]) for n in range(60)]
    used, _ = split(pictures)
    assert list(used["split"]) == [given[n % 3] for n in range(60)]


@pytest.mark.parametrize(("given", "cut"), [("test", "val"), ("val", "test")])
def test_a_part_that_is_not_given_is_cut_from_train(split: Splitter, given: str, cut: str) -> None:
    pictures = [picture(n, ("cat", "dog")[n // 2 % 2], ("train", given)[n % 2]) for n in range(400)]
    used, _ = split(pictures)
    part = used["split"].to_numpy()
    assert set(part[1::2]) == {given}
    fractions = np.array([hash_fraction(picture.digest, 1) for picture in pictures[::2]])
    width = 0.2 if cut == "val" else 0.3
    assert list(part[::2]) == list(np.where(fractions < width, cut, "train"))


def test_a_copy_across_given_parts_does_not_straddle(split: Splitter) -> None:
    given = ["train", "val", "test"]
    pictures = [picture(n, ("cat", "dog")[n // 3 % 2], given[n % 3]) for n in range(60)]
    leak = replace(copy_of(pictures[0], 1), given_part="test")
    used, left_out = split([*pictures, leak])
    assert (used.groupby("digest")["split"].nunique() == 1).all()
    assert list(left_out["path"]) == [pictures[0].path]


def test_a_ready_made_test_folder_loses_no_picture_to_copies_in_train(split: Splitter) -> None:
    given = ["train", "val", "test"]
    pictures = [picture(n, ("cat", "dog")[n // 3 % 2], given[n % 3]) for n in range(90)]
    copies = [replace(near_copy_of(pictures[2], n), given_part="train") for n in range(5)]
    used, left_out = split(pictures + copies)
    assert (used["split"] == "test").sum() == 30
    assert {path.split("/")[1] for path in left_out["path"]} == {f"near {n}.jpg" for n in range(5)}


# Order


def test_a_rename_changes_neither_the_order_nor_the_first_sample_of_a_training(
    split: Splitter, tmp_path: Path
) -> None:
    pictures = [picture(n) for n in range(200)]
    order = np.random.default_rng(4).permutation(200)
    renamed = [replace(pictures[n], path=f"{pictures[n].class_name}/{place:05}.png") for place, n in enumerate(order)]
    digests, samples = [], []
    for number, listed in enumerate((pictures, sorted(renamed, key=lambda picture: picture.path))):
        images = prepared(tmp_path / f"listed {number}", listed)
        part = Part.of("train", images, split_images(images, PARAMS)[0])
        digests.append(list(images.table["digest"].take(part.rows)))
        assert list(images.table["label"].take(part.rows)) == list(part.labels)
        assert list(images.table["path"].take(part.rows)) == part.paths
        samples.append(_sample(images, part, seed=1))
    assert digests[0] == digests[1] == sorted(digests[0])
    assert np.array_equal(*samples)


# Refusal


@pytest.mark.parametrize("missing", PARTS)
def test_a_class_without_images_in_a_part_is_refused(split: Splitter, missing: str) -> None:
    others = [part for part in PARTS if part != missing]
    cats = pictures_in(others[0], 3) + pictures_in(others[1], 3)
    dogs = [picture(n, "dog") for n in range(5000, 5100)]
    with pytest.raises(DatasetError) as refused:
        split(cats + dogs)
    assert str(refused.value) == (
        f"class 'cat' has 6 usable images and none of them falls into {missing} with split.seed 1; "
        f"add images, raise the {missing} fraction or try another seed"
    )


# Figures


def test_metrics_match_a_count_by_hand() -> None:
    rows = [
        *[("aa", 0, "train"), ("aa", 0, "train")],
        *[("bb", 1, "test"), ("bb", 1, "test"), ("bb", 0, "test")],
        *[("cc", 0, "train"), ("dd", 1, "train"), ("ee", 1, "train"), ("ff", 0, "train")],
        *[("99", 1, "val")],
    ]
    used = pd.DataFrame(rows, columns=["group", "label", "split"])
    left_out = pd.DataFrame([("aa", 0, "val")], columns=["group", "label", "split"])
    # Groups aa and bb have three images each. With 0.6, 0.3 and 0.1 of the images in the parts,
    # a random split keeps each group together with probability 0.6³ + 0.3³ + 0.1³ = 0.244.
    assert summarize(used, left_out, ["cat", "dog"]) == {
        "num_images": {"test": 3, "val": 1, "train": 6},
        "num_per_class": {
            "test": {"cat": 1, "dog": 2},
            "val": {"cat": 0, "dog": 1},
            "train": {"cat": 4, "dog": 2},
        },
        "num_duplicate_groups": 2,
        "num_images_in_duplicate_groups": 6,
        "num_left_out": 1,
        "num_groups_separated_by_a_random_split": round(2 * (1 - 0.244), 1),
    }


def test_the_data_digest_depends_on_content_label_and_part_alone() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "digest": ["1", "2"], "label": [0, 1], "split": ["train", "val"]})
    digest = data_digest(table)
    assert digest == hashlib.sha256(b"1 0 train\n2 1 val").hexdigest()
    assert data_digest(table.iloc[::-1].assign(path=["p", "q"])) == digest
    for column, value in (("digest", "3"), ("label", 5), ("split", "test")):
        assert data_digest(table.assign(**{column: [value, table[column][1]]})) != digest
