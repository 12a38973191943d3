"""Download a source from an address: keep it outside of DVC's outputs, resume after an interruption, check the digest.

Credentials come from the environment or from the provider's own files (~/.netrc, ~/.aws, gcloud …), never from
params.yaml, which is in git.
"""

import errno
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import filelock
import requests
import urllib3
from tqdm import tqdm

from pawline.addresses import public_address
from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError, root_cause
from pawline.files import check_digest, write_json
from pawline.sources.buckets import Bucket, open_bucket

CHUNK_BYTES = 2**20
# How many times one command tries a transfer that is interrupted; the next command resumes it.
ATTEMPTS = 5
TIMEOUT_SECONDS = (10, 60)  # to connect, and between two chunks


@contextmanager
def open_download(address: str, folder: Path, sha256: str | None = None) -> Iterator[Path]:
    """Download a file and yield its path; the file is deleted when the block succeeds.

    Until then the bytes stay below `folder`, so that the next attempt resumes the download or finds it complete.
    Raises DatasetError for a missing file or a wrong digest, ParamsError for a wrong address, and BusyError where
    another attempt may succeed.
    """
    place = folder / hashlib.sha256(address.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    content = place / "content"
    with filelock.FileLock(place / "lock"):  # another experiment may download the same file
        _download(address, content)
        if sha256:
            _check_content_digest(content, sha256, public_address(address))
        yield content
        shutil.rmtree(place, ignore_errors=True)


def _check_content_digest(content: Path, sha256: str, name: str) -> None:
    try:
        check_digest(content, sha256, name)
    except DatasetError:
        content.unlink()  # or every later attempt would resume the wrong file
        raise


@dataclass(frozen=True)
class _Version:
    """Identifies the version of a file on a server; `tag` is empty where the server gives none."""

    tag: str = ""
    num_bytes: int | None = None


@dataclass(frozen=True)
class _Reply:
    """The bytes of a file from `start` on; `start` is 0 where the server's file differs from the kept part."""

    version: _Version
    start: int
    chunks: Iterator[bytes]


class _ConnectionLostError(Exception):
    """The connection was lost during the transfer."""


class _CannotResumeError(Exception):
    """The server cannot send the rest of the kept part, so the download must start again."""


def _download(address: str, content: Path) -> None:
    problem = ""
    for attempt in range(ATTEMPTS):
        try:
            return _resume(address, content)
        except _CannotResumeError:
            content.unlink()
        except _ConnectionLostError as error:
            problem = f" ({error})"
            time.sleep(attempt)
    name = public_address(address)
    raise BusyError(f"{name}: the download was interrupted {ATTEMPTS} times{problem}; the same command continues")


def _resume(address: str, content: Path) -> None:
    kept_version = _read_kept_version(content)
    num_kept = content.stat().st_size if kept_version.tag and content.exists() else 0
    request = _request_from_server if urlsplit(address).scheme in ("http", "https") else _request_from_bucket
    with request(address, kept_version, num_kept) as reply, content.open("r+b" if reply.start else "wb") as file:
        file.seek(reply.start)
        write_json(_version_file(content), asdict(reply.version))
        _check_free_space(content, reply)
        _write(file, reply, public_address(address))
    if reply.version.num_bytes not in (None, content.stat().st_size):
        raise _ConnectionLostError("the file is incomplete")


def _write(file: BinaryIO, reply: _Reply, name: str) -> None:
    progress = tqdm(
        desc=f"download {name.rpartition('/')[2]}",
        initial=reply.start,
        total=reply.version.num_bytes,
        unit="B",
        unit_scale=True,
        disable=None,
    )
    with progress:
        for chunk in reply.chunks:
            file.write(chunk)
            progress.update(len(chunk))


def _check_free_space(content: Path, reply: _Reply) -> None:
    missing = (reply.version.num_bytes or 0) - reply.start
    free = shutil.disk_usage(content.parent).free
    if missing > free:
        problem = f"{missing / 1e9:.1f} GB to download, but {free / 1e9:.1f} GB free; make room"
        raise OSError(errno.ENOSPC, problem, str(content.parent))


def _version_file(content: Path) -> Path:
    return content.with_name("version.json")


def _read_kept_version(content: Path) -> _Version:
    try:
        return _Version(**json.loads(_version_file(content).read_text()))
    except (OSError, ValueError, TypeError):
        return _Version()


# Requests to a web server


@contextmanager
def _request_from_server(address: str, kept_version: _Version, num_kept: int) -> Iterator[_Reply]:
    headers = {"Accept-Encoding": "identity"}
    if num_kept:  # If-Range: the server sends the whole file where its version differs from the kept part
        headers |= {"Range": f"bytes={num_kept}-", "If-Range": kept_version.tag}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            yield _parse_response(response, kept_version, num_kept)
    except urllib3.exceptions.HTTPError as error:
        raise _ConnectionLostError(root_cause(error)) from None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise BusyError(f"{public_address(address)}: no connection: {root_cause(error)}; try again") from None
    except requests.RequestException as error:
        raise ParamsError(f"ingest.source is {public_address(address)}: {error}") from None


def _parse_response(response: requests.Response, kept_version: _Version, num_kept: int) -> _Reply:
    tag, status = _tag(response), response.status_code
    span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if num_kept and status == 416 and span and int(span[2]) == num_kept:  # the kept part is complete
        return _Reply(kept_version, num_kept, iter(()))
    if num_kept and status in (206, 416):
        if status == 416 or not span or int(span[1] or -1) != num_kept or tag not in ("", kept_version.tag):
            raise _CannotResumeError
        return _Reply(_Version(kept_version.tag, int(span[2])), num_kept, _body_chunks(response))
    if status != 200:
        raise _refusal(response)
    length = response.headers.get("Content-Length")
    return _Reply(_Version(tag, int(length) if length else None), 0, _body_chunks(response))


def _body_chunks(response: requests.Response) -> Iterator[bytes]:
    # iter_content would wait for a whole chunk and lose a part of it when the connection is lost.
    return iter(lambda: response.raw.read1(CHUNK_BYTES), b"")


def _tag(response: requests.Response) -> str:
    tag = response.headers.get("ETag", "")
    # A weak tag promises equal meaning, not equal bytes, so parts of two versions could be joined.
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _refusal(response: requests.Response) -> PawlineError:
    name, status = public_address(response.url), f"{response.status_code} {response.reason}"
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        return BusyError(f"{name}: the server says {status}; try again later")
    if response.status_code in (401, 403):
        return DatasetError(f"{name}: the server says {status}; put the credentials for it into ~/.netrc")
    return DatasetError(f"{name}: the server says {status}; correct ingest.source in params.yaml")


# Requests to a bucket


@contextmanager
def _request_from_bucket(address: str, kept_version: _Version, num_kept: int) -> Iterator[_Reply]:
    bucket = open_bucket(address)
    start = num_kept if bucket.tag == kept_version.tag else 0
    with _open_file(bucket) as file:
        file.seek(start)
        yield _Reply(_Version(bucket.tag, bucket.num_bytes), start, _chunks(file))


def _open_file(bucket: Bucket) -> BinaryIO:
    try:
        file: BinaryIO = bucket.files.open(bucket.path, "rb")
    except Exception as error:  # each provider's package raises its own exceptions
        raise _ConnectionLostError(str(error)) from None
    return file


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from iter(lambda: file.read(CHUNK_BYTES), b"")
    except Exception as error:  # each provider's package raises its own exceptions
        raise _ConnectionLostError(str(error)) from None
