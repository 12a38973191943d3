"""`ingest` says what it understood, and names what looks wrong: green means what the user thinks."""

import unicodedata
import zipfile
from pathlib import Path

import pytest

from pawline.ingest import IngestResult, ingest
from pawline.params.ingest import IngestParams
from pawline.sources.classified import open_classified
from tests.sample_sources import (
    PICTURE,
    TWO_CLASSES,
    content,
    folder_of,
    ingest_source,
    member,
    paths,
    refusal,
    tar_of,
    zip_of,
)

# Classes that are one to people


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Cat", "cat"),
        ("CAT", "cat"),
        ("caf\u00e9", "cafe\u0301"),
        ("caf\u00e9", "CAFE\u0301"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
@pytest.mark.parametrize(
    "layout", ["{0}/1.jpg {1}/2.jpg dog/3.jpg", "train/{0}/1.jpg train/dog/3.jpg val/{1}/2.jpg"]
)
def test_classes_that_differ_by_case_or_unicode_form_are_refused_in_a_folder(
    tmp_path: Path, first: str, second: str, layout: str
) -> None:
    files = dict.fromkeys(layout.format(first, second).split(), PICTURE)
    message = refusal(folder_of(tmp_path / "source", files), tmp_path)
    assert message.endswith(
        "differ by case or Unicode form only; put their pictures under one name, or rename one"
    )
    assert repr(first) in message and repr(second) in message


def test_labels_of_a_table_that_differ_by_case_are_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"1.jpg": PICTURE, "2.jpg": PICTURE, "3.jpg": PICTURE})
    (source / "labels.csv").write_text("path,label\n1.jpg,Cat\n2.jpg,cat\n3.jpg,dog\n")
    assert "the classes 'Cat' and 'cat' differ by case" in refusal(source, tmp_path)


# Empty classes


def test_an_empty_class_folder_is_said(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"texts/1.txt": b"words"})
    (source / "bird").mkdir()
    (source / "cat/old").mkdir()  # in a class: nothing is missing
    assert (
        ingest_source(source, tmp_path).understood[-1] == "ingest: suspicious: no picture in bird, texts: no class"
    )


@pytest.mark.parametrize("wrapper", ["", "data/"])
def test_an_empty_class_of_one_part_is_said(tmp_path: Path, wrapper: str) -> None:
    files = {f"{wrapper}{part}/{path}": PICTURE for part in ("train", "val") for path in TWO_CLASSES}
    source = folder_of(tmp_path / "source", files)
    (source / wrapper / "val/bird").mkdir()
    lines = ingest_source(source, tmp_path).understood
    assert lines[1:] == [
        "ingest: the source gives the parts: train 2, val 2",
        "ingest: suspicious: no picture in val/bird: no class",
    ]


def test_an_empty_class_folder_in_an_archive_is_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(zip_of(tmp_path / "a.zip", TWO_CLASSES), "a") as archive:
        archive.writestr("bird/", b"")
    tar_of(tmp_path / "a.tar", TWO_CLASSES, member("./", b"5"), member("bird", b"5"))
    for name in ("a.zip", "a.tar"):
        assert ingest_source(tmp_path / name, tmp_path).understood[-1].endswith("no picture in bird: no class")


def test_the_refusal_of_a_single_class_names_an_empty_folder_beside_it(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"cat/1.jpg": PICTURE})
    (source / "dog").mkdir()
    assert "found 1 class folder ('cat'), need at least 2 ('dog' is empty); put" in refusal(source, tmp_path)


# Names in another code page


def zip_with_raw_name(path: Path, raw_name: bytes) -> Path:
    """A zip whose entry has this name without the flag that says UTF-8, as old Windows and macOS tools write it."""
    placeholder = b"x" * (len(raw_name) - 6) + b"/1.jpg"
    zip_of(path, TWO_CLASSES | {placeholder.decode(): PICTURE})
    path.write_bytes(path.read_bytes().replace(placeholder, raw_name))
    return path


@pytest.mark.parametrize("code_page", ["cp932", "cp866", "gbk", "cp1252", "cp850"])
def test_class_names_in_an_unnamed_code_page_are_noticed(tmp_path: Path, code_page: str) -> None:
    name = {"cp932": "日本", "cp866": "кот", "gbk": "猫科", "cp1252": "chät", "cp850": "chät"}[code_page]
    source = zip_with_raw_name(tmp_path / "a.zip", f"{name}/1.jpg".encode(code_page))
    line = ingest_source(source, tmp_path).understood[-1]
    assert line.startswith("ingest: suspicious: the archive does not say the code page of ")
    assert line.endswith("unpack it with `unar` or `unzip -O CODEPAGE` and set ingest.source to the folder")


@pytest.mark.parametrize("name", ["café", "日本", "кот"])
def test_utf_8_names_without_the_flag_are_read_as_utf_8(tmp_path: Path, name: str) -> None:
    source = zip_with_raw_name(tmp_path / "a.zip", f"{name}/1.jpg".encode())
    result = ingest_source(source, tmp_path)
    assert sorted(paths(result.rows.table())) == sorted([*TWO_CLASSES, f"{name}/1.jpg"])
    assert len(result.understood) == 1


