"""A source at an address: downloaded once, resumed after an interruption, checked before use."""

import hashlib
import re
import shutil
import socket
from collections import namedtuple
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import pytest

from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError
from pawline.ingest import IngestResult, ingest
from pawline.params.ingest import IngestParams
from pawline.sources import download
from tests.conftest import dvc_here, run, set_params
from tests.sample_sources import PICTURE, TWO_CLASSES, content, paths, tar_of, zip_of


class Server:
    """A local server for a single file that can misbehave on request and records the requested ranges."""

    def __init__(self) -> None:
        self.file = b""
        self.headers: dict[str, str] = {"ETag": '"1"'}
        self.status = 200
        self.supports_ranges = True
        self.is_chunked = False
        self.break_points: list[int] = []  # the number of bytes after which each answer breaks
        self.requested_ranges: list[str] = []
        self.num_sent = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            self.requested_ranges.append(request.headers.get("Range", ""))
        start = self._start(request)
        status = self.status if self.status != 200 or start is None else 206 if start < len(self.file) else 416
        body = self.file[start or 0 :]
        request.send_response(status)
        for key, value in self.headers.items():
            request.send_header(key, value)
        if start is not None:
            span = f"{start}-{len(self.file) - 1}" if body else "*"
            request.send_header("Content-Range", f"bytes {span}/{len(self.file)}")
        if not self.is_chunked:
            request.send_header("Content-Length", str(len(body)))
        else:
            request.send_header("Transfer-Encoding", "chunked")
            body = (
                b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:700], body[700:])) + b"0\r\n\r\n"
            )
        request.end_headers()
        if request.command == "GET":
            body = body[: self.break_points.pop(0)] if self.break_points else body
            request.wfile.write(body)
            request.close_connection = True
            self.num_sent += len(body)

    def _start(self, request: BaseHTTPRequestHandler) -> int | None:
        """The start of the answer, or None for the whole file (RFC 9110, 13.1.5)."""
        range_header = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        version = self.headers.get("ETag", self.headers.get("Last-Modified"))
        is_current = request.headers.get("If-Range") == version
        return int(range_header[1]) if range_header and is_current and self.supports_ranges else None


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802 - the base class sets the name
            state.answer(self)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.address = f"http://127.0.0.1:{listening.server_port}/a.zip"  # type: ignore[attr-defined]
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def without_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda _: None)


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return zip_of(tmp_path / "made.zip", TWO_CLASSES).read_bytes()


def ingest_address(address: str, tmp_path: Path, sha256: str | None = None) -> IngestResult:
    return ingest(IngestParams(source=address, sha256=sha256), tmp_path / "raw", tmp_path / "downloads")


def refusal(kind: type[PawlineError], address: str, tmp_path: Path, sha256: str | None = None) -> str:
    with pytest.raises(kind) as refused:
        ingest_address(address, tmp_path, sha256)
    assert not (tmp_path / "raw").exists()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def kept_sizes(tmp_path: Path) -> list[int]:
    """The sizes of the partial downloads kept for the next attempt."""
    return [path.stat().st_size for path in (tmp_path / "downloads").glob("*/content")]


# From a web server


