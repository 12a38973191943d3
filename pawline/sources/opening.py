"""Open a source of any form: docs/sources.md lists the forms, and the disk space that each needs.

A source is opened as a listing, without reading the files. Nothing is ever written to a source, and only our own
code extracts files from archives.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pawline.addresses import is_address, public_address
from pawline.drawn.data_set import GeneratedSet, draw_data_set
from pawline.errors import DatasetError, ParamsError
from pawline.files import check_digest
from pawline.params.ingest import IngestParams
from pawline.params.record import load_record
from pawline.sources.buckets import list_bucket, open_bucket
from pawline.sources.download import open_download
from pawline.sources.file_kinds import is_picture_name
from pawline.sources.folders import list_folder
from pawline.sources.hints import hint_for_compressed, hint_for_file, hint_for_missing
from pawline.sources.listing import Listing
from pawline.sources.nested import open_archives_of_folder, open_inner_archives
from pawline.sources.table_files import SUFFIXES
from pawline.sources.tables import list_table, through_table
from pawline.sources.tars import is_tar, list_tar
from pawline.sources.zips import is_zip, list_zip


@contextmanager
def open_source(params: IngestParams, downloads: Path) -> Iterator[Listing]:
    """List the visible files of a source. Raises DatasetError for a missing or damaged source.

    downloads: the folder that keeps a download until the block succeeds.
    """
    with ExitStack() as resources:
        if is_address(params.source):
            listing = _open_address(params.source, params.sha256, downloads, resources)
            yield through_table(listing, public_address(params.source), params.table)
        elif Path(params.source).is_dir():
            folder = Path(params.source)
            listing = _open_folder(folder, params.sha256, params.follow_links)
            with_inner = _open_archives_in(listing, folder, params.follow_links, downloads, resources)
            place = folder if with_inner is listing else None
            yield through_table(with_inner, params.source, params.table, place, params.follow_links)
        elif Path(params.source).suffix.lower() in SUFFIXES:
            yield list_table(_checked(Path(params.source), params.sha256), params.table, params.follow_links)
        else:
            listing = _open_file(_checked(Path(params.source), params.sha256), downloads, resources)
            yield through_table(listing, params.source, params.table)


def _open_address(address: str, sha256: str | None, downloads: Path, resources: ExitStack) -> Listing:
    try:
        name = public_address(address)
    except ValueError as error:  # http://[bad/
        raise ParamsError(f"ingest.source is {address!r}, which is not an address: {error}") from None
    if name.lower().endswith(SUFFIXES):
        raise ParamsError(
            f"ingest.source {name}: a table lists pictures beside it; name their folder or an archive"
        )
    if urlsplit(address).scheme not in ("http", "https") and (bucket := open_bucket(address)).is_folder:
        _refuse_digest(sha256, name)
        return list_bucket(bucket, name)
    file = resources.enter_context(open_download(address, downloads, sha256))
    return _open_archive(file, name, downloads, resources)


def _open_folder(folder: Path, sha256: str | None, follow_links: bool) -> Listing:
    _refuse_digest(sha256, folder)
    return list_folder(folder, follow_links)


def _open_archives_in(
    listing: Listing, folder: Path, follow_links: bool, downloads: Path, resources: ExitStack
) -> Listing:
    """Open the archives of a folder without pictures, as an unpacked dogs-vs-cats.zip holds train.zip and test1.zip."""
    if any(is_picture_name(path) or path.lower().endswith(".parquet") for path in listing.paths):
        return listing

    def open_one(file: Path, name: str) -> Listing:
        return _open_archive(file, name, downloads, resources)

    return open_archives_of_folder(listing, folder, open_one, follow_links)


def _checked(file: Path, sha256: str | None) -> Path:
    if not file.is_file():
        raise DatasetError(
            f"{file}: no such folder or archive; set ingest.source in params.yaml{hint_for_missing(str(file))}"
        )
    if sha256:
        check_digest(file, sha256, str(file))
    return file


def _open_file(file: Path, downloads: Path, resources: ExitStack) -> Listing:
    if file.suffix in (".yaml", ".yml"):
        folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="pawline-")), "drawn")
        draw_data_set(load_record(file, GeneratedSet), folder)
        return list_folder(folder)
    return _open_archive(file, str(file), downloads, resources)


def _open_archive(file: Path, name: str, downloads: Path, resources: ExitStack) -> Listing:
    """Open an archive and the archives inside it."""
    num_packed = file.stat().st_size

    def open_inner(inner: Path, inner_name: str) -> Listing:
        if listing := _list_archive(inner, inner_name, num_packed, resources):
            return listing
        raise DatasetError(f"{inner_name}: neither a zip nor a tar, whatever its name says; get the archive again")

    if listing := _list_archive(file, name, 0, resources):
        return open_inner_archives(listing, name, num_packed, open_inner, downloads, resources)
    advice = f"; {text}" if (text := hint_for_file(file)) else ""
    raise DatasetError(
        f"{name}: neither a folder, a zip, a tar, a table (.csv, .tsv, .jsonl, .parquet) nor the .yaml of a generated "
        f"set{advice}"
    )


def _list_archive(file: Path, name: str, num_packed: int, resources: ExitStack) -> Listing | None:
    """Detect the type from the bytes, not from the name. A tar that ends with a zip looks like a zip: try tar first.

    num_packed: of an archive inside another, the size of the outer one.
    """
    stream = resources.enter_context(file.open("rb"))
    if is_tar(stream):
        try:
            return list_tar(file, name, num_packed)
        except DatasetError:
            if advice := hint_for_compressed(name):
                raise DatasetError(f"{name}: holds no tar that can be read; {advice}") from None
            raise
    return list_zip(stream, name) if is_zip(stream) else None


def _refuse_digest(sha256: str | None, folder: Path | str) -> None:
    if sha256:
        raise ParamsError(f"ingest.sha256 is for a single file, but {folder} is a folder; set it to null")
