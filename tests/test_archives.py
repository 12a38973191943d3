"""Archives are read by our own rules or refused in one line: nothing is written outside, nothing stays incomplete."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zstandard

from pawline.errors import PawlineError
from pawline.sources import archive_rules, tars, zips
from tests.conftest import encode, stripes
from tests.sample_sources import (
    PICTURE,
    TWO_CLASSES,
    content,
    folder_of,
    ingest_table,
    member,
    paths,
    refusal,
    tar_of,
    truncate,
    zip_of,
)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.tar.zst", "no ending"])
def test_an_archive_gives_the_same_data_as_its_folder(tmp_path: Path, name: str) -> None:
    files = {f"{kind}/{n}.jpg": encode(stripes(kind == "a", n)) for kind in "ab" for n in range(5)}
    make = tar_of if ".tar" in name else zip_of
    from_archive = ingest_table(make(tmp_path / name, files), tmp_path)
    assert content(tmp_path / "raw") == files
    pd.testing.assert_frame_equal(from_archive, ingest_table(folder_of(tmp_path / "source", files), tmp_path))


def test_archive_type_is_detected_from_the_bytes(tmp_path: Path) -> None:
    """The end of a tar whose last file is a zip looks like the end of a zip."""
    inner = zip_of(tmp_path / "inner.zip", {"cat/inner.jpg": PICTURE, "dog/inner.jpg": PICTURE})
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"dog/z.bmp": inner.read_bytes()})
    assert zipfile.is_zipfile(source)
    assert paths(ingest_table(source, tmp_path)) == ["cat/1.jpg", "dog/1.jpg", "dog/z.bmp"]


def test_a_name_too_long_for_the_file_system_is_a_row_with_a_problem(tmp_path: Path) -> None:
    long = f"cat/{'ä' * 150}.jpg"
    index = ingest_table(zip_of(tmp_path / "a.zip", TWO_CLASSES | {long: PICTURE}), tmp_path).set_index("path")
    assert index["problem"][long] == "its name is longer than 255 bytes"
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_links_and_devices_in_a_tar_are_listed_but_never_created(tmp_path: Path) -> None:
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
    index = ingest_table(source, tmp_path).set_index("path")
    problem = "a link or a device, not a regular file"
    assert index["problem"].to_dict() == {
        "cat/1.jpg": "",
        "cat/hard.jpg": problem,
        "cat/link.jpg": problem,
        "dog/1.jpg": "",
        "dog/disk": problem,
        "dog/null": problem,
        "dog/pipe": problem,
    }
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_link_in_a_zip_is_listed_but_never_created(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    link = zipfile.ZipInfo("cat/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    index = ingest_table(source, tmp_path).set_index("path")
    assert index["problem"]["cat/link.jpg"] == "a link or a device, not a regular file"
    assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize("data", [b"", b"just words\n" * 100, PICTURE, bytes(10240), b"\x1f\x8b\x08\x00words"])
def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "source.bin").write_bytes(data)
    message = refusal(tmp_path / "source.bin", tmp_path)
    assert message.startswith(f"{tmp_path}/source.bin: ")
    assert (
        "neither a folder, a zip, a tar" in message or "the archive is damaged" in message or "no class" in message
    )


def damage(path: Path, fraction: float) -> Path:
    data = bytearray(path.read_bytes())
    place = int(len(data) * fraction)
    data[place : place + 40] = bytes(byte ^ 0x5A for byte in data[place : place + 40])
    path.write_bytes(data)
    return path


@pytest.fixture
def pictures() -> dict[str, bytes]:
    return {f"{kind}/{n:02}.jpg": encode(stripes(kind == "a", n)) for kind in "ab" for n in range(20)}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.tar.zst"])
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.8])
def test_a_truncated_archive_is_refused(
    tmp_path: Path, pictures: dict[str, bytes], name: str, fraction: float
) -> None:
    make = zip_of if name == "a.zip" else tar_of
    assert name in refusal(truncate(make(tmp_path / name, pictures), fraction), tmp_path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.tar.zst", "a.zip"])
@pytest.mark.parametrize("fraction", [0.15, 0.3, 0.5, 0.7, 0.97])
def test_a_damaged_archive_is_refused(
    tmp_path: Path, pictures: dict[str, bytes], name: str, fraction: float
) -> None:
    """A damaged archive must not pass as a smaller data set or as a data set with a damaged picture."""
    make = zip_of if name == "a.zip" else tar_of
    assert name in refusal(damage(make(tmp_path / name, pictures), fraction), tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_to_a_zipped_picture_is_detected_for_every_method(
    tmp_path: Path, pictures: dict[str, bytes], method: int
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        for name, data in pictures.items():
            archive.writestr(name, data)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    place = data.index(b"a/10.jpg") + 300  # inside the compressed bytes of the picture
    data[place] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    assert "/a.zip: entry 'a/10.jpg' cannot be read: " in refusal(tmp_path / "a.zip", tmp_path)


def test_damage_that_only_the_gzip_checksum_shows_is_detected(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES)
    # Level 0 stores the bytes without compression.
    data = bytearray(gzip.compress(source.read_bytes(), compresslevel=0))
    data[data.index(PICTURE) + 500] ^= 0xFF
    (tmp_path / "a.tar.gz").write_bytes(data)
    assert "a.tar.gz: the archive is damaged: CRC check failed" in refusal(tmp_path / "a.tar.gz", tmp_path)


def test_a_damaged_tar_header_does_not_count_as_the_end(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    source = tar_of(tmp_path / "a.tar", pictures)
    data = source.read_bytes()
    header = data.index(b"b/15.jpg")
    source.write_bytes(data[:header] + b"\xff" * 100 + data[header + 100 :])
    assert refusal(source, tmp_path).endswith("no end mark after its last file; get it again")
    source.write_bytes(data[:header])  # truncated between two files
    assert refusal(source, tmp_path).endswith("no end mark after its last file; get it again")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    data = bytearray(source.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(signature) + offset] |= 1  # the flag of an encrypted entry
    source.write_bytes(data)
    message = refusal(source, tmp_path)
    assert "entry 'cat/1.jpg' is encrypted; unpack it with its password, and set ingest.source" in message
    assert message.endswith("to the folder; nothing was unpacked")


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
def test_an_entry_that_leaves_the_folder_is_refused(tmp_path: Path, make: object, name: str) -> None:
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


def test_a_path_that_is_a_file_and_a_folder_is_refused(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"cat/1.jpg/inner.jpg": PICTURE})
    assert refusal(source, tmp_path) == f"{source}: 'cat/1.jpg' is both a file and a folder; nothing was unpacked"


def test_a_refused_archive_keeps_the_earlier_data(tmp_path: Path, pictures: dict[str, bytes]) -> None:
    ingest_table(folder_of(tmp_path / "source", TWO_CLASSES), tmp_path)
    with pytest.raises(PawlineError):
        ingest_table(damage(zip_of(tmp_path / "a.zip", pictures), 0.5), tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


# Attacks and accidents: the whole archive is refused before anything is written


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cat/1.jpg", "cat/1.JPG"),
        ("Cat/2.jpg", "cat/1.jpg"),
        ("cat/stra\u00dfe.jpg", "cat/STRASSE.jpg"),
        ("cat/caf\u00e9.jpg", "cat/cafe\u0301.jpg"),
        ("cat/caf\u00e9/1.jpg", "cat/CAFE\u0301/2.jpg"),
    ],
)
def test_names_that_differ_only_by_case_or_unicode_form_are_refused(
    tmp_path: Path, make: Callable[..., Path], first: str, second: str
) -> None:
    message = refusal(make(tmp_path / "a", dict.fromkeys([first, second, "dog/9.jpg"], PICTURE)), tmp_path)
    assert message.endswith("differ by case or Unicode form only; rename one; nothing was unpacked")


def test_a_file_and_a_folder_that_differ_only_by_case_are_refused(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES | {"cat/Old": b"x", "cat/old/1.jpg": PICTURE})
    assert "'cat/Old' and a folder differ by case or Unicode form only" in refusal(source, tmp_path)


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    "name", ["cat/\x00.jpg", "cat/\n.jpg", "cat/\x7f.jpg", "cat/\x9b.jpg", "\\\\host\\share\\1.jpg"]
)
def test_deceptive_names_are_refused(tmp_path: Path, make: Callable[..., Path], name: str) -> None:
    """tarfile cuts a name at its zero byte, so only a zip can have the first of these names."""
    source = make(tmp_path / "a", TWO_CLASSES | ({} if name == "cat/\x00.jpg" else {name: PICTURE}))
    if name == "cat/\x00.jpg":
        zip_of(source, TWO_CLASSES | {"cat/_.jpg": PICTURE})
        source.write_bytes(source.read_bytes().replace(b"cat/_.jpg", b"cat/\x00.jpg"))
    assert "nothing was unpacked" in refusal(source, tmp_path)


def test_a_very_long_name_is_refused(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES | {"cat/" * 2000 + "1.jpg": PICTURE})
    assert "an entry has a name of 8,005 characters" in refusal(source, tmp_path)


def test_a_path_too_long_to_open_is_a_row_with_a_problem(tmp_path: Path) -> None:
    deep = "cat/" + "deeper/" * 150 + "1.jpg"
    index = ingest_table(tar_of(tmp_path / "a.tar", TWO_CLASSES | {deep: PICTURE}), tmp_path).set_index("path")
    assert index["problem"][deep] == "its path is longer than 1024 bytes"
    assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.tar.zst"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, name: str) -> None:
    make = zip_of if name == "a.zip" else tar_of
    source = make(tmp_path / name, TWO_CLASSES | {"cat/bomb.jpg": bytes(80 * 2**20)})
    assert source.stat().st_size < 2**20
    message = refusal(source, tmp_path)
    assert message == (
        f"{source}: unpacks to more than 200 times its size, as only archive bombs do; nothing was unpacked"
    )


def test_black_pictures_are_not_a_bomb(tmp_path: Path) -> None:
    """A small archive may have any ratio."""
    black = {f"{kind}/{number}.bmp": bytes(2**20) for kind in ("cat", "dog") for number in range(10)}
    for source in (zip_of(tmp_path / "a.zip", black), tar_of(tmp_path / "a.tar.gz", black)):
        assert source.stat().st_size < 20 * 2**20 / 200
        assert len(ingest_table(source, tmp_path)) == 20


def patched(source: Path, signature: bytes, offset: int, value: bytes, nth: int = 0) -> Path:
    """Write `value` at `offset` of the nth record that starts with `signature`."""
    data, start = bytearray(source.read_bytes()), -1
    for _ in range(nth + 1):
        start = data.index(signature, start + 1)
    data[start + offset : start + offset + len(value)] = value
    source.write_bytes(data)
    return source


CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def test_entries_with_the_same_bytes_are_refused(tmp_path: Path) -> None:
    """Fifield's bomb: every entry points to the same compressed bytes."""
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    patched(source, CENTRAL, 42, struct.pack("<L", 0), nth=1)
    assert "entries overlap, as only archive bombs and damaged archives do" in refusal(source, tmp_path)