@pytest.mark.parametrize("code_page", ["cp1252", "cp437", "cp850"])
def test_a_folder_named_in_a_wrong_code_page_is_noticed(tmp_path: Path, code_page: str) -> None:
    garbled = "café".encode().decode(code_page)
    source = folder_of(tmp_path / "source", TWO_CLASSES | {f"{garbled}/1.jpg": PICTURE})
    assert "(meant: café?); rename the folders" in ingest_source(source, tmp_path).understood[-1]


@pytest.mark.parametrize("name", ["café", "日本", "Übergröße", "naïve", unicodedata.normalize("NFD", "é")])
def test_right_names_are_not_suspicious(tmp_path: Path, name: str) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES | {f"{name}/1.jpg": PICTURE})
    assert len(ingest_source(source, tmp_path).understood) == 1


# The summary itself


def test_a_long_list_of_classes_is_shortened(tmp_path: Path) -> None:
    files = {f"class{number:03}/1.jpg": PICTURE for number in range(100)}
    (line,) = ingest_source(folder_of(tmp_path / "source", files), tmp_path).understood
    assert line.startswith("ingest: 100 files in 100 classes (prepare checks them): class000 1, class001 1, ")
    assert line.endswith("class009 1 and 90 more")


def test_a_name_with_an_escape_code_is_shown_without_it(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"a\x1b[31m\nb/1.jpg": PICTURE})
    (line,) = ingest_source(source, tmp_path).understood
    assert "\n" not in line and "\x1b" not in line


# Pictures that are links


def follow(source: Path, tmp_path: Path) -> IngestResult:
    params = IngestParams(source=str(source), sha256=None, follow_links=True)
    return ingest(params, tmp_path / "raw", tmp_path / "downloads")


def linked(tmp_path: Path) -> Path:
    """A snapshot of Hugging Face has links only: each picture is a file of digests elsewhere."""
    blobs = folder_of(tmp_path / "blobs", {"ab12": PICTURE})
    source = folder_of(tmp_path / "snapshot", TWO_CLASSES)
    for name in ("cat/1.jpg", "dog/1.jpg"):
        (source / name).unlink()
        (source / name).symlink_to(Path("../../blobs/ab12") if name.startswith("cat") else blobs / "ab12")
    return source


def test_links_out_of_the_folder_are_said_and_read_with_the_param(tmp_path: Path) -> None:
    source = linked(tmp_path)
    closed = ingest_source(source, tmp_path)
    assert set(closed.rows.table()["problem"]) == {"a link out of the source"}
    assert closed.understood[-1] == (
        "ingest: suspicious: 2 files that cannot be read (a link out of the source 2); "
        "ingest.follow_links: true reads links"
    )
    opened = follow(source, tmp_path)
    assert set(opened.rows.table()["problem"]) == {""}
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert not any(path.is_symlink() for path in (tmp_path / "raw").rglob("*"))


def test_linked_class_folders_are_entered_with_the_param(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"cat/1.jpg": PICTURE})
    (source / "dog").symlink_to(folder_of(tmp_path / "dogs", {"1.jpg": PICTURE, "old/2.jpg": PICTURE}))
    assert "set ingest.follow_links to true" in refusal(source, tmp_path)
    assert paths(follow(source, tmp_path).rows.table()) == ["cat/1.jpg", "dog/1.jpg", "dog/old/2.jpg"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../dog"])
def test_circles_of_links_end(tmp_path: Path, target: str) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (source / "cat/round").symlink_to(target)
    (source / "dog/back").symlink_to("../cat")
    index = follow(source, tmp_path).rows.table()
    assert set(index["class_name"]) == {"cat", "dog"}
    assert len(index) < 20


def test_a_link_to_nothing_stays_a_row_with_a_problem(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (source / "cat/nowhere.jpg").symlink_to("missing.jpg")
    (source / "cat/device.jpg").symlink_to("/dev/zero")
    problems = follow(source, tmp_path).rows.table().set_index("path")["problem"]
    assert problems["cat/nowhere.jpg"] == "No such file or directory"
    assert problems["cat/device.jpg"] == "not a regular file"


def test_a_class_that_is_a_missing_value_of_a_program_is_said(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {f"{number}.jpg": PICTURE for number in range(3)})
    (source / "labels.csv").write_text("path,label\n0.jpg,cat\n1.jpg,dog\n2.jpg,NaN\n")
    assert ingest_source(source, tmp_path).understood[-1] == (
        "ingest: suspicious: the class 'NaN' looks like a missing label; leave its rows out of the table"
    )


def test_folders_that_look_like_pieces_of_one_set_are_said(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"images_001/1.jpg": PICTURE, "images_002/2.jpg": PICTURE})
    assert ingest_source(source, tmp_path).understood[-1] == (
        "ingest: suspicious: the classes images_001, images_002 look like pieces of one set; if so, write a labels.csv "
        "of path,label beside them"
    )


def test_a_table_that_is_not_read_is_said(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {**TWO_CLASSES, "info.csv": b"file,weight\n1.jpg,3\n"})
    with open_classified(IngestParams(source=str(source), sha256=None), tmp_path) as classified:
        assert classified.listing.notes == (
            f"{source}: the folders give the classes; 'info.csv' is not read (to use it, call it labels.csv)",
        )
