"""A source behind an address: fetched once, continued where it broke off, checked before use."""

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

from pawline import download
from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError
from pawline.ingest import Ingested, ingest
from pawline.params import IngestParams
from tests.conftest import run, set_params
from tests.taking_in import PICTURE, TWO_CLASSES, content, paths, tar_of, zip_of


class Server:
    """A server on this machine for one file, that can be told to misbehave; it notes what it was asked."""

    def __init__(self) -> None:
        self.file = b""
        self.headers: dict[str, str] = {"ETag": '"1"'}
        self.status = 200
        self.knows_ranges = True
        self.in_chunks = False
        self.breaks_after: list[int] = []  # bytes, for each answer in turn
        self.asked: list[str] = []  # the ranges
        self.sent = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            self.asked.append(request.headers.get("Range", ""))
        start = self._start(request)
        status = self.status if self.status != 200 or start is None else 206 if start < len(self.file) else 416
        body = self.file[start or 0 :]
        request.send_response(status)
        for key, value in self.headers.items():
            request.send_header(key, value)
        if start is not None:
            span = f"{start}-{len(self.file) - 1}" if body else "*"
            request.send_header("Content-Range", f"bytes {span}/{len(self.file)}")
        if not self.in_chunks:
            request.send_header("Content-Length", str(len(body)))
        else:
            request.send_header("Transfer-Encoding", "chunked")
            body = (
                b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:700], body[700:])) + b"0\r\n\r\n"
            )
        request.end_headers()
        if request.command == "GET":
            body = body[: self.breaks_after.pop(0)] if self.breaks_after else body
            request.wfile.write(body)
            request.close_connection = True
            self.sent += len(body)

    def _start(self, request: BaseHTTPRequestHandler) -> int | None:
        """Where the answer starts, or nothing for all of it (RFC 9110, 13.1.5)."""
        found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        version = self.headers.get("ETag", self.headers.get("Last-Modified"))
        same = request.headers.get("If-Range") == version
        return int(found[1]) if found and same and self.knows_ranges else None


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802 - the name is given
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
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download.time, "sleep", lambda _: None)


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return zip_of(tmp_path / "made.zip", TWO_CLASSES).read_bytes()


def take_in(address: str, tmp_path: Path, sha256: str | None = None) -> Ingested:
    return ingest(IngestParams(source=address, sha256=sha256), tmp_path / "raw", tmp_path / "downloads")


def refusal(kind: type[PawlineError], address: str, tmp_path: Path, sha256: str | None = None) -> str:
    with pytest.raises(kind) as refused:
        take_in(address, tmp_path, sha256)
    assert not (tmp_path / "raw").exists()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def parts_kept(tmp_path: Path) -> list[int]:
    """Sizes of what stays for the next attempt."""
    return [path.stat().st_size for path in (tmp_path / "downloads").glob("*/content")]


# Over http


def test_an_address_gives_what_its_file_gives_and_leaves_no_copy(
    tmp_path: Path, server: Any, archive: bytes
) -> None:
    server.file = archive
    assert paths(take_in(server.address, tmp_path).rows.table()) == ["cat/1.jpg", "dog/1.jpg"]
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert list((tmp_path / "downloads").iterdir()) == []


