"""Archives inside an archive are opened one level deep; names such as cat.0.jpg give the class."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pawline.errors import DatasetError
from pawline.ingest import IngestResult, ingest
from pawline.params.ingest import IngestParams
from pawline.sources import archive_rules, nested, zips
from pawline.workspace.source_changes import changes_by_path
from tests.sample_sources import (
    PICTURE,
    TWO_CLASSES,
    content,
    folder_of,
    ingest_source,
    ingest_table,
    paths,
    refusal,
    tar_of,
    truncate,
    zip_of,
)

NAMED = dict.fromkeys(["train/cat.0.jpg", "train/cat.1.jpg", "train/dog.0.jpg", "train/dog.1.jpg"], PICTURE)
TEST = dict.fromkeys(["test1/1.jpg", "test1/2.jpg", "test1/3.jpg"], PICTURE)
NAMED_PATHS = ["cat/cat.0.jpg", "cat/cat.1.jpg", "dog/dog.0.jpg", "dog/dog.1.jpg"]


def archive_of(tmp_path: Path, name: str, files: dict[str, bytes]) -> Path:
    return (tar_of if ".t" in name else zip_of)(tmp_path / name, files)


def packed(tmp_path: Path, name: str, files: dict[str, bytes]) -> bytes:
    return archive_of(tmp_path, f"packed-{name}", files).read_bytes()


def kaggle(tmp_path: Path, outer: str = "dogs-vs-cats.zip", suffix: str = ".zip") -> Path:
    inner = {
        f"train{suffix}": packed(tmp_path, f"train{suffix}", NAMED),
        f"test1{suffix}": packed(tmp_path, f"test1{suffix}", TEST),
        "sampleSubmission.csv": b"id,label\n1,0\n",
    }
    return archive_of(tmp_path, outer, inner)


@pytest.mark.parametrize("outer", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz", ".tar.xz", ".TAR.ZST".lower()])
def test_the_zip_of_zips_of_kaggle_is_read_as_it_is_handed_out(tmp_path: Path, outer: str, suffix: str) -> None:
    result = ingest_source(kaggle(tmp_path, outer, suffix), tmp_path)
    assert content(tmp_path / "raw") == dict.fromkeys(NAMED_PATHS, PICTURE)
    assert set(result.rows.table()["class_name"]) == {"cat", "dog"}
    assert (result.num_unlabelled, result.num_beside_classes) == (3, 1)
    assert result.understood == [
        "ingest: 4 files in 2 classes (prepare checks them): cat 2, dog 2",
        f"ingest: opened the archives inside the source: train{suffix}, test1{suffix}",
        "ingest: the names of the files give the classes: cat.0.jpg is 'cat'; "
        "ingest.classes_from_names: false turns this off",
        "ingest: passed over: 3 files in test1/ without a class (`pawline predict` takes them); "
        "1 file beside the classes",
    ]


def test_the_temporary_files_of_inner_archives_are_removed(tmp_path: Path) -> None:
    ingest_source(kaggle(tmp_path), tmp_path)
    assert list((tmp_path / "downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ({"Cat.zip": ["1.jpg"], "Dog.zip": ["1.jpg"]}, ["Cat/1.jpg", "Dog/1.jpg"]),
        ({"Cat.zip": ["cat/1.jpg"], "Dog.zip": ["Dog/1.jpg"]}, ["Dog/1.jpg", "cat/1.jpg"]),
        ({"Cat.zip": ["images/1.jpg"], "Dog.zip": ["images/1.jpg"]}, ["Cat/images/1.jpg", "Dog/images/1.jpg"]),
        ({"images.zip": ["cat/1.jpg", "dog/1.jpg"]}, ["cat/1.jpg", "dog/1.jpg"]),
        (
            {"train.zip": ["cat/1.jpg", "dog/1.jpg"], "test.zip": ["cat/2.jpg", "dog/2.jpg"]},
            ["test/cat/2.jpg", "test/dog/2.jpg", "train/cat/1.jpg", "train/dog/1.jpg"],
        ),
        (
            {"takeout-001.zip": ["Takeout/cat/1.jpg"], "takeout-002.zip": ["Takeout/dog/1.jpg"]},
            ["cat/1.jpg", "dog/1.jpg"],
        ),
        ({"class1.zip": ["1.jpg"], "class2.zip": ["1.jpg"]}, ["class1/1.jpg", "class2/1.jpg"]),
    ],
)
def test_an_inner_archive_stands_for_a_folder_of_its_name(
    tmp_path: Path, inner: dict[str, list[str]], expected: list[str]
) -> None:
    files = {name: packed(tmp_path, name, dict.fromkeys(inside, PICTURE)) for name, inside in inner.items()}
    assert (
        paths(ingest_table(zip_of(tmp_path / "a.zip", {"data/" + name: files[name] for name in files}), tmp_path))
        == expected
    )


def test_an_archive_two_levels_deep_stays_closed(tmp_path: Path) -> None:
    deepest = packed(tmp_path, "deep.zip", {"../out.jpg": PICTURE})
    inner = packed(tmp_path, "more.zip", {"cat/2.jpg": PICTURE, "cat/deep.zip": deepest, "dog/2.jpg": PICTURE})
    index = ingest_table(zip_of(tmp_path / "a.zip", {"more.zip": inner}), tmp_path)
    assert set(index["class_name"]) == {"cat", "dog"}
    assert not (tmp_path / "out.jpg").exists()


# The rules against attacks hold inside, too


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"../out.jpg": PICTURE}, "entry '../out.jpg' would be written outside its folder"),
        ({"/tmp/out.jpg": PICTURE}, "entry '/tmp/out.jpg' would be written outside its folder"),
        ({"cat/\x1b.jpg": PICTURE}, "has a control character"),
        ({"cat/a.jpg": PICTURE, "cat/A.jpg": PICTURE}, "differ by case or Unicode form only"),
        ({"bomb.bmp": bytes(80 * 2**20)}, "as only archive bombs do"),
    ],
)
def test_an_attack_inside_refuses_the_whole_archive(
    tmp_path: Path, make: Callable[..., Path], files: dict[str, bytes], problem: str
) -> None:
    inner = packed(tmp_path, "inner.zip", files)
    message = refusal(make(tmp_path / "a", TWO_CLASSES | {"cat/inner.zip": inner}), tmp_path)
    assert message.startswith(f"{tmp_path}/a: cat/inner.zip: ")
    assert problem in message
    assert list((tmp_path / "downloads").iterdir()) == []


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_many_inner_archives_are_no_way_around_the_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(archive_rules, "FREE_BYTES", 50_000)
    bomb = packed(tmp_path, f"a{suffix}", {"a.bmp": bytes(45_000)})
    source = tar_of(tmp_path / "a.tar.gz", {f"{number}{suffix}": bomb for number in range(9)})
    message = refusal(source, tmp_path)
    assert message.endswith(
        "unpacks to more than 200 times its size, as only archive bombs do; nothing was unpacked"
    )


def test_too_many_inner_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "MAX_INNER", 1)
    assert "holds 2 archives, and no more than 1 are opened; unpack them" in refusal(kaggle(tmp_path), tmp_path)


def test_an_inner_name_that_meets_an_outer_one_is_refused(tmp_path: Path) -> None:
    inner = packed(tmp_path, "more.zip", {"1.jpg": PICTURE})
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES | {"cat/more/1.jpg": PICTURE, "cat/more.zip": inner})
    assert refusal(source, tmp_path) == f"{source}: holds 'cat/more/1.jpg' twice; nothing was unpacked"


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_a_damaged_inner_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    """It must not pass as a smaller data set."""
    inner = truncate(archive_of(tmp_path, f"more{suffix}", TWO_CLASSES), 0.3).read_bytes()
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES | {f"more{suffix}": inner})
    assert refusal(source, tmp_path).startswith(f"{source}: more{suffix}: ")


@pytest.mark.parametrize("outer", ["a.zip", "a.tar"])
def test_an_inner_archive_may_be_larger_than_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outer: str
) -> None:
    """The train.zip of dogs-vs-cats has 543 MB."""
    monkeypatch.setattr(zips, "MAX_FILE_BYTES", 1_000)
    source = kaggle(tmp_path, outer)
    assert len(ingest_table(source, tmp_path)) == 4
    monkeypatch.setattr(zips, "CHUNK_BYTES", 100)
    assert len(ingest_table(source, tmp_path)) == 4


def test_damage_to_a_large_inner_archive_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MAX_FILE_BYTES", 1_000)
    source = kaggle(tmp_path)
    data = bytearray(source.read_bytes())
    data[400] ^= 0xFF
    source.write_bytes(data)
    assert "entry 'train.zip' cannot be read: " in refusal(source, tmp_path)


# Classes in the names


def ingest_without(source: Path, tmp_path: Path) -> IngestResult:
    params = IngestParams(source=str(source), sha256=None, classes_from_names=False)
    return ingest(params, tmp_path / "raw", tmp_path / "downloads")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"], NAMED_PATHS),
        ([f"train/{path[4:]}" for path in NAMED_PATHS], NAMED_PATHS),
        ([f"a/b/train/{path[4:]}" for path in NAMED_PATHS], NAMED_PATHS),
        (
            ["cat.0.jpg", "cat.1.jpg", "polar bear.0.PNG", "polar bear.1.png"],
            ["cat/cat.0.jpg", "cat/cat.1.jpg", "polar bear/polar bear.0.PNG", "polar bear/polar bear.1.png"],
        ),
        (
            [*NAMED, "val/cat.7.jpg", "val/dog.7.jpg"],
            ["train/" + path for path in NAMED_PATHS] + ["val/cat/cat.7.jpg", "val/dog/dog.7.jpg"],
        ),
    ],
)
def test_names_give_the_classes_where_folders_do_not(
    tmp_path: Path, files: list[str], expected: list[str]
) -> None:
    index = ingest_table(folder_of(tmp_path / "source", dict.fromkeys(files, PICTURE)), tmp_path)
    assert paths(index) == expected
    assert set(index["given_part"]) == ({"train", "val"} if len(expected) == 6 else {""})


def test_a_few_names_without_a_class_are_passed_over_and_counted(tmp_path: Path) -> None:
    files = {f"{kind}.{n}.jpg": PICTURE for kind in ("cat", "dog") for n in range(10)} | {"cover.jpg": PICTURE}
    result = ingest_source(folder_of(tmp_path / "source", files), tmp_path)
    assert (len(result.rows), result.num_beside_classes) == (20, 1)


@pytest.mark.parametrize("files", [TWO_CLASSES, {"cat/dog.1.jpg": PICTURE, "bird/cat.2.jpg": PICTURE}])
def test_folders_of_classes_win_over_names(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert paths(ingest_table(folder_of(tmp_path / "source", files), tmp_path)) == sorted(files)


@pytest.mark.parametrize(
    "files",
    [
        ["scan.17.jpg", "photo.18.jpg"],  # one picture each is no class
        ["2021.05.jpg", "2021.06.jpg", "2022.05.jpg", "2022.06.jpg"],  # dates
        ["IMG_0001.jpg", "IMG_0002.jpg", "DSC_0001.jpg", "DSC_0002.jpg"],  # cameras
        ["cat.0.jpg", "cat.1.jpg"],  # one class
        ["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg", "a.jpg", "b.jpg"],  # a third names none
    ],
)
def test_other_names_give_no_classes(tmp_path: Path, files: list[str]) -> None:
    source = folder_of(tmp_path / "source", dict.fromkeys(files, PICTURE))
    assert "found no class folder with files in it" in refusal(source, tmp_path)


@pytest.mark.parametrize("files", [NAMED, NAMED | TEST, {Path(path).name: PICTURE for path in NAMED}])
def test_the_param_turns_classes_from_names_off(tmp_path: Path, files: dict[str, bytes]) -> None:
    source = folder_of(tmp_path / "source", files)
    assert len(ingest_table(source, tmp_path)) == 4
    with pytest.raises(DatasetError, match=r"names no classes|name no classes") as refused:
        ingest_without(source, tmp_path)
    assert "such as cat.0.jpg; set ingest.classes_from_names to true, or put each class" in str(refused.value)


def test_folders_of_classes_are_read_with_the_param_off(tmp_path: Path) -> None:
    assert len(ingest_without(folder_of(tmp_path / "source", TWO_CLASSES), tmp_path).rows) == 2


def test_an_archive_that_is_a_link_out_of_the_folder_is_opened_only_on_demand(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "elsewhere.zip", TWO_CLASSES)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/cats.zip").symlink_to(archive)
    assert "unpack 'cats.zip' first" in refusal(tmp_path / "source", tmp_path)
    params = IngestParams(source=str(tmp_path / "source"), sha256=None, follow_links=True)
    assert len(ingest(params, tmp_path / "raw", tmp_path / "downloads").rows) == 2


def test_a_new_zip_in_a_folder_of_zips_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "source"
    source.mkdir()
    for name in ("Cat", "Dog"):
        zip_of(source / f"{name}.zip", {"1.jpg": PICTURE})
    ingest_source(source, tmp_path).rows.write(tmp_path / "index.parquet")
    zip_of(source / "Fox.zip", {"1.jpg": PICTURE, "2.jpg": PICTURE})
    changes = changes_by_path(source, tmp_path / "index.parquet", None)
    assert changes is not None
    assert (changes.new, changes.changed, changes.removed) == (2, 0, 0)
