"""Where photographs come from: a folder, a zip or tar archive, or the description of a generated set.

Each kind is opened as a list of entries, one per file, without reading contents; nothing is ever
written to a source, and nothing is extracted by anyone else's code.
"""

import hashlib
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
    with _open_file(source) as entries:
        yield [entry for entry in entries if not is_litter(entry.path)]


@contextmanager
def _open_file(source: Path) -> Iterator[list[Entry]]:
    if source.suffix in (".yaml", ".yml"):
        with tempfile.TemporaryDirectory(prefix="pawline-") as folder:
            draw_data_set(load_record(source, GeneratedSet), Path(folder) / "drawn")
            yield _folder_entries(Path(folder) / "drawn")
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            yield [
                Entry(safe_path(info.filename, source), lambda info=info: _read_zip(archive, info, source))
                for info in archive.infolist()
                if not info.is_dir()
            ]
    elif tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            yield [
                Entry(safe_path(member.name, source), lambda member=member: _read_tar(archive, member, source))
                for member in _tar_members(archive, source)
                if member.isreg()
            ]
    else:
        raise DatasetError(f"{source}: neither a folder, a zip, a tar nor the .yaml of a generated set")


def _folder_entries(root: Path) -> list[Entry]:
    """Every visible file below `root`. Linked folders are not entered: a link may lead round in a circle."""
    entries = []
    for folder, subfolders, names in os.walk(root):
        relative = PurePosixPath(Path(folder).relative_to(root))
        subfolders[:] = [name for name in subfolders if not is_litter(PurePosixPath(name))]
        for name in names:
            if not is_litter(PurePosixPath(name)):
                file = Path(folder, name)
                entries.append(Entry(relative / name, lambda file=file: read_regular_file(file)))
    return entries


def safe_path(name: str, archive: Path) -> PurePosixPath:
    """The path of an archive's entry, if following it cannot leave the folder it is put in."""
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0])
    if outside or any(ord(character) < 32 for character in name):
        raise DatasetError(f"{archive}: entry {name!r} would be written outside its folder; nothing was unpacked")
    return path


def _read_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Path) -> bytes:
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise DatasetError(f"{source}: entry {info.filename!r} cannot be read: {error}") from None


def _tar_members(archive: tarfile.TarFile, source: Path) -> list[tarfile.TarInfo]:
    try:
        return archive.getmembers()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(f"{source}: the archive is damaged: {error}") from None


def _read_tar(archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> bytes:
    try:
        file = archive.extractfile(member)
        assert file is not None  # only regular members get here
        return file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(f"{source}: entry {member.name!r} cannot be read: {error}") from None


def _check_digest(source: Path, expected: str) -> None:
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise DatasetError(
            f"{source}: SHA-256 is {found}, but ingest.sha256 says {expected.lower()}; "
            "the file is another one or damaged: get it again, or correct the param"
        )