def test_what_is_behind_an_address_follows_from_its_bytes(tmp_path: Path, server: Any) -> None:
    """Addresses end as they like; this one says zip and sends a tar."""
    server.file = tar_of(tmp_path / "a.tar.zst", TWO_CLASSES).read_bytes()
    take_in(f"{server.address}?download=1&token=secret", tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": "Sat, 01 Aug 2026 10:00:00 GMT"}])
def test_a_broken_transfer_is_continued_where_it_broke_off(
    tmp_path: Path, server: Any, archive: bytes, headers: dict[str, str]
) -> None:
    server.file, server.headers, server.breaks_after = archive, headers, [1000, 500]
    take_in(server.address, tmp_path)
    assert server.asked == ["", "bytes=1000-", "bytes=1500-"]
    assert server.sent == len(archive)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_after_some_broken_transfers_the_next_command_continues(
    tmp_path: Path, server: Any, archive: bytes
) -> None:
    server.file, server.breaks_after = archive, [100] * 5
    message = refusal(BusyError, server.address, tmp_path)
    assert message.startswith(f"{server.address}: broke off 5 times (")
    assert message.endswith("; the same command continues")
    assert parts_kept(tmp_path) == [500]
    take_in(server.address, tmp_path)
    assert server.asked[-1] == "bytes=500-"
    assert server.sent == len(archive)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_file_that_changed_on_the_server_is_fetched_from_the_start(
    tmp_path: Path, server: Any, archive: bytes
) -> None:
    server.file, server.breaks_after = bytes(3000), [1000] + [0] * 4
    refusal(BusyError, server.address, tmp_path)
    server.file, server.headers = archive, {"ETag": '"2"'}
    take_in(server.address, tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_transfer_of_unknown_length_is_taken_up_to_its_end(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, server.in_chunks, server.breaks_after = archive, True, [900]
    take_in(server.address, tmp_path)
    assert len(server.asked) == 2
    assert content(tmp_path / "raw") == TWO_CLASSES


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}])
def test_without_a_sure_version_nothing_is_continued(
    tmp_path: Path, server: Any, archive: bytes, headers: dict[str, str]
) -> None:
    """Parts of two versions would make a file that never was."""
    server.file, server.headers, server.breaks_after = archive, headers, [1000]
    take_in(server.address, tmp_path)
    assert server.asked == ["", ""]
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_server_that_cannot_continue_sends_all_again(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, server.knows_ranges, server.breaks_after = archive, False, [1000]
    take_in(server.address, tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_server_that_continues_another_file_is_not_believed(
    tmp_path: Path, server: Any, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ignores If-Range and sends the rest of a file with another ETag."""
    server.file, server.breaks_after = bytes(len(archive)), [1000] + [0] * 4
    refusal(BusyError, server.address, tmp_path)
    server.file, server.headers = archive, {"ETag": '"2"'}
    monkeypatch.setattr(server, "_start", lambda request: 1000 if request.headers.get("Range") else None)
    take_in(server.address, tmp_path)
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_refused_archive_is_not_fetched_again(tmp_path: Path, server: Any) -> None:
    server.file = zip_of(tmp_path / "a.zip", {"cat/1.jpg": PICTURE}).read_bytes()
    for _ in range(2):
        assert refusal(DatasetError, server.address, tmp_path) == (
            f"{server.address}: found 1 class folder ('cat'), need at least 2; "
            "put each class in a folder of its own: <class>/*.jpg"
        )
    assert server.sent == len(server.file)
    assert server.asked == ["", f"bytes={len(server.file)}-"]


def test_the_digest_is_checked_before_the_file_is_opened(tmp_path: Path, server: Any, archive: bytes) -> None:
    server.file, digest = b"no archive at all", hashlib.sha256(archive).hexdigest()
    message = refusal(DatasetError, server.address, tmp_path, digest)
    assert message.startswith(f"{server.address}: SHA-256 is {hashlib.sha256(server.file).hexdigest()}, but")
    assert parts_kept(tmp_path) == []
    server.file = archive
    take_in(server.address, tmp_path, digest)
    assert server.asked == ["", ""]


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (404, DatasetError, "the server says 404 Not Found; correct ingest.source in params.yaml"),
        (403, DatasetError, "the server says 403 Forbidden; put the credentials for it into ~/.netrc"),
        (429, BusyError, "the server says 429 Too Many Requests; try again later"),
        (503, BusyError, "the server says 503 Service Unavailable; try again later"),
    ],
)
def test_what_a_server_refuses_is_said_in_one_line(
    tmp_path: Path, server: Any, status: int, kind: type[PawlineError], says: str
) -> None:
    server.status = status
    assert refusal(kind, server.address, tmp_path) == f"{server.address}: {says}"


def test_no_connection_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/a.zip"
        message = refusal(BusyError, address, tmp_path)
    assert message == f"{address}: no connection: Connection refused; try again"


@pytest.mark.parametrize("address", ["http://", "http://a b/c.zip", "http://[bad/c.zip"])
def test_what_is_no_address_is_a_mistake_in_the_params(tmp_path: Path, address: str) -> None:
    assert refusal(ParamsError, address, tmp_path).startswith("ingest.source is ")


def test_passwords_and_tokens_are_not_shown(tmp_path: Path, server: Any) -> None:
    server.status = 404
    address = server.address.replace("http://", "http://me:secret@")
    assert "secret" not in refusal(DatasetError, f"{address}?token=secret", tmp_path)


def test_a_disk_that_is_too_small_is_said_before_it_is_full(
    tmp_path: Path, server: Any, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.file = archive
    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 0, 10))
    with pytest.raises(OSError, match="0.0 GB to fetch, but 0.0 GB free; make room") as refused:
        take_in(server.address, tmp_path)
    assert Path(refused.value.filename).parent == tmp_path / "downloads"


def test_a_table_behind_an_address_has_no_pictures_beside_it(tmp_path: Path) -> None:
    message = refusal(ParamsError, "https://example.org/labels.csv", tmp_path)
    assert message.endswith("a table lists pictures beside it; name their folder or an archive")


# In a bucket


@pytest.fixture
def bucket() -> Iterator[Callable[[str, bytes], None]]:
    """fsspec's file system in memory, which stands for any cloud's."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield lambda path, data: files.pipe_file(path, data)
    files.store.clear()


def test_an_archive_in_a_bucket_is_read(tmp_path: Path, bucket: Any, archive: bytes) -> None:
    bucket("/b/a.zip", archive)
    take_in("memory://b/a.zip", tmp_path, hashlib.sha256(archive).hexdigest())
    assert content(tmp_path / "raw") == TWO_CLASSES
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_transfer_from_a_bucket_is_continued_too(
    tmp_path: Path, bucket: Any, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket("/b/a.zip", archive)
    monkeypatch.setattr(download, "CHUNK_BYTES", 500)
    started: list[int] = []

    def breaks(file: Any) -> Iterator[bytes]:
        started.append(file.tell())
        yield file.read(500)
        if len(started) < 3:
            raise download._BrokenOffError("gone")
        yield file.read()

    monkeypatch.setattr(download, "_chunks", breaks)
    take_in("memory://b/a.zip", tmp_path)
    assert started == [0, 500, 1000]
    assert content(tmp_path / "raw") == TWO_CLASSES


def test_a_folder_in_a_bucket_is_read_without_a_copy(tmp_path: Path, bucket: Any) -> None:
    files = {f"{kind}/{number}.jpg": bytes([number]) for kind in ("cat", "dog") for number in range(50)}
    for path, data in (files | {".hidden": b"x", "readme.txt": b"x"}).items():
        bucket(f"/b/photos/{path}", data)
    assert len(take_in("memory://b/photos", tmp_path).rows) == 100
    assert content(tmp_path / "raw") == files
    assert not (tmp_path / "downloads").exists()


def test_names_in_a_bucket_are_as_foreign_as_those_in_an_archive(tmp_path: Path, bucket: Any) -> None:
    for path in ("cat/1.jpg", "dog/1.jpg", "dog/../../out.jpg"):
        bucket(f"/b/photos/{path}", PICTURE)
    message = refusal(DatasetError, "memory://b/photos", tmp_path)
    assert "entry 'dog/../../out.jpg' would be written outside its folder" in message


def test_what_is_not_in_the_bucket_is_said_in_one_line(tmp_path: Path, bucket: Any) -> None:
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
def test_a_missing_package_is_named_by_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(fsspec.config.conf, "any", {})
    monkeypatch.setitem(__import__("sys").modules, package, None)  # as if it were not installed
    scheme = address.partition(":")[0]
    assert refusal(ParamsError, address, tmp_path) == (
        f"ingest.source {address}: the package for {scheme}:// is missing: pip install 'pawline[{extra}]'"
    )


def test_a_scheme_that_nobody_knows_is_a_mistake_in_the_params(tmp_path: Path) -> None:
    assert "ingest.source pigeon://coop/a.zip: Protocol not known: pigeon" in refusal(
        ParamsError, "pigeon://coop/a.zip", tmp_path
    )


# Under DVC


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_dvc_notices_a_file_that_changed_on_its_server(workspace: Path, server: Any, header: str) -> None:
    """Whatever the server tells versions by; the size is the same, so that only this shows."""
    server.file = zip_of(workspace / "made.zip", TWO_CLASSES).read_bytes()
    server.headers = {header: "Sat, 01 Aug 2026 10:00:00 GMT" if header == "Last-Modified" else '"1"'}
    set_params(workspace, {"ingest.source": server.address})
    done = run(workspace, "dvc", "repro", "--single-item", "ingest")
    assert "download" not in done.stdout + done.stderr  # no progress outside a terminal
    assert content(workspace / "data/raw") == TWO_CLASSES
    assert "up to date" in run(workspace, "dvc", "status", "ingest").stdout
    server.file = server.file.replace(b"dog/1.jpg", b"fox/1.jpg")
    server.headers = {header: "Sat, 01 Aug 2026 11:00:00 GMT" if header == "Last-Modified" else '"2"'}
    assert server.address in run(workspace, "dvc", "status", "ingest").stdout
    run(workspace, "dvc", "repro", "--single-item", "ingest")
    assert set(content(workspace / "data/raw")) == {"cat/1.jpg", "fox/1.jpg"}
    assert list((workspace / ".pawline/downloads").iterdir()) == []
