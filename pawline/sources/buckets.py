"""Cloud storage, read through fsspec. Each provider's package is an extra of this project (`pawline[s3]`)."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import fsspec
import numpy as np
from numpy.typing import NDArray

from pawline.addresses import public_address
from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError
from pawline.sources.archive_rules import check_amount, check_names_differ, hidden_part, safe_path
from pawline.sources.listing import MAX_FILE_BYTES, TOO_LARGE, Listing, Read

# The extra that installs the package for a scheme.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "azure": "azure", "az": "azure", "abfs": "azure"}


class Bucket(NamedTuple):
    """A file or folder in cloud storage. `tag` changes with the content; it is empty for a folder."""

    files: Any  # fsspec's file system
    path: str
    num_bytes: int | None
    tag: str

    @property
    def is_folder(self) -> bool:
        return not self.tag


def open_bucket(address: str) -> Bucket:
    """Look up a file or folder. Raises ParamsError, DatasetError or BusyError, depending on who can fix the problem."""
    try:
        files, path = fsspec.url_to_fs(address)
        info = files.info(path)
        tag = "" if info["type"] == "directory" else str(files.ukey(path))
        return Bucket(files, path, info.get("size"), tag)
    except Exception as error:  # each provider's package raises its own exceptions
        raise _explain(error, address) from None


def _explain(error: Exception, address: str) -> PawlineError:
    name, scheme = public_address(address), urlsplit(address).scheme
    if isinstance(error, ImportError):
        remedy = f"pip install 'pawline[{EXTRAS[scheme]}]'" if scheme in EXTRAS else str(error)
        return ParamsError(f"ingest.source {name}: the package for {scheme}:// is missing: {remedy}")
    if isinstance(error, ValueError):
        return ParamsError(f"ingest.source {name}: {error}")
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{name}: no such file or folder; correct ingest.source in params.yaml")
    if isinstance(error, (ConnectionError, TimeoutError)):
        return BusyError(f"{name}: no connection: {error}; try again")
    return DatasetError(
        f"{name}: {error}; credentials are taken from the environment and the provider's own files only"
    )


def list_bucket(bucket: Bucket, name: str) -> Listing:
    """The visible files of a folder in a bucket. Raises DatasetError.

    Strangers chose the names, so the paths are checked as an archive's are. name: the folder's name in messages.
    """
    paths = []
    passed_over: Counter[str] = Counter()
    try:
        objects = bucket.files.find(bucket.path)
    except Exception as error:  # each provider's package raises its own exceptions
        raise _explain(error, name) from None
    for object_path in objects:
        path = safe_path(object_path.removeprefix(f"{bucket.path.rstrip('/')}/"), name)
        if hidden := hidden_part(path):
            passed_over[hidden] += 1
        else:
            paths.append(path)
    check_amount(len(paths), 0, name)
    check_names_differ(paths, name)
    # A read mostly waits for the network.
    return Listing(
        paths,
        partial(_reads, bucket, paths, name),
        num_threads=16,
        passed_over=passed_over,
    )


def _reads(bucket: Bucket, paths: list[str], name: str, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, Read]]:
    for position in map(int, np.flatnonzero(wanted)):
        yield position, partial(_read, bucket, paths[position], name)


def _read(bucket: Bucket, path: str, name: str) -> bytes:
    object_path = f"{bucket.path.rstrip('/')}/{path}"
    try:
        # Reading one byte above the limit shows that a file is too large, without another request.
        data: bytes = bucket.files.cat_file(object_path, start=0, end=MAX_FILE_BYTES + 1)
    except Exception as error:  # a row with a problem would blame the picture, but the network failed
        raise DatasetError(f"{name}/{path}: {error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise OSError(TOO_LARGE)
    return data
