"""Every image keeps its part permanently; copies and near-copies never straddle two parts."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.params.prepare import ImageForm
from pawline.params.split import SplitParams
from pawline.part_by_hash import PARTS, hash_fraction, parts_by_hash
from pawline.parts import Part, data_digest
from pawline.pictures.duplicates import perceptual_hashes
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.split import Split, split_images, summarize
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
        return self.whole(pictures, params)[:2]

    def whole(self, pictures: list[Picture], params: SplitParams = PARAMS) -> Split:
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


def ready_split(count: int) -> list[Picture]:
    """Pictures of two classes, in turn of train, val and test."""
    parts = ("train", "val", "test")
    return [picture(n, ("cat", "dog")[n // 3 % 2], parts[n % 3]) for n in range(count)]


def test_ready_made_parts_are_kept_as_given(split: Splitter) -> None:
    used, _ = split(ready_split(60))
    assert list(used["split"]) == ["train", "val", "test"] * 20


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
    pictures = ready_split(60)
    leak = replace(copy_of(pictures[0], 1), given_part="test")
    used, left_out = split([*pictures, leak])
    assert (used.groupby("digest")["split"].nunique() == 1).all()
    assert list(left_out["path"]) == [pictures[0].path]


def test_a_ready_made_test_folder_loses_no_picture_to_copies_in_train(split: Splitter) -> None:
    pictures = ready_split(90)
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
    renamed = [
        replace(pictures[n], path=f"{pictures[n].class_name}/{place:05}.png") for place, n in enumerate(order)
    ]
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


# Classes whose hashes leave a part short


def small_class(name: str, count: int, start: int) -> list[Picture]:
    return [picture(n, name) for n in range(start, start + count)]


def test_a_hundred_classes_of_twelve_pictures_are_split_with_any_seed(split: Splitter) -> None:
    pictures = [p for c in range(100) for p in small_class(f"class {c:02}", 12, 12 * c)]
    for seed in range(3):
        params = SplitParams(val_fraction=0.15, test_fraction=0.15, seed=seed)
        whole = split.whole(pictures, params)
        assert (whole.used.groupby("split")["label"].nunique() == 100).all()
        natural = [hash_fraction(digest, seed) for digest in whole.used["digest"]]
        by_hash = np.where(np.array(natural) < 0.15, "test", np.where(np.array(natural) < 0.3, "val", "train"))
        assert whole.num_topped_up == (whole.used["split"] != by_hash).sum() > 0
        assert whole.findings[0].startswith(f"{whole.num_topped_up} pictures fill test and val of ")


def test_a_class_that_fills_every_part_by_hash_is_split_by_hash_alone(split: Splitter) -> None:
    whole = split.whole(filler())
    assert list(whole.used["split"]) == [part_by_hash(digest) for digest in whole.used["digest"]]
    assert (whole.num_topped_up, whole.findings) == (0, [])


def test_the_smallest_hashes_fill_test_then_val(split: Splitter) -> None:
    cats = sorted(pictures_in("train", 6), key=lambda picture: hash_fraction(picture.digest, 1))
    used = split(cats + small_class("dog", 100, 5000), PARAMS.model_copy(update={"min_per_part": 2}))[0]
    part = used.set_index("path")["split"]
    assert [part[cat.path] for cat in cats] == ["test", "test", "val", "val", "train", "train"]


KEYS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=80, unique=True)


@settings(max_examples=300, deadline=None)
@given(KEYS, st.data(), st.integers(0, 5), st.integers(1, 4), st.sampled_from(["", "test", "val"]))
def test_added_pictures_move_others_only_from_test_to_val_to_train(
    keys: list[tuple[int, int]], data: st.DataObject, seed: int, min_per_part: int, given_part: str
) -> None:
    """And only pictures that filled a part move; also where the source gives one of the parts."""
    params = SplitParams(val_fraction=0.2, test_fraction=0.2, seed=seed, min_per_part=min_per_part)
    old = data.draw(st.lists(st.sampled_from(keys), unique=True, min_size=1))

    def parts(listed: list[tuple[int, int]]) -> dict[tuple[int, int], tuple[str, bool]]:
        listed = [*listed, (9, 0)]  # a picture of another class, in the part that the source gives
        column = pd.Series([f"{label} {number}" for label, number in listed])
        labels = np.array([label for label, _ in listed])
        part, fills = parts_by_hash(column, labels, pd.Series([""] * (len(listed) - 1) + [given_part]), params)
        return {key: (PARTS[p], bool(f)) for key, p, f in zip(listed, part, fills, strict=True)}

    before, after = parts(old), parts(keys)
    for key in old:
        (part_before, filled_before), (part_after, filled_after) = before[key], after[key]
        assert PARTS.index(part_before) <= PARTS.index(part_after)
        assert filled_before or not filled_after
        assert filled_before or part_before == part_after
    for label in {label for label, _ in keys}:
        of_class = [part for (other, _), (part, _) in after.items() if other == label]
        if given_part != "test":
            assert of_class.count("test") >= min(min_per_part, len(of_class))
        if not given_part:
            rest = len(of_class) - of_class.count("test")
            assert of_class.count("val") >= min(min_per_part, rest)


def test_a_burst_in_a_rare_class_costs_val_its_pictures_with_a_line_but_never_test(split: Splitter) -> None:
    cats = sorted(pictures_in("train", 6), key=lambda picture: hash_fraction(picture.digest, 1))
    cats[1] = replace(cats[1], pixels=cats[0].pixels)
    whole = split.whole(cats + small_class("dog", 100, 5000))
    assert dict(whole.used[whole.used["label"] == 0]["split"].value_counts()) == {"train": 4, "test": 1}
    assert (
        "no picture in val, since all there are near-duplicates of pictures in test: 'cat'; "
        "split.min_per_part 2 fills up more"
    ) in whole.findings
    filled = split.whole(cats + small_class("dog", 100, 5000), PARAMS.model_copy(update={"min_per_part": 2})).used
    assert set(filled[filled["label"] == 0]["split"]) == {"train", "val", "test"}


# Classes too rare


def rare_set() -> list[Picture]:
    dogs = small_class("dog", 100, 5000)
    return [*small_class("cat", 2, 1), *small_class("emu", 1, 7), *dogs, *small_class("fox", 100, 6000)]


def test_a_refusal_names_every_rare_class_and_the_ways_out(split: Splitter) -> None:
    with pytest.raises(DatasetError) as refused:
        split(rare_set())
    assert str(refused.value) == (
        "2 classes lack pictures in a part: 'cat' (2 different, none in train), 'emu' (1 different, none in train and "
        "val); add pictures (a class needs 3 different ones or groups); or set split.rare_classes to leave_out or "
        "train_only"
    )


def test_another_seed_is_advised_only_where_it_helps(split: Splitter) -> None:
    """Three hashes of test leave nothing for train, and no rule can move them (docs/decisions/0003-split.md)."""
    with pytest.raises(
        DatasetError, match=r"'cat' \(3 different, none in train and val\).*try another split.seed than 1"
    ):
        split(pictures_in("test", 3) + small_class("dog", 100, 5000))


@pytest.mark.parametrize(("rare_classes", "parts"), [("leave_out", set()), ("train_only", {"train"})])
def test_rare_classes_are_left_out_or_only_trained_on(split: Splitter, rare_classes: str, parts: set[str]) -> None:
    whole = split.whole(rare_set(), PARAMS.model_copy(update={"rare_classes": rare_classes}))
    rare = whole.used[whole.used["label"].isin([0, 2])]
    assert set(rare["split"]) == parts
    assert len(rare) + len(whole.left_out) == 3
    assert any("2 classes are too rare" in line and "'cat', 'emu'" in line for line in whole.findings)
    others = whole.used[whole.used["label"].isin([1, 3])]
    assert list(others["split"]) == [part_by_hash(digest) for digest in others["digest"]]


def given_set(emu_parts: list[str]) -> list[Picture]:
    given = ["train", "val", "test"]
    pictures = [picture(n, ("cat", "dog")[n // 3 % 2], given[n % 3]) for n in range(60)]
    return pictures + [picture(100 + n, "emu", part) for n, part in enumerate(emu_parts)]


def test_given_parts_that_hold_other_classes_are_refused_without_advice_that_cannot_help(split: Splitter) -> None:
    with pytest.raises(DatasetError) as refused:
        split(given_set(["train", "train"]))
    assert str(refused.value) == (
        "a class lacks pictures in a part: 'emu' (2 different, none in val and test); the source gives test and val: "
        "add pictures of these classes there; or set split.rare_classes to leave_out or train_only"
    )
    with pytest.raises(
        DatasetError, match="none in train\\); add pictures of these classes to the source's train; or set"
    ):
        split(given_set(["val", "test"]))


@pytest.mark.parametrize(
    ("emu_parts", "rare_classes", "kept"),
    [
        (["train", "train"], "train_only", ["train", "train"]),
        (["train", "val"], "train_only", ["train", "val"]),
        (["val", "test"], "train_only", []),  # nothing could learn it
        (["train", "train"], "leave_out", []),
    ],
)
def test_rare_classes_of_given_parts_stay_as_given(
    split: Splitter, emu_parts: list[str], rare_classes: str, kept: list[str]
) -> None:
    used = split(given_set(emu_parts), PARAMS.model_copy(update={"rare_classes": rare_classes}))[0]
    assert list(used["split"][used["label"] == 2]) == kept


# Groups that the user names


@pytest.mark.parametrize("group", ["folder", r"/(p\d+)/", None])
def test_a_group_has_the_part_of_its_name(split: Splitter, tmp_path: Path, group: str | None) -> None:
    pictures = [
        replace(p, path=f"{p.class_name}/p{n % 40}/{n}.jpg") for n, p in enumerate(map(picture, range(400)))
    ]
    params = PARAMS.model_copy(update={"group": group})
    images = prepared(tmp_path / "groups", pictures)
    if group is None:
        images.table["given_group"] = [f"p{n % 40}" for n in range(400)]
    used = split_images(images, params).used
    assert list(used["given_group"]) == [f"p{n % 40}" for n in range(400)]
    assert list(used["split"]) == [part_by_hash(name) for name in used["given_group"]]


def test_a_picture_without_a_group_has_the_part_of_its_digest(split: Splitter) -> None:
    grouped = [replace(p, path=f"{p.class_name}/p1/{p.path[4:]}") for p in map(picture, range(20))]
    used = split(grouped + filler(), PARAMS.model_copy(update={"group": "folder"}))[0]
    assert list(used["split"][20:]) == [part_by_hash(digest) for digest in used["digest"][20:]]
    assert used["split"][:20].nunique() == 1


def test_a_group_across_given_parts_or_filled_up_in_one_class_does_not_straddle(split: Splitter) -> None:
    params = PARAMS.model_copy(update={"group": r"/(p\d+) "})
    across = [replace(p, path=f"{p.class_name}/p{n // 3} {n}.jpg") for n, p in enumerate(given_set([]))]
    used, left_out = split(across, PARAMS.model_copy(update={"group": r"/(p1) "}))
    assert set(used["split"][used["given_group"] == "p1"]) == {"test"}
    assert len(left_out) == 2
    for seed in range(20):  # cats are rare, so that one group fills test; its dogs may fall into train by hash
        cats = [replace(picture(n, "cat"), path=f"cat/p{n} x.jpg") for n in range(4)]
        dogs = [replace(picture(10 + n, "dog"), path=f"dog/p{n % 100} {n}.jpg") for n in range(300)]
        used = split(
            cats + dogs + small_class("fox", 100, 6000),
            params.model_copy(update={"seed": seed, "rare_classes": "leave_out"}),
        )[0]
        grouped = used[used["given_group"] != ""]
        assert (grouped.groupby("given_group")["split"].nunique() == 1).all()


@pytest.mark.parametrize("group", ["folder", "(patient)"])
def test_groups_that_no_picture_has_are_refused(split: Splitter, group: str) -> None:
    with pytest.raises(DatasetError, match="split.group"):
        split(filler(), PARAMS.model_copy(update={"group": group}))


# Near-duplicates turned off, or reported


def test_without_the_search_only_equal_bytes_stay_together(split: Splitter) -> None:
    pictures = [*filler(), *(near_copy_of(p, n) for n, p in enumerate(filler())), copy_of(filler()[0], 1)]
    used, left_out = split(pictures, PARAMS.model_copy(update={"near_duplicates": False}))
    assert len(left_out) == 0
    assert list(used["split"]) == [part_by_hash(digest) for digest in used["digest"]]
    assert (used.groupby("group")["digest"].nunique() == 1).all()


def test_groups_that_mix_classes_or_grow_large_are_reported(split: Splitter) -> None:
    originals = filler()
    mixed = replace(near_copy_of(originals[0], 2), path="dog/mixed.jpg")
    burst = [replace(near_copy_of(originals[1], n), pixels=originals[1].pixels) for n in range(10, 35)]
    whole = split.whole([*originals, mixed, *burst])
    figures = summarize(whole, ["cat", "dog"])
    assert (figures["num_mixed_duplicate_groups"], figures["num_large_duplicate_groups"]) == (1, 1)
    assert any(line.startswith("1 groups of near-duplicates mix classes") for line in whole.findings)
    assert any("more than 20 near-duplicates, the largest 26" in line for line in whole.findings)
    assert figures["num_compared_without_scene"] == 26
    assert any(line.startswith("26 pictures share a scene with many others") for line in whole.findings)
    assert sum("split.near_duplicates: false" in line for line in whole.findings) == 3


# Figures


def test_metrics_match_a_count_by_hand() -> None:
    rows = [
        *[("aa", 0, "train"), ("aa", 0, "train")],
        *[("bb", 1, "test"), ("bb", 1, "test"), ("bb", 0, "test")],
        *[("cc", 0, "train"), ("dd", 1, "train"), ("ee", 1, "train"), ("ff", 0, "train")],
        *[("99", 1, "val")],
    ]
    used = pd.DataFrame(rows, columns=["group", "label", "split"]).assign(
        digest=[f"{n:02}" for n in range(len(rows))]
    )
    left_out = pd.DataFrame([("aa", 0, "val", "77")], columns=["group", "label", "split", "digest"])
    # Groups aa and bb have three images each. With 0.6, 0.3 and 0.1 of the images in the parts,
    # a random split keeps each group together with probability 0.6³ + 0.3³ + 0.1³ = 0.244.
    assert summarize(Split(used, left_out, 4, 9, []), ["cat", "dog"]) == {
        "num_images": {"test": 3, "val": 1, "train": 6},
        "num_per_class": {
            "test": {"cat": 1, "dog": 2},
            "val": {"cat": 0, "dog": 1},
            "train": {"cat": 4, "dog": 2},
        },
        "num_duplicate_groups": 2,
        "num_images_in_duplicate_groups": 6,
        "num_mixed_duplicate_groups": 1,
        "num_large_duplicate_groups": 0,
        "num_left_out": 1,
        "num_topped_up": 4,
        "num_compared_without_scene": 9,
        "num_groups_separated_by_a_random_split": round(2 * (1 - 0.244), 1),
    }


def test_the_data_digest_depends_on_content_label_and_part_alone() -> None:
    table = pd.DataFrame({"path": ["x", "y"], "digest": ["1", "2"], "label": [0, 1], "split": ["train", "val"]})
    digest = data_digest(table)
    assert digest == hashlib.sha256(b"1 0 train\n2 1 val").hexdigest()
    assert data_digest(table.iloc[::-1].assign(path=["p", "q"])) == digest
    for column, value in (("digest", "3"), ("label", 5), ("split", "test")):
        assert data_digest(table.assign(**{column: [value, table[column][1]]})) != digest