def test_a_download_is_ingested_and_leaves_no_copy(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file = archive
    assert paths(ingest_address(server.address, tmp_path).rows.table()) == ["cat/1.jpg", "dog/1.jpg"]
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert list((tmp_path / "downloads").iterdir()) == []


def test_type_of_a_download_is_detected_from_the_bytes(tmp_path: Path, server: Any) -> None:
    """An address may have any ending; here it ends with .zip, but the server sends a tar."""
    server.file = tar_of(tmp_path / "a.tar.zst", TWO_CLASSES).read_bytes()
    ingest_address(f"{server.address}?download=1&token=secret", tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": "Sat, 01 Aug 2026 10:00:00 GMT"}])
def test_an_interrupted_download_is_resumed(
    tmp_path: Path, server: Any, archive: bytes, headers: dict[str, str]
) -> None:
    server.file, server.headers, server.break_points = archive, headers, [1000, 500]
    ingest_address(server.address, tmp_path)
    assert server.requested_ranges == ["", "bytes=1000-", "bytes=1500-"]
    assert server.num_sent == len(archive)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_after_five_interruptions_the_next_command_resumes(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, server.break_points = archive, [100] * 5
    message = refusal(BusyError, server.address, tmp_path)
    assert message.startswith(f"{server.address}: the download was interrupted 5 times (")
    assert message.endswith("; the same command continues")
    assert kept_sizes(tmp_path) == [500]
    ingest_address(server.address, tmp_path)
    assert server.requested_ranges[-1] == "bytes=500-"
    assert server.num_sent == len(archive)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_file_that_changed_on_the_server_is_downloaded_from_the_start(
    tmp_path: Path, server: Any, archive: bytes
) -> None:
    server.file, server.break_points = bytes(3000), [1000] + [0] * 4
    refusal(BusyError, server.address, tmp_path)
    server.file, server.headers = archive, {"ETag": '"2"'}
    ingest_address(server.address, tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_download_of_unknown_length_is_complete(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, server.is_chunked, server.break_points = archive, True, [900]
    ingest_address(server.address, tmp_path)
    assert len(server.requested_ranges) == 2
    assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}])
def test_without_a_strong_version_tag_nothing_is_resumed(
    tmp_path: Path, server: Any, archive: bytes, headers: dict[str, str]
) -> None:
    """Joined parts of two versions would be a file that never existed."""
    server.file, server.headers, server.break_points = archive, headers, [1000]
    ingest_address(server.address, tmp_path)
    assert server.requested_ranges == ["", ""]
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_server_without_ranges_sends_the_whole_file_again(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, server.supports_ranges, server.break_points = archive, False, [1000]
    ingest_address(server.address, tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_range_of_another_version_is_not_used(
    tmp_path: Path, server: Any, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ignores If-Range and sends the rest of a file with another ETag."""
    server.file, server.break_points = bytes(len(archive)), [1000] + [0] * 4
    refusal(BusyError, server.address, tmp_path)
    server.file, server.headers = archive, {"ETag": '"2"'}
    monkeypatch.setattr(server, "_start", lambda request: 1000 if request.headers.get("Range") else None)
    ingest_address(server.address, tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_refused_archive_is_not_downloaded_again(tmp_path: Path, server: Any) -> None:
    server.file = zip_of(tmp_path / "a.zip", {"cat/1.jpg": PICTURE}).read_bytes()
    for _ in range(2):
        assert refusal(DatasetError, server.address, tmp_path) == (
            f"{server.address}: found 1 class folder ('cat'), need at least 2; "
            "put each class in a folder of its own: <class>/*.jpg"
        )
    assert server.num_sent == len(server.file)
    assert server.requested_ranges == ["", f"bytes={len(server.file)}-"]


def test_the_digest_is_checked_before_the_file_is_opened(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, digest = b"no archive at all", hashlib.sha256(archive).hexdigest()
    message = refusal(DatasetError, server.address, tmp_path, digest)
    assert message.startswith(f"{server.address}: SHA-256 is {hashlib.sha256(server.file).hexdigest()}, but")
    assert kept_sizes(tmp_path) == []
    server.file = archive
    ingest_address(server.address, tmp_path, digest)
    assert server.requested_ranges == ["", ""]


@pytest.mark.parametrize(
    ("status", "kind", "problem"),
    [
        (404, DatasetError, "the server says 404 Not Found; correct ingest.source in params.yaml"),
        (403, DatasetError, "the server says 403 Forbidden; put the credentials for it into ~/.netrc"),
        (429, BusyError, "the server says 429 Too Many Requests; try again later"),
        (503, BusyError, "the server says 503 Service Unavailable; try again later"),
    ],
)
def test_an_error_status_gives_a_message_in_one_line(
    tmp_path: Path, server: Any, status: int, kind: type[PawlineError], problem: str
) -> None:
    server.status = status
    assert refusal(kind, server.address, tmp_path) == f"{server.address}: {problem}"


def test_a_refused_connection_gives_a_message_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/a.zip"
        message = refusal(BusyError, address, tmp_path)
    assert message == f"{address}: no connection: Connection refused; try again"


@pytest.mark.parametrize("address", ["http://", "http://a b/c.zip", "http://[bad/c.zip"])
def test_an_invalid_address_is_a_params_error(tmp_path: Path, address: str) -> None:
    assert refusal(ParamsError, address, tmp_path).startswith("ingest.source is ")


def test_passwords_and_tokens_are_not_shown(tmp_path: Path, server: Any) -> None:
    server.status = 404
    address = server.address.replace("http://", "http://me:secret@")
    assert "secret" not in refusal(DatasetError, f"{address}?token=secret", tmp_path)


def test_a_disk_that_is_too_small_is_reported_before_the_download(
    tmp_path: Path, server: Any, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.file = archive
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 0, 10))
    with pytest.raises(OSError, match="0.0 GB to download, but 0.0 GB free; make room") as refused:
        ingest_address(server.address, tmp_path)
    assert Path(refused.value.filename).parent == tmp_path / "downloads"


def test_a_table_at_an_address_is_refused(tmp_path: Path) -> None:
    message = refusal(ParamsError, "https://example.org/labels.csv", tmp_path)
    assert message.endswith("a table lists pictures beside it; name their folder or an archive")


# In a bucket


@pytest.fixture
def bucket() -> Iterator[Callable[[str, bytes], None]]:
    """The memory file system of fsspec, in place of a provider's."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield lambda path, data: files.pipe_file(path, data)
    files.store.clear()


def test_an_archive_in_a_bucket_is_read(tmp_path: Path, bucket: Any, archive: bytes) -> None:
    bucket("/b/a.zip", archive)
    ingest_address("memory://b/a.zip", tmp_path, hashlib.sha256(archive).hexdigest())
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert list((tmp_path / "downloads").iterdir()) == []


def test_an_interrupted_download_from_a_bucket_is_resumed(
    tmp_path: Path, bucket: Any, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket("/b/a.zip", archive)
    monkeypatch.setattr(download, "CHUNK_BYTES", 500)
    started: list[int] = []

    def interrupted_chunks(file: Any) -> Iterator[bytes]:
        started.append(file.tell())
        yield file.read(500)
        if len(started) < 3:
            raise download._ConnectionLostError("lost")
        yield file.read()

    monkeypatch.setattr(download, "_chunks", interrupted_chunks)
    ingest_address("memory://b/a.zip", tmp_path)
    assert started == [0, 500, 1000]
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_folder_in_a_bucket_is_read_without_a_copy(tmp_path: Path, bucket: Any) -> None:
    files = {f"{kind}/{number}.jpg": bytes([number]) for kind in ("cat", "dog") for number in range(50)}
    for path, data in (files | {".hidden": b"x", "readme.txt": b"x"}).items():
        bucket(f"/b/photos/{path}", data)
    assert len(ingest_address("memory://b/photos", tmp_path).rows) == 100
    assert content(tmp_path / "raw") == files
    assert not (tmp_path / "downloads").exists()


def test_an_object_name_that_leaves_the_folder_is_refused(tmp_path: Path, bucket: Any) -> None:
    for path in ("cat/1.jpg", "dog/1.jpg", "dog/../../out.jpg"):
        bucket(f"/b/photos/{path}", PICTURE)
    message = refusal(DatasetError, "memory://b/photos", tmp_path)
    assert "entry 'dog/../../out.jpg' would be written outside its folder" in message


def test_a_missing_object_and_a_digest_for_a_folder_are_refused(tmp_path: Path, bucket: Any) -> None:
    assert refusal(DatasetError, "memory://b/nothing.zip", tmp_path) == (
        "memory://b/nothing.zip: no such file or folder; correct ingest.source in params.yaml"
    )
    bucket("/b/photos/cat/1.jpg", PICTURE)
    message = refusal(ParamsError, "memory://b/photos", tmp_path, "0" * 64)
    assert message == "ingest.sha256 is for a single file, but memory://b/photos is a folder; set it to null"


@pytest.mark.parametrize(
    ("address", "package", "extra"),
    [
        ("s3://bucket/a.zip", "s3fs", "s3"),
        ("gs://bucket/a.zip", "gcsfs", "gcs"),
        ("az://bucket/a.zip", "adlfs", "azure"),
    ],
)
def test_a_missing_package_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(fsspec.config.conf, "any", {})
    monkeypatch.setitem(__import__("sys").modules, package, None)  # as if it were not installed
    scheme = address.partition(":")[0]
    assert refusal(ParamsError, address, tmp_path) == (
        f"ingest.source {address}: the package for {scheme}:// is missing: pip install 'pawline[{extra}]'"
    )


def test_an_unknown_scheme_is_a_params_error(tmp_path: Path) -> None:
    assert "ingest.source pigeon://coop/a.zip: Protocol not known: pigeon" in refusal(
        ParamsError, "pigeon://coop/a.zip", tmp_path
    )


# Under DVC


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_dvc_detects_a_file_that_changed_on_the_server(workspace: Path, server: Any, header: str) -> None:
    """The new file has the same size, so only the header shows the change."""
    server.file = zip_of(workspace / "made.zip", TWO_CLASSES).read_bytes()
    server.headers = {header: "Sat, 01 Aug 2026 10:00:00 GMT" if header == "Last-Modified" else '"1"'}
    set_params(workspace, {"ingest.source": server.address})
    process = run(workspace, "dvc", "repro", "--single-item", "ingest")
    assert "download" not in process.stdout + process.stderr  # no progress outside a terminal
    assert content(workspace / "data/ingested") == TWO_CLASSES
    assert "up to date" in dvc_here(workspace, "status", "ingest")
    server.file = server.file.replace(b"dog/1.jpg", b"fox/1.jpg")
    server.headers = {header: "Sat, 01 Aug 2026 11:00:00 GMT" if header == "Last-Modified" else '"2"'}
    assert server.address in dvc_here(workspace, "status", "ingest")
    dvc_here(workspace, "repro", "--single-item", "ingest")
    assert set(content(workspace / "data/ingested")) == {"cat/1.jpg", "fox/1.jpg"}
    assert list((workspace / ".pawline/downloads").iterdir()) == []