def test_entries_that_contain_the_next_header_are_refused(tmp_path: Path) -> None:
    """The other form of Fifield's bomb: a stored block that contains the headers of the entries after it."""
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    patched(source, CENTRAL, 20, struct.pack("<L", len(PICTURE) + 500))
    assert "entries overlap" in refusal(source, tmp_path)


@pytest.mark.parametrize("claimed", [10, 100_000])
def test_a_zip_with_a_wrong_size_is_refused(tmp_path: Path, claimed: int) -> None:
    source = zip_of(tmp_path / "a.zip", {**TWO_CLASSES, "cat/2.jpg": bytes(50_000)})
    for signature, offset in ((CENTRAL, 24), (LOCAL, 22)):
        patched(source, signature, offset, struct.pack("<L", claimed), nth=2)
    message = refusal(source, tmp_path)
    assert "entry 'cat/2.jpg' cannot be read: its content is not what the archive's directory says" in message


def test_a_directory_that_points_beyond_the_archive_is_refused(tmp_path: Path) -> None:
    source = patched(zip_of(tmp_path / "a.zip", TWO_CLASSES), CENTRAL, 42, struct.pack("<L", 2**31), nth=1)
    assert "entry 'dog/1.jpg' reaches beyond the archive" in refusal(source, tmp_path)


