"""Tar archives as a source, plain or compressed: read from start to end, once for the names and once for the bytes.

Nothing seeks backwards, since that would decompress the archive again, and no member stays in memory.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, NoReturn

import numpy as np
import zstandard
from numpy.typing import NDArray

from pawline.errors import DatasetError
from pawline.sources.archive_rules import (
    NOT_A_FILE,
    check_amount,
    check_names_differ,
    check_ratio,
    hidden_part,
    safe_path,
)
from pawline.sources.listing import MAX_FILE_BYTES, TOO_LARGE, Listing, Read

# A header holds names and attributes; a larger one is an attempt to fill the memory.
MAX_HEADER_BYTES = 2**20
BLOCK = 512


def is_tar(file: BinaryIO) -> bool:
    """Whether the file is compressed by a method used for tars, or starts with a tar header."""
    file.seek(0)
    block = file.read(BLOCK)
    if _opener(block):
        return True
    with suppress(tarfile.HeaderError):
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        return True
    return False


def list_tar(source: Path, name: str, num_packed: int = 0) -> Listing:
    """The visible files of a tar. Raises DatasetError.

    name: the name of the archive in messages. num_packed: of an archive inside another, the size of the outer one.
    """
    paths: list[str] = []
    passed_over: Counter[str] = Counter()
    folders: list[str] = []
    num_bytes = 0
    with _open_stream(source, name) as stream:
        for member, path in _members(stream, name, passed_over, folders):
            paths.append(path)
            num_bytes += member.size
            check_amount(len(paths), num_bytes, name)
            if num_packed:
                check_ratio(num_bytes, num_packed, name)
    check_names_differ(paths, name)
    return Listing(
        paths,
        partial(_reads, source, name),
        num_bytes=num_bytes,
        copy_to=partial(_copy_to, source, name),
        passed_over=passed_over,
        folders=folders,
    )


def _reads(source: Path, name: str, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, Read]]:
    with _open_stream(source, name) as stream:
        for position, (member, path) in enumerate(_members(stream, name)):
            if wanted[position]:
                yield position, _read_member(stream, member, path, name)


def _copy_to(source: Path, name: str, targets: Mapping[int, Path]) -> None:
    with _open_stream(source, name) as stream:
        for position, (member, path) in enumerate(_members(stream, name)):
            if position in targets and member.isreg() and not member.issparse():
                stream.seek(member.offset_data)
                _copy_member(stream, member.size, targets[position], f"{name}: entry {path!r} cannot be read")


def _copy_member(stream: "_ForwardStream", size: int, target: Path, problem: str) -> None:
    with target.open("wb") as file:
        while size > 0:
            data = stream.read_data(min(size, 2**20))
            if not data:
                raise DatasetError(f"{problem}: the archive ends inside this entry; get it again")
            file.write(data)
            size -= len(data)


def _members(
    stream: "_ForwardStream", name: str, passed_over: Counter[str] | None = None, folders: list[str] | None = None
) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The visible files with their paths.

    passed_over, folders: receive what was not visible, see Listing, and the paths of the folders.
    """
    archive = tarfile.TarFile(fileobj=stream, mode="r")  # type: ignore[arg-type]
    while member := archive.next():
        archive.members.clear()  # type: ignore[attr-defined]  # or each member would keep a kilobyte
        if member.size < 0:
            raise tarfile.ReadError("a size below zero")
        if member.isdir():
            if folders is not None and member.name.strip("./"):
                folders.append(f"{safe_path(member.name, name)}/")
        else:
            path = safe_path(member.name, name)
            if not (hidden := hidden_part(path)):
                yield member, path
            elif passed_over is not None:
                passed_over[hidden] += 1
    stream.check_end()


def _read_member(stream: "_ForwardStream", member: tarfile.TarInfo, path: str, name: str) -> Read:
    """Read the bytes now, since the stream moves on; return a function that gives the bytes or raises OSError."""
    if not member.isreg() or member.issparse():
        return partial(_fail, NOT_A_FILE)
    if member.size > MAX_FILE_BYTES:
        return partial(_fail, TOO_LARGE)
    stream.seek(member.offset_data)
    data = stream.read_data(member.size)
    if len(data) < member.size:
        raise DatasetError(
            f"{name}: entry {path!r} cannot be read: the archive ends inside this entry; get it again"
        )
    return partial(bytes, data)


def _fail(problem: str) -> NoReturn:
    raise OSError(problem)


@contextmanager
def _open_stream(source: Path, name: str) -> Iterator["_ForwardStream"]:
    """Open a tar; turn the errors that Python's modules raise for damaged or unsupported data into a DatasetError."""
    with source.open("rb") as file:
        opener = _opener(file.read(8))
        file.seek(0)
        try:
            yield _ForwardStream(opener(file) if opener else file, file, name)
        except (
            *(tarfile.TarError, zlib.error, lzma.LZMAError, zstandard.ZstdError),
            *(EOFError, OSError, RuntimeError, ValueError),
        ) as error:
            raise DatasetError(f"{name}: the archive is damaged: {error}; get it again") from None


def _opener(start: bytes) -> Callable[[BinaryIO], Any] | None:
    """The function that opens a compressed tar, chosen by its first bytes; None for a plain tar."""
    openers: dict[bytes, Callable[[BinaryIO], Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\x00": lzma.open,
        b"\x28\xb5\x2f\xfd": _open_zstd,
    }
    return next((opener for magic, opener in openers.items() if start.startswith(magic)), None)


def _open_zstd(file: BinaryIO) -> IO[bytes]:
    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))


class _ForwardStream:
    """A stream for tarfile that is read forwards only, except for a step back into the last block."""

    def __init__(self, stream: IO[bytes], file: BinaryIO, name: str) -> None:
        self._stream, self._file, self._name = stream, file, name
        self._position = 0
        self._last_read = b""  # the bytes of the last read
        self._recent = b""  # the last BLOCK bytes before the position
        self._pushed_back = b""  # bytes after the position that a step back returned, to be read again

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        num_back = self._position - position
        if num_back > 0:
            if num_back > len(self._recent):
                raise tarfile.ReadError("a header that points backwards")
            self._pushed_back = self._recent[-num_back:] + self._pushed_back
            self._recent = self._recent[:-num_back]
            self._position = position
        elif self._stream is self._file and -num_back > len(self._pushed_back) + BLOCK:
            self._position = self._file.seek(position)
            self._recent = self._pushed_back = b""
        while self._position < position and self.read_data(min(2**16, position - self._position)):
            pass

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.read_data(size)

    def read_data(self, size: int) -> bytes:
        data, self._pushed_back = self._pushed_back[:size], self._pushed_back[size:]
        data += self._stream.read(size - len(data))
        self._position += len(data)
        self._last_read = data
        self._recent = (self._recent[-BLOCK:] + data[-BLOCK:])[-BLOCK:]
        check_ratio(self._position, self._file.tell(), self._name)
        return data

    def check_end(self) -> None:
        """Check the end mark and the compressor's checksum. Raises tarfile.ReadError for a missing end mark.

        tarfile takes a damaged header for the end of the archive, and does not read the checksum at the end of a gzip.
        """
        if self._last_read != bytes(BLOCK):
            raise tarfile.ReadError("no end mark after its last file")
        while self.read_data(2**20):
            pass
