"""Where photographs come from: docs/sources.md lists the forms, and what each costs on disk.

Each is opened as a listing, without reading contents. Nothing is ever written to a source, and nothing is
extracted by anyone else's code.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pawline.buckets import list_bucket, open_bucket, shown
from pawline.download import check_digest, downloaded
from pawline.errors import DatasetError, ParamsError
from pawline.folders import list_folder
from pawline.generated import GeneratedSet, draw_data_set
from pawline.labelled import SUFFIXES, find_table, list_table
from pawline.listing import Listing
from pawline.params import IngestParams, load_record
from pawline.tars import is_tar, list_tar
from pawline.zips import is_zip, list_zip


@contextmanager
def open_source(params: IngestParams, downloads: Path) -> Iterator[Listing]:
    """The visible files of a source. Raises DatasetError when there is no such source or it is damaged.

    downloads: where what is fetched from an address stays until the block succeeds.
    """
    with ExitStack() as opened:
        if "://" in params.source:
            yield _open_address(params.source, params.sha256, downloads, opened)
        elif Path(params.source).is_dir():
            yield _open_folder(Path(params.source), params.sha256)
        else:
            yield _open_file(Path(params.source), params.sha256, opened)


def _open_address(address: str, sha256: str | None, downloads: Path, opened: ExitStack) -> Listing:
    try:
        name = shown(address)
    except ValueError as error:  # http://[bad/
        raise ParamsError(f"ingest.source is {address!r}, which is no address: {error}") from None
    if name.lower().endswith(SUFFIXES):
        raise ParamsError(
            f"ingest.source {name}: a table lists pictures beside it; name their folder or an archive"
        )
    if urlsplit(address).scheme not in ("http", "https") and (bucket := open_bucket(address)).is_folder:
        _refuse_digest(sha256, name)
        return list_bucket(bucket, name)
    return _open_archive(opened.enter_context(downloaded(address, downloads, sha256)), name, opened)


def _open_folder(folder: Path, sha256: str | None) -> Listing:
    _refuse_digest(sha256, folder)
    table = find_table(folder)
    return list_table(table) if table else list_folder(folder)


def _open_file(file: Path, sha256: str | None, opened: ExitStack) -> Listing:
    if not file.is_file():
        raise DatasetError(f"{file}: no such folder or archive; set ingest.source in params.yaml")
    if sha256:
        check_digest(file, sha256, str(file))
    if file.suffix.lower() in SUFFIXES:
        return list_table(file)
    if file.suffix in (".yaml", ".yml"):
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="pawline-")), "drawn")
        draw_data_set(load_record(file, GeneratedSet), folder)
        return list_folder(folder)
    return _open_archive(file, str(file), opened)


def _open_archive(file: Path, name: str, opened: ExitStack) -> Listing:
    """By its bytes, whatever it is called. A tar first: one that ends with a zip looks like a zip from behind."""
    stream = opened.enter_context(file.open("rb"))
    if is_tar(stream):
        return list_tar(file, name)
    if is_zip(stream):
        return list_zip(stream, name)
    raise DatasetError(
        f"{name}: neither a folder, a zip, a tar, a table of path,label nor the .yaml of a generated set"
    )


def _refuse_digest(sha256: str | None, folder: Path | str) -> None:
    if sha256:
        raise ParamsError(f"ingest.sha256 is for a single file, but {folder} is a folder; set it to null")
