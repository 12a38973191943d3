"""Zip archives as a source. PKWARE's APPNOTE.TXT describes the format.

Python's zipfile keeps about 1 KB per entry, trusts the sizes until a read goes beyond them, and allows entries that
overlap. This module reads the directory into columns, and every entry must have its own bytes in the file.
"""

import bz2
import io
import lzma
import os
import stat
import struct
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

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
    refuse,
    safe_path,
)
from pawline.sources.listing import MAX_FILE_BYTES, TOO_LARGE, Listing, Read

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64_BYTES = 20
WIDE_FIELD = 1  # the extra field for values that do not fit into 32 bits
WIDE = 0xFFFFFFFF  # marks a value that stands in the extra field

ENCRYPTED = 0x1 | 0x40 | 0x2000
UTF8 = 0x800

STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93
WRONG_CONTENT = "its content is not what the archive's directory says"
CHUNK_BYTES = 2**20
METHODS = (STORED, DEFLATED, BZIP2, LZMA, ZSTD)


def is_zip(file: BinaryIO) -> bool:
    """Whether the file ends with the record that ends a zip."""
    return _find_end(file) is not None


def list_zip(file: BinaryIO, name: str) -> Listing:
    """The visible files of an open zip, which are read in the order of their bytes in the file. Raises DatasetError.

    name: the name of the archive in messages.
    """
    directory = _Directory(file, name)
    check_names_differ(directory.paths, name)
    directory.check_sizes()
    return Listing(
        directory.paths,
        directory.reads,
        num_bytes=directory.num_bytes,
        copy_to=directory.copy_to,
        passed_over=directory.passed_over,
        folders=directory.folders,
        unclear_names=directory.unclear_names,
    )


class _Span(NamedTuple):
    """The directory's position and number of entries. `shift`: how many bytes stand before the archive."""

    start: int
    end: int
    num_entries: int
    shift: int


