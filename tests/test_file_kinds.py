"""What by name and content is no picture is neither a bad picture nor a class; system folders are passed over."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pawline.ingest import summarize
from pawline.sources.file_kinds import is_no_picture
from tests.conftest import encode, stripes
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
    zip_of,
)

SIDECARS = {
    "cat/1.jpg.json": b'{"title": "1.jpg"}',  # Google Takeout
    "cat/1.jpg.supplemental-metadata.json": b"{}",
    "cat/IMG_0001.AAE": b"<?xml",  # iPhone
    "cat/1.xmp": b"<x:xmpmeta/>",  # Lightroom
    "cat/1.txt": b"0 0.5 0.5 1 1",  # YOLO
    "dog/1.xml": b"<annotation/>",  # VOC
    "dog/IMG_0001.MOV": b"\0\0\0\x14ftypqt  ",  # live photo
    "dog/clip.mp4": b"\0\0\0\x18ftypmp42",
    "dog/empty.txt": b"",
    "dog/README": b"words",
    "dog/notes.xyz": b"\x00\x01",
}
MAKERS = [folder_of, zip_of, tar_of]


@pytest.mark.parametrize("make", MAKERS)
def test_sidecars_are_counted_apart_and_not_indexed(tmp_path: Path, make: Callable[..., Path]) -> None:
    result = ingest_source(make(tmp_path / "source", TWO_CLASSES | SIDECARS), tmp_path)
    assert paths(result.rows.table()) == sorted(TWO_CLASSES)
    assert content(tmp_path / "raw") == TWO_CLASSES
    metrics = summarize(result)
    assert (metrics["num_files"], metrics["num_not_pictures"], metrics["num_unreadable"]) == (2, 11, 0)
    assert result.understood[-1] == (
        "ingest: passed over: 11 files that by name and content are no picture "
        "(.aae 1, .json 2, .mov 1, .mp4 1, .txt 2, .xml 1, .xmp 1, .xyz 1, without an ending 1)"
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("1.jpg", b"no picture"),  # its name says picture
        ("1.JPEG", b""),
        ("1.heic", b"\0\0\0\x18ftypheic"),
        ("1.CR2", b"raw"),
        ("1.json", PICTURE),  # its content says picture
        ("1.dat", PICTURE[:100]),
        ("1.bin", b"\x89PNG\r\n\x1a\n"),
        ("1", b""),  # nothing says that it is none
        ("1", b"\xff\xd8\xff\xe0"),
        ("photo.17", bytes(100)),
    ],
)
def test_what_may_be_a_picture_stays_a_picture(name: str, data: bytes) -> None:
    assert not is_no_picture(f"cat/{name}", data)


def test_a_picture_under_another_name_is_ingested(tmp_path: Path) -> None:
    files = {"cat/1.dat": PICTURE, "dog/1.txt": encode(stripes(True, 2)), "dog/2": PICTURE}
    assert paths(ingest_table(folder_of(tmp_path / "source", files), tmp_path)) == sorted(files)


def test_a_video_too_large_to_read_is_no_bad_picture(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    with (source / "dog/film.mp4").open("wb") as file:
        file.truncate(513 * 2**20)
    result = ingest_source(source, tmp_path)
    assert (paths(result.rows.table()), result.not_pictures.total()) == (sorted(TWO_CLASSES), 1)


@pytest.mark.parametrize("extra", ["docs/readme.txt", "annotations/1.xml", "labels/a/1.json", "videos/1.mov"])
@pytest.mark.parametrize("layout", ["", "PetImages/", "parts"])
def test_a_folder_without_pictures_is_no_class_and_no_wrapper(tmp_path: Path, extra: str, layout: str) -> None:
    prefixes = ["train/", "val/"] if layout == "parts" else [layout]
    files = {f"{prefix}{path}": PICTURE for prefix in prefixes for path in TWO_CLASSES} | {extra: b"words"}
    index = ingest_table(folder_of(tmp_path / "source", files), tmp_path)
    assert set(index["class_name"]) == {"cat", "dog"}
    assert set(index["given_part"]) == ({"train", "val"} if layout == "parts" else {""})


def test_one_class_and_a_folder_of_texts_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"cat/1.jpg": PICTURE, "texts/1": b"words"})
    assert "found 1 class folder ('cat'), need at least 2" in refusal(source, tmp_path)


SYSTEM_FOLDERS = [
    *("@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "lost+found"),  # NAS, Linux
    *("$RECYCLE.BIN", "System Volume Information"),  # Windows
    *("__MACOSX", ".Trashes", ".Spotlight-V100", ".AppleDouble", ".fseventsd", ".TemporaryItems"),  # macOS
    ".Trash-1000",
]


@pytest.mark.parametrize("make", MAKERS)
def test_system_folders_are_passed_over_and_listed(tmp_path: Path, make: Callable[..., Path]) -> None:
    files = TWO_CLASSES | {f"cat/{name}/1.jpg": PICTURE for name in SYSTEM_FOLDERS[:5]}
    files |= {f"{name}/S-1-5/1.jpg": PICTURE for name in SYSTEM_FOLDERS[5:]}
    result = ingest_source(make(tmp_path / "source", files), tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert result.understood[-1].startswith("ingest: passed over: system and hidden folders: ")
    assert result.understood[-1].endswith(" and 5 more")


@pytest.mark.parametrize("make", MAKERS)
def test_hidden_and_system_files_are_passed_over_and_counted_wherever_they_lie(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    litter = [
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        "cat/Thumbs.db",
        "cat/._1.jpg",
        "dog/._1.jpg",
        "dog/.nomedia",
    ]
    result = ingest_source(make(tmp_path / "source", TWO_CLASSES | dict.fromkeys(litter, b"x")), tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert result.understood[-1] == (
        "ingest: passed over: 7 system or hidden files (.* 3, .DS_Store 1, Thumbs.db 2, desktop.ini 1)"
    )


def test_a_system_folder_that_nobody_may_list_does_not_stop_ingest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = TWO_CLASSES | {"System Volume Information/x": b"", "lost+found/x": b""}
    source = folder_of(tmp_path / "source", files)
    real_scandir = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name in ("lost+found", "System Volume Information"):
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    monkeypatch.setattr("os.scandir", scandir)
    assert ingest_source(source, tmp_path).understood[-1] == (
        "ingest: passed over: system and hidden folders: System Volume Information, lost+found"
    )