@pytest.mark.parametrize("num_entries", [1, 3, 60_000])
def test_a_directory_with_a_wrong_length_is_refused(tmp_path: Path, num_entries: int) -> None:
    number = struct.pack("<2H", num_entries, num_entries)
    source = patched(zip_of(tmp_path / "a.zip", TWO_CLASSES), END, 8, number)
    assert "the archive is damaged: its directory" in refusal(source, tmp_path)


def test_an_unsupported_method_is_named(tmp_path: Path) -> None:
    source = patched(zip_of(tmp_path / "a.zip", TWO_CLASSES), CENTRAL, 10, struct.pack("<H", 9))
    assert "entry 'cat/1.jpg' is packed by method 9, which is not supported" in refusal(source, tmp_path)


def test_a_header_with_another_name_than_the_directory_is_refused(tmp_path: Path) -> None:
    source = patched(zip_of(tmp_path / "a.zip", TWO_CLASSES), LOCAL, 30, b"cat/2.jpg")
    assert "entry 'cat/1.jpg' cannot be read: its header is not where" in refusal(source, tmp_path)


@pytest.mark.parametrize("name", [b"cat/.2jpg", b"cat/2jpg/", b".at/2.jpg", b"cat-2.jpg"])
def test_damage_that_hides_a_picture_is_refused(tmp_path: Path, name: bytes) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES | {"cat/2.jpg": PICTURE})
    patched(source, CENTRAL, 46, name, nth=2)
    assert "cannot be read: its header is not where" in refusal(source, tmp_path)


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_rules, "MAX_ENTRIES", 2)
    files = TWO_CLASSES | {"cat/2.jpg": PICTURE}
    for source in (zip_of(tmp_path / "a.zip", files), tar_of(tmp_path / "a.tar", files)):
        assert refusal(source, tmp_path) == f"{source}: holds more than 2 entries; nothing was unpacked"


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_rules, "MAX_BYTES", len(PICTURE))
    for source in (zip_of(tmp_path / "a.zip", TWO_CLASSES), tar_of(tmp_path / "a.tar", TWO_CLASSES)):
        assert "would take more than 0 GB; nothing was unpacked" in refusal(source, tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_an_entry_too_large_for_memory_is_a_row_with_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in (zips, tars):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 100_000)
    film = np.random.default_rng(1).bytes(100_001)
    make = zip_of if name == "a.zip" else tar_of
    index = ingest_table(make(tmp_path / name, {"cat/0.jpg": film} | TWO_CLASSES), tmp_path).set_index("path")
    assert index["problem"]["cat/0.jpg"] == "larger than 512 MB"
    assert content(tmp_path / "raw") == TWO_CLASSES


