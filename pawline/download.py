"""A source behind an address: fetched beside DVC's outputs, continued where it broke off, checked before use.

Credentials come from the environment or from the provider's own files (~/.netrc, ~/.aws, gcloud …), never from
params.yaml, which git keeps.
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

from pawline.buckets import Bucket, open_bucket, shown
from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError, innermost
from pawline.files import file_digest, write_json

CHUNK_BYTES = 2**20
# How often a transfer that breaks off is taken up again before the command gives up; the next one continues.
ATTEMPTS = 5
TIMEOUT_SECONDS = (10, 60)  # to connect, and between two pieces


@contextmanager
def downloaded(address: str, folder: Path, sha256: str | None = None) -> Iterator[Path]:
    """The file behind an address, for the length of the block; removed when the block succeeds.

    What is fetched stays below `folder` until then, so that the next attempt continues it or needs nothing
    at all. Raises DatasetError for what is not there or another file, BusyError where trying again may help.
    """
    place = folder / hashlib.sha256(address.encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    content = place / "content"
    with filelock.FileLock(place / "lock"):  # another experiment may fetch the same
        _fetch(address, content)
        if sha256:
            _check_fetched(content, sha256, shown(address))
        yield content
        shutil.rmtree(place, ignore_errors=True)


def check_digest(file: Path, expected: str, name: str) -> None:
    found = file_digest(file)
    if found != expected.lower():
        raise DatasetError(
            f"{name}: SHA-256 is {found}, but ingest.sha256 says {expected.lower()}; "
            "the file is another one or damaged: get it again, or correct the param"
        )


def _check_fetched(content: Path, sha256: str, name: str) -> None:
    try:
        check_digest(content, sha256, name)
    except DatasetError:
        content.unlink()  # or every further attempt would continue the wrong file
        raise


@dataclass(frozen=True)
class _Version:
    """What tells one state of a file on a server from the next; `tag` is empty where the server does not."""

    tag: str = ""
    num_bytes: int | None = None


@dataclass(frozen=True)
class _Answer:
    """Bytes from `start` on; 0 where the server's file is another one than what is there of it."""

    version: _Version
    start: int
    chunks: Iterator[bytes]


class _BrokenOffError(Exception):
    """The connection went while bytes were coming."""


class _CannotContinueError(Exception):
    """The server does not give the rest of what is there; from the start, then."""


def _fetch(address: str, content: Path) -> None:
    problem = ""
    for attempt in range(ATTEMPTS):
        try:
            return _continue(address, content)
        except _CannotContinueError:
            content.unlink()
        except _BrokenOffError as error:
            problem = f" ({error})"
            time.sleep(attempt)
    raise BusyError(f"{shown(address)}: broke off {ATTEMPTS} times{problem}; the same command continues")


def _continue(address: str, content: Path) -> None:
    known = _known_version(content)
    have = content.stat().st_size if known.tag and content.exists() else 0
    ask = _ask_server if urlsplit(address).scheme in ("http", "https") else _ask_bucket
    with ask(address, known, have) as answer, content.open("r+b" if answer.start else "wb") as file:
        file.seek(answer.start)
        write_json(_version_file(content), asdict(answer.version))
        _check_free_space(content, answer)
        _write(file, answer, shown(address))
    if answer.version.num_bytes not in (None, content.stat().st_size):
        raise _BrokenOffError("it ended early")


def _write(file: BinaryIO, answer: _Answer, name: str) -> None:
    progress = tqdm(
        desc=f"download {name.rpartition('/')[2]}",
        initial=answer.start,
        total=answer.version.num_bytes,
        unit="B",
        unit_scale=True,
        disable=None,
    )
    with progress:
        for chunk in answer.chunks:
            file.write(chunk)
            progress.update(len(chunk))


def _check_free_space(content: Path, answer: _Answer) -> None:
    missing = (answer.version.num_bytes or 0) - answer.start
    free = shutil.disk_usage(content.parent).free
    if missing > free:
        problem = f"{missing / 1e9:.1f} GB to fetch, but {free / 1e9:.1f} GB free; make room"
        raise OSError(errno.ENOSPC, problem, str(content.parent))


def _version_file(content: Path) -> Path:
    return content.with_name("version.json")


def _known_version(content: Path) -> _Version:
    try:
        return _Version(**json.loads(_version_file(content).read_text()))
    except (OSError, ValueError, TypeError):
        return _Version()


# Over http


@contextmanager
def _ask_server(address: str, known: _Version, have: int) -> Iterator[_Answer]:
    headers = {"Accept-Encoding": "identity"}
    if have:  # If-Range makes the server send everything where its file is not the one that we have a part of
        headers |= {"Range": f"bytes={have}-", "If-Range": known.tag}
    try:
        with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            yield _understand(response, known, have)
    except urllib3.exceptions.HTTPError as error:
        raise _BrokenOffError(innermost(error)) from None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise BusyError(f"{shown(address)}: no connection: {innermost(error)}; try again") from None
    except requests.RequestException as error:
        raise ParamsError(f"ingest.source is {shown(address)}: {error}") from None


def _understand(response: requests.Response, known: _Version, have: int) -> _Answer:
    tag, status = _tag(response), response.status_code
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if have and status == 416 and found and int(found[2]) == have:  # nothing is left to send
        return _Answer(known, have, iter(()))
    if have and status in (206, 416):
        if status == 416 or not found or int(found[1] or -1) != have or tag not in ("", known.tag):
            raise _CannotContinueError
        return _Answer(_Version(known.tag, int(found[2])), have, _received(response))
    if status != 200:
        raise _refusal(response)
    length = response.headers.get("Content-Length")
    return _Answer(_Version(tag, int(length) if length else None), 0, _received(response))


def _received(response: requests.Response) -> Iterator[bytes]:
    # Not iter_content: it waits for a whole chunk, and what came of it is lost when the connection goes.
    return iter(lambda: response.raw.read1(CHUNK_BYTES), b"")


def _tag(response: requests.Response) -> str:
    tag = response.headers.get("ETag", "")
    # A weak one promises equal meaning, not equal bytes, so that parts of two states may get together.
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _refusal(response: requests.Response) -> PawlineError:
    name, status = shown(response.url), f"{response.status_code} {response.reason}"
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        return BusyError(f"{name}: the server says {status}; try again later")
    if response.status_code in (401, 403):
        return DatasetError(f"{name}: the server says {status}; put the credentials for it into ~/.netrc")
    return DatasetError(f"{name}: the server says {status}; correct ingest.source in params.yaml")


# From a bucket


@contextmanager
def _ask_bucket(address: str, known: _Version, have: int) -> Iterator[_Answer]:
    bucket = open_bucket(address)
    start = have if bucket.tag == known.tag else 0
    with _opened(bucket) as file:
        file.seek(start)
        yield _Answer(_Version(bucket.tag, bucket.num_bytes), start, _chunks(file))


def _opened(bucket: Bucket) -> BinaryIO:
    try:
        opened: BinaryIO = bucket.files.open(bucket.path, "rb")
    except Exception as error:  # each provider's package has errors of its own
        raise _BrokenOffError(str(error)) from None
    return opened


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from iter(lambda: file.read(CHUNK_BYTES), b"")
    except Exception as error:  # each provider's package has errors of its own
        raise _BrokenOffError(str(error)) from None
