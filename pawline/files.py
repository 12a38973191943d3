"""Write files that appear whole or not at all: to a temporary path, flushed to disk, then renamed."""

import errno
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from pawline.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

# A partial file without a write for so long belongs to a killed process: no write takes a day, and the clocks of
# machines that share a folder differ by less.
ABANDONED_SECONDS = 24 * 3600
ROWS_AT_A_TIME = 10_000  # rows of a table that are copied in memory while the table is written

# What file managers, NAS systems and operating systems write, in small letters: neither images nor errors. So is
# whatever begins with a dot (.Trashes, .Spotlight-V100, .AppleDouble, .fseventsd, .DS_Store …).
LITTER_FILES = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r"}
LITTER_FOLDERS = {
    *("__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder"),  # macOS
    *("$recycle.bin", "system volume information", "$windows.~bt", "$extend", "found.000"),  # Windows
    *(
        "lost+found",
        "@eadir",
        "@sharesnap",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
    ),  # Linux, NAS
    *("@tmp", "@sharebin", "~snapshot", "__pycache__", "lost.dir"),
}
LITTER = LITTER_FILES | LITTER_FOLDERS


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; rename that file to `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with _named(path):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder to fill; let that folder replace `path` when the block succeeds."""
    partial = path.with_name(path.name + ".partial")
    old = path.with_name(path.name + ".old.partial")
    for leftover in (partial, old):  # a killed process leaves them
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with _named(path):
            yield partial
        if path.exists():
            path.rename(old)  # deleting takes time, and a kill during that time would leave half a folder
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give a failed write, which is one on a full disk, the name of the file: the system does not."""
    try:
        yield
    except OSError as error:
        if error.errno is None and str(error).endswith("written"):  # NumPy: "5000 requested and 8 written"
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG) and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise


def delete_abandoned(partials: Iterable[Path]) -> None:
    """Delete the partial files of killed processes, and leave those that another process may still be writing."""
    for partial in partials:
        if modified(partial) < time.time() - ABANDONED_SECONDS:
            partial.unlink(missing_ok=True)


def modified(path: Path) -> float:
    """The time of the last write to a file, or of the last change in a folder, in seconds since 1970; 0 where another
    process has just deleted it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def write_bytes(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and without NaN, so equal values give equal bytes, and every reader accepts them.

    Raises ValueError for NaN and infinity.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write Parquet or CSV, depending on the suffix of `path`; the row index is not written."""
    with whole_file(path) as partial:
        if path.suffix == ".parquet":
            table.to_parquet(partial, index=False, row_group_size=ROWS_AT_A_TIME)
        else:
            table.to_csv(partial, index=False, lineterminator="\n")


def file_digest(path: Path) -> str:
    """SHA-256 of the content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(file: Path, expected: str, name: str) -> None:
    """Compare the SHA-256 of a file with `expected`. Raises DatasetError where it differs; name: the file's name in the
    message."""
    digest = file_digest(file)
    if digest != expected.lower():
        raise DatasetError(
            f"{name}: SHA-256 is {digest}, but ingest.sha256 says {expected.lower()}; "
            "the file is damaged or not the expected one: get it again, or correct the param"
        )


def read_regular_file(path: Path, max_bytes: int | None = None) -> bytes:
    """The bytes of a regular file. Raises OSError for any other kind of file, since a FIFO would block for ever, and
    for a file larger than `max_bytes`."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError("not a regular file")
        if max_bytes is not None and os.fstat(file).st_size > max_bytes:
            raise OSError(f"larger than {max_bytes // 2**20} MB")
        return stream.read()


def is_litter(path: PurePath) -> bool:
    """Whether a path inside a source is ignored: hidden files and folders, and the litter of file managers."""
    return any(is_litter_name(part) for part in path.parts)


def is_litter_name(part: str) -> bool:
    return part.startswith(".") or part.lower() in LITTER