# Tars made to hang or to fill the memory


def test_a_negative_size_does_not_cause_an_endless_loop(tmp_path: Path) -> None:
    """CVE-2025-8194: tarfile before Python 3.11.14 seeks back and reads the same header for ever."""
    info = tarfile.TarInfo("dog/2.jpg")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (-512).to_bytes(12, "big", signed=True)
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block[:512])
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES)
    source.write_bytes(bytes(block) + source.read_bytes())
    assert "the archive is damaged: " in refusal(source, tmp_path)


def test_a_huge_header_is_refused(tmp_path: Path) -> None:
    plain = tarfile.TarInfo("x")
    plain.type, plain.size = tarfile.XHDTYPE, 2 * 2**20
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES)
    source.write_bytes(plain.tobuf() + b"9" * plain.size + source.read_bytes())
    assert "the archive is damaged: a header of 2,097,152 bytes" in refusal(source, tmp_path)


def test_an_endless_chain_of_headers_is_refused(tmp_path: Path) -> None:
    """Each header claims that the next header has the long name."""
    link = tarfile.TarInfo("././@LongLink")
    link.type, link.size = tarfile.GNUTYPE_LONGNAME, 5
    source = tar_of(tmp_path / "a.tar", TWO_CLASSES)
    source.write_bytes((link.tobuf() + b"cat/9".ljust(512, b"\0")) * 5000 + source.read_bytes())
    assert "the archive is damaged: maximum recursion depth exceeded" in refusal(source, tmp_path)


