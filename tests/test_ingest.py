"""Sources are taken in byte for byte, or refused in one line with nothing written."""

import gzip
import hashlib
import io
import json
import os
import socket
import stat
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from pawline.errors import DatasetError, ParamsError, PawlineError
from pawline.ingest import ingest, summarize
from pawline.params import IngestParams
from tests.conftest import encode, run, set_params, stripes, write_pictures
from tests.source import ROOT

PICTURE = encode(stripes(True, 1))
TWO_CLASSES = {"cat/1.jpg": PICTURE, "dog/1.jpg": PICTURE}


def take_in(source: Path, tmp_path: Path, sha256: str | None = None) -> pd.DataFrame:
    return ingest(IngestParams(source=str(source), sha256=sha256), tmp_path / "raw")


def refusal(source: Path, tmp_path: Path, sha256: str | None = None) -> str:
    """Why a source is refused: one line, exit code 3, nothing written."""
    with pytest.raises(DatasetError) as refused:
        take_in(source, tmp_path, sha256)
    assert not (tmp_path / "raw").exists()
    assert not (tmp_path / "raw.partial").exists()
    assert refused.value.exit_code == 3
    message = str(refused.value)
    assert "\n" not in message
    return message


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tar_of(path: Path, files: dict[str, bytes], *members: tarfile.TarInfo) -> Path:
    """Compressed as the name's ending says, with extra members that have no content."""
    with tarfile.open(path, f"w:{path.suffix[1:].replace('tar', '')}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return path


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def paths(index: pd.DataFrame) -> list[str]:
    return list(index["path"])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if not path.is_dir()}


# What is taken in


def test_bytes_arrive_unchanged_with_one_row_each(tmp_path: Path) -> None:
    files = {"cat/1.jpg": PICTURE, "cat/2.jpg": b"", "dog/a b\nç.png": encode(stripes(False, 2, 31, 17), ".png")}
    index = take_in(folder_of(tmp_path / "source", files), tmp_path)
    assert content(tmp_path / "raw") == files
    assert index.to_dict("records") == [
        {
            "path": path,
            "class_name": path[:3],
            "digest": hashlib.sha256(files[path]).hexdigest(),
            "bytes": len(files[path]),
            "format": form,
            "width": width,
            "height": height,
            "given_part": "",
            "problem": "",
        }
        for path, form, width, height in [
            ("cat/1.jpg", "JPEG", 40, 30),
            ("cat/2.jpg", "", 0, 0),
            ("dog/a b\nç.png", "PNG", 31, 17),
        ]
    ]


def test_the_source_is_left_as_it_was(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "source", 3)
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    take_in(source, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "no ending"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, name: str) -> None:
    files = {f"{kind}/{n}.jpg": encode(stripes(kind == "a", n)) for kind in "ab" for n in range(5)}
    make = tar_of if ".tar" in name else zip_of
    from_archive = take_in(make(tmp_path / name, files), tmp_path)
    assert content(tmp_path / "raw") == files
    pd.testing.assert_frame_equal(from_archive, take_in(folder_of(tmp_path / "source", files), tmp_path))