class _Entry(NamedTuple):
    """One record of the directory."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int

    @property
    def name(self) -> str:
        """UTF-8 where the flag says so or all bytes agree, since macOS and Linux often leave the flag out."""
        is_utf8 = self.flags & UTF8 or not self.has_unclear_name
        return self.raw_name.decode("utf-8" if is_utf8 else "cp437", "surrogateescape")

    @property
    def has_unclear_name(self) -> bool:
        """Whether the name is in a code page that the archive does not name."""
        if self.flags & UTF8 or self.raw_name.isascii():
            return False
        try:
            self.raw_name.decode()
        except UnicodeDecodeError:
            return True
        return False


class _Directory:
    """The visible files of a zip; each takes 40 bytes besides its path."""

    def __init__(self, file: BinaryIO, archive: str) -> None:
        self._file, self._archive = file, archive
        self.paths: list[str] = []
        self.passed_over: Counter[str] = Counter()
        self.folders: list[str] = []
        self.unclear_names = array("L")
        self._offsets, self._packed, self._sizes = array("Q"), array("Q"), array("Q")
        self._crcs, self._name_crcs, self._methods = array("I"), array("I"), array("H")
        self._is_file = array("B")
        span = _find_end(file)
        assert span is not None
        check_amount(span.num_entries, 0, archive)
        self._end = span.start
        for entry in _read_directory(file, span, archive):
            if entry.offset + LOCAL.size + entry.packed > self._end:
                refuse(archive, f"entry {entry.name!r} reaches beyond the archive")
            path = safe_path(entry.name, archive)
            is_folder, hidden = entry.raw_name.endswith((b"/", b"\\")), hidden_part(path)
            if is_folder and not hidden:
                self.folders.append(f"{path}/")
            elif hidden and not is_folder:
                self.passed_over[hidden] += 1
            if is_folder or hidden:
                self._check_skipped_entry(entry.name, entry.offset, zlib.crc32(entry.raw_name))
            else:
                self._add(entry)

    def _add(self, entry: _Entry) -> None:
        path = safe_path(entry.name, self._archive)
        if entry.flags & ENCRYPTED:
            refuse(
                self._archive,
                f"entry {path!r} is encrypted; unpack it with its password, and set ingest.source to the folder",
            )
        if entry.method not in METHODS:
            refuse(self._archive, f"entry {path!r} is packed by method {entry.method}, which is not supported")
        if entry.has_unclear_name:
            self.unclear_names.append(len(self.paths))
        self.paths.append(path)
        self._offsets.append(entry.offset)
        self._packed.append(entry.packed)
        self._sizes.append(entry.size)
        self._crcs.append(entry.crc)
        self._name_crcs.append(zlib.crc32(entry.raw_name))
        self._methods.append(entry.method)
        self._is_file.append(stat.S_IFMT(entry.mode) in (0, stat.S_IFREG))

    @property
    def num_bytes(self) -> int:
        return sum(self._sizes)

    def check_sizes(self) -> None:
        """Refuse bombs, both by ratio and by entries that overlap (Fifield, 2019). Raises DatasetError."""
        offsets, packed = np.array(self._offsets, np.uint64), np.array(self._packed, np.uint64)
        total = self.num_bytes
        check_amount(len(self.paths), total, self._archive)
        check_ratio(total, self._end, self._archive)
        order = np.argsort(offsets)
        # An entry has at least a header and its bytes. Adding the length of the name would make the check stricter.
        ends = offsets[order] + LOCAL.size + packed[order]
        if (ends > np.append(offsets[order][1:], np.uint64(self._end))).any():
            refuse(self._archive, "entries overlap, as only archive bombs and damaged archives do")

    def reads(self, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, Read]]:
        for position in map(int, np.argsort(np.array(self._offsets, np.uint64))):
            if wanted[position]:
                yield position, partial(self._read, position)
            else:
                self._check_skipped_entry(self.paths[position], self._offsets[position], self._name_crcs[position])

    def _check_skipped_entry(self, name: str, offset: int, name_crc: int) -> None:
        """Check the header of an entry that is not read. Raises DatasetError.

        A damaged name can turn a picture into a folder, a hidden file or a file without a class, so that the data set
        would get smaller unnoticed.
        """
        try:
            _data_start(self._file, offset, name_crc)
        except ValueError as error:
            raise DatasetError(f"{self._archive}: entry {name!r} cannot be read: {error}; get it again") from None

    def _read(self, position: int) -> bytes:
        if not self._is_file[position]:
            raise OSError(NOT_A_FILE)
        size = self._sizes[position]
        if max(size, self._packed[position]) > MAX_FILE_BYTES:
            raise OSError(TOO_LARGE)
        try:
            start = _data_start(self._file, self._offsets[position], self._name_crcs[position])
            # pread takes the position as an argument, so several threads may read at once.
            packed = os.pread(self._file.fileno(), self._packed[position], start)
            data = _unpack(self._methods[position], packed, size)
        except Exception as error:  # each decompressor raises its own exceptions
            self._raise_damaged(position, str(error))
        if len(data) != size or zlib.crc32(data) != self._crcs[position]:
            self._raise_damaged(position, WRONG_CONTENT)
        return data

    def copy_to(self, targets: Mapping[int, Path]) -> None:
        """Write entries to files. An entry that `_read` refuses is left out, except that it may be of any size."""
        for position, target in targets.items():
            if not self._is_file[position]:
                continue
            if max(self._sizes[position], self._packed[position]) <= MAX_FILE_BYTES:
                target.write_bytes(self._read(position))
            elif self._methods[position] in (STORED, DEFLATED):
                self._copy_large(position, target)

    def _copy_large(self, position: int, target: Path) -> None:
        num_bytes, crc = 0, 0
        try:
            with target.open("wb") as file:
                for chunk in self._chunks(position):
                    num_bytes += len(chunk)
                    if num_bytes > self._sizes[position]:
                        break
                    crc = zlib.crc32(chunk, crc)
                    file.write(chunk)
        except (ValueError, zlib.error) as error:
            self._raise_damaged(position, str(error))
        if num_bytes != self._sizes[position] or crc != self._crcs[position]:
            self._raise_damaged(position, WRONG_CONTENT)

    def _chunks(self, position: int) -> Iterator[bytes]:
        """The bytes of a stored or deflated entry, a piece at a time."""
        start = _data_start(self._file, self._offsets[position], self._name_crcs[position])
        end = start + self._packed[position]
        inflate = zlib.decompressobj(-zlib.MAX_WBITS) if self._methods[position] == DEFLATED else None
        for place in range(start, end, CHUNK_BYTES):
            packed = os.pread(self._file.fileno(), min(CHUNK_BYTES, end - place), place)
            while packed:
                yield inflate.decompress(packed, CHUNK_BYTES) if inflate else packed
                packed = inflate.unconsumed_tail if inflate else b""
        if inflate:
            yield inflate.flush()

    def _raise_damaged(self, position: int, problem: str) -> NoReturn:
        entry = self.paths[position]
        raise DatasetError(f"{self._archive}: entry {entry!r} cannot be read: {problem}; get it again") from None


def _data_start(file: BinaryIO, offset: int, name_crc: int) -> int:
    """The position of an entry's bytes. Raises ValueError where the entry's own header has another name."""
    signature, *_, name_length, extra_length = LOCAL.unpack(os.pread(file.fileno(), LOCAL.size, offset))
    raw_name = os.pread(file.fileno(), name_length, offset + LOCAL.size)
    if signature != b"PK\x03\x04" or zlib.crc32(raw_name) != name_crc:
        raise ValueError("its header is not where the archive's directory says")
    return int(offset + LOCAL.size + name_length + extra_length)


def _unpack(method: int, packed: bytes, size: int) -> bytes:
    """Unpack at most one byte more than expected, so that a false size is detected before the memory is full."""
    if method == DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
    if method == BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, size + 1)
    if method == LZMA:
        return _unpack_lzma(packed, size)
    if method == ZSTD:
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)).read(size + 1)
    return packed


def _unpack_lzma(packed: bytes, size: int) -> bytes:
    """Unpack LZMA. In a zip the stream has no size, but a version and a length before its properties (APPNOTE 5.8)."""
    properties = packed[4:9]
    stream = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_FILE_BYTES)
    stream.decompress(properties + b"\xff" * 8, 0)  # unknown size: the stream ends with a mark or with the bytes
    return stream.decompress(packed[9:], size + 1)


def _find_end(file: BinaryIO) -> _Span | None:
    """Find the directory through the record at the end of the file, which a comment of up to 64 KB may follow."""
    length = file.seek(0, os.SEEK_END)
    tail_start = max(0, length - END.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read()
    start = tail.rfind(b"PK\x05\x06")
    while start >= 0:
        record = tail[start : start + END.size]
        if len(record) == END.size and start + END.size + END.unpack(record)[-1] <= len(tail):
            return _span(file, tail_start + start, record)
        start = tail.rfind(b"PK\x05\x06", 0, start)
    return None


def _span(file: BinaryIO, end: int, record: bytes) -> _Span | None:
    _, _, _, _, num_entries, size, offset, _ = END.unpack(record)
    if num_entries == 0xFFFF or WIDE in (size, offset):
        wide_end = end - LOCATOR_64_BYTES - END_64.size
        file.seek(max(wide_end, 0))
        wide = file.read(END_64.size)
        if wide.startswith(b"PK\x06\x06"):
            end = wide_end
            *_, num_entries, size, offset = END_64.unpack(wide)
    start = end - size
    return _Span(start, end, num_entries, start - offset) if start >= max(offset, 0) else None


def _read_directory(file: BinaryIO, span: _Span, archive: str) -> Iterator[_Entry]:
    file.seek(span.start)
    for _ in range(span.num_entries):
        record = file.read(CENTRAL.size)
        if len(record) < CENTRAL.size or not record.startswith(b"PK\x01\x02"):
            raise DatasetError(f"{archive}: the archive is damaged: its directory is incomplete; get it again")
        fields = CENTRAL.unpack(record)
        (_, _, _, flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length) = fields[:13]
        raw_name, extra, _ = (file.read(length) for length in (name_length, extra_length, comment_length))
        size, packed, offset = _widen(extra, [size, packed, fields[-1]])
        yield _Entry(raw_name, flags, method, crc, packed, size, fields[-2] >> 16, offset + span.shift)
    if file.tell() != span.end:
        raise DatasetError(f"{archive}: the archive is damaged: its directory has a wrong length; get it again")


def _widen(extra: bytes, values: list[int]) -> list[int]:
    """Size, packed size and offset of an entry; values beyond 4 GB stand in an extra field, in this order."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == WIDE_FIELD:
            wide = io.BytesIO(extra[4 : 4 + length])
            return [int.from_bytes(wide.read(8), "little") if value == WIDE else value for value in values]
        extra = extra[4 + length :]
    return values