def test_a_sparse_file_is_a_row_with_a_problem(tmp_path: Path) -> None:
    """A few bytes claim gigabytes of zeros."""
    info = tarfile.TarInfo("cat/sparse.jpg")
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "cat/sparse.jpg"}
    info.pax_headers |= {"GNU.sparse.size": str(2**40), "GNU.sparse.numblocks": "1", "GNU.sparse.map": "0,1"}
    info.size = 1
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in TWO_CLASSES:
            archive.addfile(tarfile.TarInfo(name))
        archive.addfile(info, io.BytesIO(b"x"))
    index = ingest_table(tmp_path / "a.tar", tmp_path).set_index("path")
    assert index["problem"]["cat/sparse.jpg"] == "a link or a device, not a regular file"


# Unusual forms that are accepted


def test_a_zip_with_a_prefix_and_a_comment_is_read(tmp_path: Path) -> None:
    """Self-extracting archives have this form."""
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    with zipfile.ZipFile(source, "a") as archive:
        archive.comment = b"a comment with PK\x05\x06 in it"
    source.write_bytes(b"#!/bin/sh\n" * 100 + source.read_bytes())
    assert len(ingest_table(source, tmp_path)) == 2
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_zip64_archive_is_read(tmp_path: Path) -> None:
    """An archive written to a stream, where zipfile does not know the size of an entry in advance."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in TWO_CLASSES:
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(PICTURE)
    assert len(ingest_table(tmp_path / "a.zip", tmp_path)) == 2


def test_a_zip_with_more_than_65535_entries_is_listed(tmp_path: Path) -> None:
    files = {f"cat/{number:05}.jpg": b"" for number in range(66_000)}
    with zip_of(tmp_path / "a.zip", files).open("rb") as file:
        assert sorted(zips.list_zip(file, "a.zip").paths) == sorted(files)


def test_a_zip_entry_packed_by_zstandard_is_read(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", TWO_CLASSES)
    packed = zstandard.compress(PICTURE)
    name = b"cat/1.jpg"
    sizes = struct.pack("<3L", zlib.crc32(PICTURE), len(packed), len(PICTURE))
    local = LOCAL + struct.pack("<5H", 63, 0, 93, 0, 0) + sizes + struct.pack("<2H", len(name), 0) + name + packed
    central = CENTRAL + struct.pack("<6H", 63, 63, 0, 93, 0, 0) + sizes
    central += struct.pack("<5H2L", len(name), 0, 0, 0, 0, 0, 0) + name
    two = local + local.replace(name, b"dog/1.jpg")
    directory = central + central.replace(name, b"dog/1.jpg").replace(
        struct.pack("<2L", 0, 0) + b"dog", struct.pack("<2L", 0, len(local)) + b"dog"
    )
    source.write_bytes(two + directory + END + struct.pack("<4H2LH", 0, 0, 2, 2, len(directory), len(two), 0))
    assert len(ingest_table(source, tmp_path)) == 2
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_tar_is_read_without_seeking_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step back would decompress the archive again."""
    files = {f"{kind}/{n}.jpg": bytes([n]) * 512 * n for kind in ("cat", "dog") for n in range(9)}
    source = tar_of(tmp_path / "a.tar.gz", files)
    monkeypatch.delattr(gzip.GzipFile, "seek")
    assert len(ingest_table(source, tmp_path)) == 18
    assert content(tmp_path / "raw") == files