def test_what_an_archive_is_follows_from_its_bytes(tmp_path: Path) -> None:
    """A tar whose last file is a zip looks like a zip from behind."""
    inner = zip_of(tmp_path / "inner.zip", {"cat/inner.jpg": PICTURE, "dog/inner.jpg": PICTURE})
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"dog/z.zip": inner.read_bytes()})
    assert zipfile.is_zipfile(source)
    assert paths(take_in(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg", "dog/z.zip"]


def test_the_generated_set_is_drawn_from_its_description(tmp_path: Path) -> None:
    source = tmp_path / "set.yaml"
    source.write_text("seed: 1\nnum_images_per_class: 20\nmin_side: 64\nmax_side: 80\nplanted_faults: false\n")
    index = take_in(source, tmp_path)
    assert index["class_name"].value_counts().to_dict() == {"cat": 20, "dog": 20}
    assert index["width"].between(64, 80).all()


def test_a_second_time_replaces_the_first(tmp_path: Path) -> None:
    take_in(folder_of(tmp_path / "one", TWO_CLASSES | {"cat/old.jpg": PICTURE}), tmp_path)
    take_in(folder_of(tmp_path / "two", TWO_CLASSES), tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_litter_and_hidden_folders_are_neither_images_nor_errors(tmp_path: Path) -> None:
    litter = [
        "Thumbs.db",
        "cat/Thumbs.db",
        "cat/.DS_Store",
        "dog/desktop.ini",
        "dog/._1.jpg",
        ".git/config",
        "cat/.hidden/2.jpg",
        "__MACOSX/cat/1.jpg",
    ]
    files = TWO_CLASSES | dict.fromkeys(litter, b"litter")
    for source in (folder_of(tmp_path / "source", files), zip_of(tmp_path / "a.zip", files)):
        assert paths(take_in(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]
        assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["readme.txt"],
        ["PetImages/readme.txt"],
        ["PetImages/LICENSE", "PetImages/labels.csv", "licence.pdf"],
    ],
)
def test_wrapper_folders_are_no_classes_nor_is_a_readme_beside_them(tmp_path: Path, extra: list[str]) -> None:
    files = {f"PetImages/{path}": data for path, data in TWO_CLASSES.items()} | dict.fromkeys(extra, b"words")
    assert paths(take_in(folder_of(tmp_path / "source", files), tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]


def test_nested_folders_belong_to_their_class(tmp_path: Path) -> None:
    files = TWO_CLASSES | {"cat/young/2.jpg": PICTURE, "cat/young/tiny/3.jpg": PICTURE, "dog/old/2.jpg": PICTURE}
    index = take_in(folder_of(tmp_path / "source", files), tmp_path)
    assert index.groupby("class_name")["path"].apply(list).to_dict() == {
        "cat": ["cat/1.jpg", "cat/young/2.jpg", "cat/young/tiny/3.jpg"],
        "dog": ["dog/1.jpg", "dog/old/2.jpg"],
    }


@pytest.mark.parametrize("wrapper", ["", "cats_and_dogs_filtered/"])
@pytest.mark.parametrize(
    ("folder", "part"),
    [("val", "val"), ("valid", "val"), ("validation", "val"), ("test", "test"), ("Test", "test")],
)
def test_ready_made_parts_are_respected(tmp_path: Path, wrapper: str, folder: str, part: str) -> None:
    files = {f"{wrapper}{outer}/{path}": PICTURE for outer in ("train", folder) for path in TWO_CLASSES}
    files[f"{wrapper}vectorize.py"] = b"print()"
    index = take_in(folder_of(tmp_path / "source", files), tmp_path)
    expected = {("train", "cat"), ("train", "dog"), (part, "cat"), (part, "dog")}
    assert set(zip(index["given_part"], index["class_name"], strict=True)) == expected
    assert len(index) == 4


def test_a_lone_train_folder_is_a_wrapper_and_a_train_among_vehicles_is_a_class(tmp_path: Path) -> None:
    lone = folder_of(tmp_path / "lone", {f"train/{path}": PICTURE for path in TWO_CLASSES})
    assert set(take_in(lone, tmp_path)["given_part"]) == {""}
    vehicles = folder_of(tmp_path / "vehicles", dict.fromkeys(["train/1.jpg", "bus/1.jpg", "car/1.jpg"], PICTURE))
    assert set(take_in(vehicles, tmp_path)["class_name"]) == {"bus", "car", "train"}


def test_classes_are_sorted_and_counted(tmp_path: Path) -> None:
    files = {f"{name}/{n}.jpg": PICTURE for n, name in enumerate(["zebra", "ant", "Bee", "ant"])}
    metrics = summarize(take_in(folder_of(tmp_path / "source", files), tmp_path))
    assert metrics == {
        "num_files": 4,
        "num_bytes": 4 * len(PICTURE),
        "num_classes": 3,
        "num_files_per_class": {"ant": 2, "Bee": 1, "zebra": 1},
        "num_unreadable": 0,
    }


# Files that cannot be had are rows with a problem, and the others are taken in


def test_what_is_no_regular_file_is_a_row_with_a_problem_and_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    os.mkfifo(source / "cat/pipe.jpg")
    (source / "cat/nowhere.jpg").symlink_to("missing.jpg")
    (source / "cat/round.jpg").symlink_to("round.jpg")
    (source / "dog/device.jpg").symlink_to("/dev/zero")
    monkeypatch.chdir(source / "dog")  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        index = take_in(source, tmp_path).set_index("path")
    assert index["problem"].to_dict() == {
        "cat/1.jpg": "",
        "cat/nowhere.jpg": "No such file or directory",
        "cat/pipe.jpg": "not a regular file",
        "cat/round.jpg": "Too many levels of symbolic links",
        "dog/1.jpg": "",
        "dog/device.jpg": "not a regular file",
        "dog/socket.jpg": "No such device or address",
    }
    assert set(index["digest"][index["problem"] != ""]) == {""}
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert summarize(index.reset_index())["num_unreadable"] == 5


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving its pictures out without a word would look like a smaller data set."""
    source = folder_of(tmp_path / "source", TWO_CLASSES | {"cat/secret/2.jpg": PICTURE})
    listed = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr("os.scandir", scandir)
    assert refusal(source, tmp_path) == f"{source}/cat/secret: the folder cannot be listed: Permission denied"


def test_a_linked_folder_is_not_entered(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (source / "cat/round").symlink_to(source)
    assert paths(take_in(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg"]


def test_names_that_tables_cannot_hold_are_rows_with_a_problem(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    (source / os.fsdecode(b"cat/caf\xe9.jpg")).write_bytes(PICTURE)
    archive = tar_of(tmp_path / "a.tar", {**TWO_CLASSES, os.fsdecode(b"cat/caf\xe9.jpg"): PICTURE})
    for index in (take_in(source, tmp_path), take_in(archive, tmp_path)):
        assert index.set_index("path")["problem"]["cat/caf\\xe9.jpg"] == "its name is not UTF-8"
        index.to_parquet(tmp_path / "index.parquet")
        assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_name_too_long_for_the_file_system_is_a_row_with_a_problem(tmp_path: Path) -> None:
    long = f"cat/{'ä' * 150}.jpg"
    index = take_in(zip_of(tmp_path / "a.zip", TWO_CLASSES | {long: PICTURE}), tmp_path).set_index("path")
    assert index["problem"][long] == "its name is longer than 255 bytes"
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_links_and_devices_in_a_tar_are_listed_and_never_made(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    source = tar_of(
        tmp_path / "a.tar",
        TWO_CLASSES,
        member("cat/link.jpg", tarfile.SYMTYPE, str(tmp_path / "secret")),
        member("cat/hard.jpg", tarfile.LNKTYPE, "cat/1.jpg"),
        member("dog/null", tarfile.CHRTYPE),
        member("dog/disk", tarfile.BLKTYPE),
        member("dog/pipe", tarfile.FIFOTYPE),
        member("dog/folder", tarfile.DIRTYPE),
    )
    index = take_in(source, tmp_path).set_index("path")
    said = "a link or a device, not a regular file"
    assert index["problem"].to_dict() == {
        "cat/1.jpg": "",
        "cat/hard.jpg": said,
        "cat/link.jpg": said,
        "dog/1.jpg": "",
        "dog/disk": said,
        "dog/null": said,
        "dog/pipe": said,
    }
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_link_in_a_zip_is_listed_and_never_made(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    link = zipfile.ZipInfo("cat/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    index = take_in(source, tmp_path).set_index("path")
    assert index["problem"]["cat/link.jpg"] == "a link, not a regular file"
    assert content(tmp_path / "raw") == TWO_CLASSES


# What is refused


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing", tmp_path) == (
        f"{tmp_path}/nothing: no such folder or archive; set ingest.source in params.yaml"
    )


def test_a_pipe_as_source_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no such folder or archive" in refusal(tmp_path / "pipe", tmp_path)


@pytest.mark.parametrize("empty", [{}, {".DS_Store": b"x"}, {"readme.txt": b"x"}, {".git/config": b"x"}])
def test_a_folder_without_classes_is_refused(tmp_path: Path, empty: dict[str, bytes]) -> None:
    (tmp_path / "source").mkdir()
    assert refusal(folder_of(tmp_path / "source", empty), tmp_path) == (
        f"{tmp_path}/source: found no class folder with files in it, need at least 2; "
        "put each class in a folder of its own: <class>/*.jpg"
    )


@pytest.mark.parametrize("files", [{"cat/1.jpg": b""}, {"cat/1.jpg": b"", "cat/old/2.jpg": b""}, {"cat/1": b""}])
def test_one_class_only_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    source = folder_of(tmp_path / "source", files)
    (source / "dog").mkdir()
    assert "found 1 class folder ('cat'), need at least 2" in refusal(source, tmp_path)


def test_one_class_in_ready_made_parts_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"train/cat/1.jpg": PICTURE, "test/cat/1.jpg": PICTURE})
    assert "found 1 class folder ('cat')" in refusal(source, tmp_path)


@pytest.mark.parametrize(
    ("folders", "problem"),
    [
        (["train", "test", "docs"], "(test, train), but the folder 'docs' beside them is none"),
        (["val", "test"], "(test, val), but 'train' is missing"),
    ],
)
def test_half_ready_made_parts_are_not_taken_for_classes(tmp_path: Path, folders: list[str], problem: str) -> None:
    files = {f"{folder}/{path}": PICTURE for folder in folders for path in TWO_CLASSES}
    assert f"looks ready-split {problem}" in refusal(folder_of(tmp_path / "source", files), tmp_path)


@pytest.mark.parametrize("data", [b"", b"just words\n" * 100, PICTURE, bytes(10240), b"\x1f\x8b\x08\x00words"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "source.bin").write_bytes(data)
    message = refusal(tmp_path / "source.bin", tmp_path)
    assert message.startswith(f"{tmp_path}/source.bin: ")
    assert (
        "neither a folder, a zip, a tar" in message or "the archive is damaged" in message or "no class" in message
    )


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def hit(path: Path, share: float) -> Path:
    data = bytearray(path.read_bytes())
    place = int(len(data) * share)
    data[place : place + 40] = bytes(byte ^ 0x5A for byte in data[place : place + 40])
    path.write_bytes(data)
    return path


@pytest.fixture
def many() -> dict[str, bytes]:
    return {f"{kind}/{n:02}.jpg": encode(stripes(kind == "a", n)) for kind in "ab" for n in range(20)}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.8])
def test_a_cut_off_archive_is_refused(tmp_path: Path, many: dict[str, bytes], name: str, share: float) -> None:
    make = zip_of if name == "a.zip" else tar_of
    assert name in refusal(cut(make(tmp_path / name, many), share), tmp_path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.zip"])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.7, 0.97])
def test_a_damaged_archive_is_refused(tmp_path: Path, many: dict[str, bytes], name: str, share: float) -> None:
    """None of them may pass as a smaller data set, or as one with a damaged picture in it."""
    make = zip_of if name == "a.zip" else tar_of
    assert name in refusal(hit(make(tmp_path / name, many), share), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_to_a_zipped_picture_is_found_whatever_the_method(
    tmp_path: Path, many: dict[str, bytes], method: int
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        for name, data in many.items():
            archive.writestr(name, data)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    place = data.index(b"a/10.jpg") + 300  # well inside its compressed bytes
    data[place] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    assert "/a.zip: entry 'a/10.jpg' cannot be read: " in refusal(tmp_path / "a.zip", tmp_path)


def test_damage_that_only_the_checksum_of_a_gzip_file_tells_is_found(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES)
    data = bytearray(gzip.compress(source.read_bytes(), compresslevel=0))  # stored: every bit reads as a bit
    data[data.index(PICTURE) + 500] ^= 0xFF
    (tmp_path / "a.tar.gz").write_bytes(data)
    assert "a.tar.gz: the archive is damaged: CRC check failed" in refusal(tmp_path / "a.tar.gz", tmp_path)


def test_a_damaged_header_inside_a_tar_is_not_taken_for_its_end(tmp_path: Path, many: dict[str, bytes]) -> None:
    source = tar_of(tmp_path / "a.tar", many)
    data = source.read_bytes()
    header = data.index(b"b/15.jpg")
    source.write_bytes(data[:header] + b"\xff" * 100 + data[header + 100 :])
    assert refusal(source, tmp_path).endswith("no end mark after its last file; get it again")
    source.write_bytes(data[:header])  # cut off between two files
    assert refusal(source, tmp_path).endswith("no end mark after its last file; get it again")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    data = bytearray(source.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + offset] |= 1  # says that the entry is encrypted
    source.write_bytes(data)
    message = refusal(source, tmp_path)
    assert "entry 'cat/1.jpg' cannot be read: " in message
    assert "encrypted, password required" in message


@pytest.mark.parametrize(
    "name",
    [
        "../out.jpg",
        "cat/../../out.jpg",
        "/tmp/pawline-out.jpg",
        "C:/out.jpg",
        "C:\\out.jpg",
        "cat\\..\\..\\out.jpg",
    ],
)
@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_an_entry_that_would_land_outside_is_refused(tmp_path: Path, make: object, name: str) -> None:
    assert callable(make)
    (tmp_path / "inner").mkdir()
    source = make(tmp_path / "archive.tar", TWO_CLASSES | {name: PICTURE})
    message = refusal(source, tmp_path / "inner")
    assert "would be written outside its folder; nothing was unpacked" in message
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive.tar", "inner"]
    assert not Path("/tmp/pawline-out.jpg").exists()


def test_an_entry_with_a_control_character_is_refused(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"cat/\x1b[31m.jpg": PICTURE})
    assert "entry 'cat/\\x1b[31m.jpg' has a control character" in refusal(source, tmp_path)


@pytest.mark.parametrize("second", ["cat/1.jpg", "./cat//1.jpg", "cat\\1.jpg"])
def test_an_archive_that_holds_a_path_twice_is_refused(tmp_path: Path, second: str) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"x": b""})
    with tarfile.open(source, "a") as archive:
        archive.addfile(tarfile.TarInfo(second))
    assert refusal(source, tmp_path) == f"{source}: holds 'cat/1.jpg' twice; nothing was unpacked"


def test_a_name_that_is_both_a_file_and_a_folder_is_refused(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"cat/1.jpg/inner.jpg": PICTURE})
    assert refusal(source, tmp_path) == f"{source}: 'cat/1.jpg' is both a file and a folder; nothing was unpacked"


def test_the_digest_of_an_archive_is_checked_before_it_is_opened(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert len(take_in(source, tmp_path, digest.upper())) == 2
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/words.zip").write_bytes(b"no archive at all")
    message = refusal(tmp_path / "inner/words.zip", tmp_path / "inner", digest)
    assert hashlib.sha256(b"no archive at all").hexdigest() in message
    assert f"but ingest.sha256 says {digest}; the file is another one or damaged" in message


def test_a_digest_for_a_folder_is_a_mistake_in_the_params(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", TWO_CLASSES)
    with pytest.raises(ParamsError, match=r"ingest.sha256 is for a single file, but .*/source is a folder"):
        take_in(source, tmp_path, "0" * 64)


def test_a_wrong_description_of_a_generated_set_names_its_key(tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text("sed: 1\n")
    with pytest.raises(ParamsError, match=r"set.yaml: unknown key 'sed'; did you mean 'seed'\?"):
        take_in(tmp_path / "set.yaml", tmp_path)


def test_a_refusal_half_way_keeps_what_was_there(tmp_path: Path, many: dict[str, bytes]) -> None:
    take_in(folder_of(tmp_path / "source", TWO_CLASSES), tmp_path)
    with pytest.raises(PawlineError):
        take_in(hit(zip_of(tmp_path / "a.zip", many), 0.5), tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


# As a process


def workspace_with(tmp_path: Path, source: str) -> Path:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    set_params(tmp_path, {"ingest.source": source})
    return tmp_path


def test_the_stage_writes_raw_index_and_metrics(tmp_path: Path) -> None:
    folder_of(tmp_path / "source", TWO_CLASSES)
    done = run(workspace_with(tmp_path, "source"), "python", "-m", "tasks.ingest")
    assert (done.stdout, done.stderr) == ("", "")
    assert content(tmp_path / "data/raw") == TWO_CLASSES
    assert paths(pd.read_parquet(tmp_path / "data/index.parquet")) == ["cat/1.jpg", "dog/1.jpg"]
    assert json.loads((tmp_path / "metrics/ingest.json").read_text())["num_files"] == 2


def test_bad_data_is_exit_code_3_one_line_and_nothing_written(tmp_path: Path) -> None:
    cut(tar_of(tmp_path / "a.tar.gz", TWO_CLASSES), 0.5)
    done = run(workspace_with(tmp_path, "a.tar.gz"), "python", "-m", "tasks.ingest", expect=3)
    assert done.stderr == (
        "pawline: a.tar.gz: the archive is damaged: "
        "Compressed file ended before the end-of-stream marker was reached\n"
    )
    assert done.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "params.yaml"]
