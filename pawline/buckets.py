"""Cloud storage through fsspec, whose packages come with an extra of this project (`pawline[s3]`)."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import fsspec
import numpy as np
from numpy.typing import NDArray

from pawline.archives import check_amount, check_names_differ, is_visible, safe_path
from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError
from pawline.listing import MAX_FILE_BYTES, TOO_LARGE, Listing, Read

# Which extra brings the package for a scheme.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "azure": "azure", "az": "azure", "abfs": "azure"}


class Bucket(NamedTuple):
    """What an address leads to. `tag` differs when the content does; empty for a folder."""

    files: Any  # fsspec's file system
    path: str
    num_bytes: int | None
    tag: str

    @property
    def is_folder(self) -> bool:
        return not self.tag


def shown(address: str) -> str:
    """An address for messages: without what may be a password or a signature."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_bucket(address: str) -> Bucket:
    """Raises ParamsError, DatasetError or BusyError, by who can mend it."""
    try:
        files, path = fsspec.url_to_fs(address)
        info = files.info(path)
        tag = "" if info["type"] == "directory" else str(files.ukey(path))
        return Bucket(files, path, info.get("size"), tag)
    except Exception as error:  # each provider's package has errors of its own
        raise _explain(error, address) from None


def _explain(error: Exception, address: str) -> PawlineError:
    name, scheme = shown(address), urlsplit(address).scheme
    if isinstance(error, ImportError):
        mend = f"pip install 'pawline[{EXTRAS[scheme]}]'" if scheme in EXTRAS else str(error)
        return ParamsError(f"ingest.source {name}: the package for {scheme}:// is missing: {mend}")
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
    """The visible files of a folder in a bucket. Their names were given by others, as an archive's were."""
    paths = []
    try:
        everything = bucket.files.find(bucket.path)
    except Exception as error:  # each provider's package has errors of its own
        raise _explain(error, name) from None
    for found in everything:
        path = safe_path(found.removeprefix(f"{bucket.path.rstrip('/')}/"), name)
        if is_visible(path):
            paths.append(path)
    check_amount(len(paths), 0, name)
    check_names_differ(paths, name)
    return Listing(paths, partial(_reads, bucket, paths, name), num_threads=16)  # it is all waiting


def _reads(bucket: Bucket, paths: list[str], name: str, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, Read]]:
    for position in map(int, np.flatnonzero(wanted)):
        yield position, partial(_read, bucket, paths[position], name)


def _read(bucket: Bucket, path: str, name: str) -> bytes:
    whole = f"{bucket.path.rstrip('/')}/{path}"
    try:
        # One byte more than is allowed shows what is too large, without a question of its own.
        data: bytes = bucket.files.cat_file(whole, start=0, end=MAX_FILE_BYTES + 1)
    except Exception as error:  # a row would hide that the network, not the picture, is at fault
        raise DatasetError(f"{name}/{path}: {error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise OSError(TOO_LARGE)
    return data
