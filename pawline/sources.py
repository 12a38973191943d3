"""Where photographs come from: a folder, a zip or tar archive, or the description of a generated set.

Each kind is opened as a list of entries, one per file, without reading contents; nothing is ever
written to a source, and nothing is extracted by anyone else's code.
"""

import hashlib
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NoReturn

from pawline.errors import DatasetError, ParamsError
from pawline.files import read_regular_file
from pawline.generated import GeneratedSet, draw_data_set
from pawline.index import is_litter
from pawline.params import load_record


@dataclass(frozen=True)
class Entry:
    """One file of a source: its path inside the source, and a way to its bytes (raises OSError)."""

    path: PurePosixPath
    read: Callable[[], bytes]


@contextmanager
def open_source(source: Path, sha256: str | None = None) -> Iterator[list[Entry]]:
    """The visible files of a source. Raises DatasetError when there is no such source or it is damaged."""
    if source.is_dir():
        if sha256:
            raise ParamsError(f"ingest.sha256 is for a single file, but {source} is a folder; set it to null")
        yield _folder_entries(source)
        return
    if not source.is_file():
        raise DatasetError(f"{source}: no such folder or archive; set ingest.source in params.yaml")
    if sha256:
        _check_digest(source, sha256)
    with ExitStack() as opened:
        entries = [entry for entry in _file_entries(source, opened) if not is_litter(entry.path)]
        _check_names_differ(entries, source)
        yield entries


def _file_entries(source: Path, opened: ExitStack) -> list[Entry]:
    if source.suffix in (".yaml", ".yml"):
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="pawline-")), "drawn")
        draw_data_set(load_record(source, GeneratedSet), folder)
        return _folder_entries(folder)
    with _damage_named(source):
        # A tar first: one that ends with a zip looks like a zip from behind.
        if tarfile.is_tarfile(source):
            return _tar_entries(opened.enter_context(tarfile.open(source)), source)
        if zipfile.is_zipfile(source):
            return _zip_entries(opened.enter_context(zipfile.ZipFile(source)), source)
    raise DatasetError(f"{source}: neither a folder, a zip, a tar nor the .yaml of a generated set")


def _folder_entries(root: Path) -> list[Entry]:
    """Every visible file below `root`. Linked folders are not entered: a link may lead round in a circle."""
    entries = []
    for folder, subfolders, names in os.walk(root, onerror=_refuse_folder):
        relative = PurePosixPath(Path(folder).relative_to(root))
        subfolders[:] = [name for name in subfolders if not is_litter(PurePosixPath(name))]
        for name in names:
            if not is_litter(PurePosixPath(name)):
                entries.append(_entry(relative / name, partial(read_regular_file, Path(folder, name))))
    return entries


def _tar_entries(archive: tarfile.TarFile, source: Path) -> list[Entry]:
    members = [member for member in archive.getmembers() if not member.isdir()]
    _check_end(archive, source)
    return [
        _entry(safe_path(member.name, source), partial(_read_tar, archive, member, source)) for member in members
    ]


def _check_end(archive: tarfile.TarFile, source: Path) -> None:
    """tarfile takes a damaged header for the end, and never gets to the checksum that a gzip file ends with."""
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DatasetError(f"{source}: the archive is damaged: no end mark after its last file; get it again")
    while archive.fileobj.read(2**20):
        pass


def _zip_entries(archive: zipfile.ZipFile, source: Path) -> list[Entry]:
    return [
        _entry(safe_path(info.filename, source), partial(_read_zip, archive, info, source))
        for info in archive.infolist()
        if not info.is_dir()
    ]


def safe_path(name: str, archive: Path) -> PurePosixPath:
    """The path of an archive's entry, if following it cannot leave the folder it is put in."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0]):
        raise DatasetError(f"{archive}: entry {name!r} would be written outside its folder; nothing was unpacked")
    if any(ord(character) < 32 for character in name):
        raise DatasetError(f"{archive}: entry {name!r} has a control character; nothing was unpacked")
    return path


def _entry(path: PurePosixPath, read: Callable[[], bytes]) -> Entry:
    """An entry; one that says why it is not read where tables or folders cannot hold its name."""
    try:
        longest = max((len(part.encode()) for part in path.parts), default=0)
    except UnicodeEncodeError:
        readable = os.fsencode(path).decode(errors="backslashreplace")
        return Entry(PurePosixPath(readable), partial(_refuse, "its name is not UTF-8"))
    return (
        Entry(path, read) if longest <= 255 else Entry(path, partial(_refuse, "its name is longer than 255 bytes"))
    )


def _check_names_differ(entries: list[Entry], source: Path) -> None:
    files: set[PurePosixPath] = set()
    for entry in entries:
        if entry.path in files:
            raise DatasetError(f"{source}: holds '{entry.path}' twice; nothing was unpacked")
        files.add(entry.path)
    both = files & {folder for file in files for folder in file.parents}
    if both:
        raise DatasetError(f"{source}: '{min(both)}' is both a file and a folder; nothing was unpacked")


def _read_tar(archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> bytes:
    if not member.isreg():
        _refuse("a link or a device, not a regular file")
    with _damage_named(source, member.name):
        file = archive.extractfile(member)
        assert file is not None  # only regular members get here
        return file.read()


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Path) -> bytes:
    if stat.S_ISLNK(info.external_attr >> 16):
        _refuse("a link, not a regular file")
    with _damage_named(source, info.filename):
        return archive.read(info)


def _refuse(problem: str) -> NoReturn:
    raise OSError(problem)


def _refuse_folder(error: OSError) -> NoReturn:
    raise DatasetError(f"{error.filename}: the folder cannot be listed: {error.strerror}")


@contextmanager
def _damage_named(source: Path, entry: str = "") -> Iterator[None]:
    """Turn what Python's archive modules raise for damage and for what they do not support into one line."""
    try:
        yield
    except (
        *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
        *(EOFError, OSError, RuntimeError, ValueError),
    ) as error:
        what = f"entry {entry!r} cannot be read" if entry else "the archive is damaged"
        raise DatasetError(f"{source}: {what}: {error}") from None


def _check_digest(source: Path, expected: str) -> None:
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise DatasetError(
            f"{source}: SHA-256 is {found}, but ingest.sha256 says {expected.lower()}; "
            "the file is another one or damaged: get it again, or correct the param"
        )
