"""What `pawline serve` does with requests that nobody should send:  python -m benchmarks.abuse [--only WORD]

Each row of the table: what was sent, what came back, the memory of the service (RssAnon) before, at most meanwhile and
two seconds after, and whether the service then answers a good picture. The service runs with its usual limits; clients
and service share the machine. Takes about two minutes.

Needs `models/` of this checkout (`dvc repro`). Fuzzing from the OpenAPI document is a command of its own:

    schemathesis run http://127.0.0.1:8000/openapi.json --checks all --exclude-checks positive_data_acceptance
"""

import argparse
import gzip
import http.client
import io
import json
import os
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.photographs import machine
from benchmarks.service import anonymous_megabytes, server
from pawline.files import file_digest
from pawline.runtime.export_card import ExportCard, read_export_card, write_export_card
from pawline.workspace.layout import Layout

MB = 10**6
PNG, JPEG = {"Content-Type": "image/png"}, {"Content-Type": "image/jpeg"}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}

Place = tuple[str, int]


def good_picture() -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)).save(content, "JPEG")
    return content.getvalue()


def large_png(side: int, *, claimed_only: bool = False) -> bytes:
    """A gray PNG of side x side black pixels; claimed_only: its header alone says so."""
    rows = 1 if claimed_only else side
    pack = zlib.compressobj(9)
    pixels = b"".join([*(pack.compress(bytes(side + 1)) for _ in range(rows)), pack.flush()])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def large_jpeg(side: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (side, side)).save(content, "JPEG")
    return content.getvalue()


def ask(place: Place, body: Any, headers: dict[str, str], path: str = "/predict") -> tuple[str, str]:
    """(status, line) of one request. body: bytes, or an iterator of them, which is sent in chunks."""
    connection = http.client.HTTPConnection(*place, timeout=120)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused meanwhile: the answer may have come before
            connection.request("POST", path, body, headers, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        return str(response.status), _line(response.read())
    except (OSError, http.client.HTTPException) as error:
        return "none", type(error).__name__
    finally:
        connection.close()


def raw(place: Place, *parts: bytes, pause: float = 0, half_close: bool = False) -> tuple[str, str]:
    """(status, line) after sending bytes as they are."""
    with socket.create_connection(place, timeout=120) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError as error:
            return "none", f"closed: {type(error).__name__}"
    head, _, body = answer.partition(b"\r\n\r\n")
    return (head.split()[1].decode(), _line(body)) if head else ("none", "closed without an answer")


def _line(body: bytes) -> str:
    if body.startswith(b"<!doctype"):
        return "a page"
    try:
        return str(json.loads(body).get("error", "a prediction"))
    except ValueError:
        return body[:80].decode(errors="replace")


def many(place: Place, count: int, one: Callable[[Place], tuple[str, str]]) -> tuple[str, str]:
    """The statuses of `count` requests at once, and the line of the commonest refusal."""
    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda _: one(place), range(count)))
    statuses = Counter(status for status, _ in found)
    lines = Counter(line for status, line in found if status != "200")
    shown = ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items()))
    return shown, lines.most_common(1)[0][0] if lines else "predictions"


def head(**headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()


def part(name: str, content: bytes, extra: bytes = b"") -> bytes:
    return (
        b'--b\r\nContent-Disposition: form-data; name="picture"; filename="%s"\r\n' % name.encode()
        + extra
        + b"\r\n"
        + content
        + b"\r\n"
    )


def zeros(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield bytes(MB)


def slow_heads(place: Place) -> tuple[str, str]:
    """A byte of the head each second."""
    return many(place, 200, lambda at: raw(at, *[bytes([one]) for one in head()[:40]], pause=1))


def deaf(place: Place) -> tuple[str, str]:
    """Ask for a walk, a page that the system's buffers do not hold, and read nothing; see when the service lets go of
    each connection. (What it has sent by then still waits for the client, which therefore notices nothing.)"""
    picture = good_picture()
    request = head(Content_Type="image/jpeg", Content_Length=str(len(picture))).replace(b"/predict", b"/explain")
    silent = [socket.socket() for _ in range(4)]
    for connection in silent:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(place)
        connection.sendall(request + picture)
    own, ports = os.getpid(), {connection.getsockname()[1] for connection in silent}
    start, closed = time.monotonic(), list[float]()
    while len(closed) < len(silent) and time.monotonic() - start < 60:
        time.sleep(0.5)
        pairs = ((one.pid, one.raddr.port) for one in psutil.net_connections("tcp") if one.raddr)
        held = sum(port in ports and pid not in (None, own) for pid, port in pairs)
        closed += [time.monotonic() - start] * (len(silent) - len(closed) - held)
    for connection in silent:
        connection.close()
    if len(closed) < len(silent):
        return "none", f"{len(silent) - len(closed)} are open after 60 s"
    return "none", f"all closed after {closed[-1]:.0f} s"


def connections(place: Place) -> tuple[str, str]:
    silent, refused = [], Counter[str]()
    for _ in range(2500):
        silent.append(socket.create_connection(place))
    time.sleep(1)
    line = ""
    for connection in silent:
        connection.setblocking(False)
        try:
            answer = connection.recv(4096)
            refused[answer.split()[1].decode() if answer else "closed"] += 1
            line = _line(answer.partition(b"\r\n\r\n")[2]) or line
        except BlockingIOError:
            refused["open"] += 1
        except OSError:
            refused["reset"] += 1
    for connection in silent:
        connection.close()
    return ", ".join(f"{number} x {status}" for status, number in sorted(refused.items())), line


def damaged(model: Path) -> Callable[[Place], tuple[str, str]]:
    def kind(place: Place) -> tuple[str, str]:
        before = model.read_bytes()
        model.write_bytes(before[: len(before) // 2])
        time.sleep(1.5)
        answer = ask(place, good_picture(), JPEG)
        model.write_bytes(before)
        return answer[0], f"{answer[1]} by the model before"

    return kind


def foreign(model: Path) -> Callable[[Place], tuple[str, str]]:
    def kind(place: Place) -> tuple[str, str]:
        before, card = model.read_bytes(), read_export_card(model)
        model.write_bytes(before.replace(b"logits", b"scores"))
        write_export_card(model, ExportCard(**{**card.__dict__, "digest": file_digest(model)}))
        time.sleep(1.5)
        answer = ask(place, good_picture(), JPEG)
        model.write_bytes(before)
        write_export_card(model, card)
        time.sleep(1.5)
        return answer[0], f"{answer[1]} by the model before"

    return kind


def kinds(model: Path) -> dict[str, Callable[[Place], tuple[str, str]]]:
    picture, bomb, jpeg = good_picture(), large_png(8000), large_jpeg(16_000)
    cut = picture[: len(picture) // 2]
    many_parts = b"".join(part("x", b"") for _ in range(65_000)) + b"--b--\r\n"
    almost = part("x", b"\r\n-" * (10 * MB)) + b"--b--\r\n"
    announced = head(Content_Type="image/png", Content_Length=str(100 * MB))
    packed = {**PNG, "Content-Encoding": "gzip"}
    length = {"Content_Type": "image/png", "Content_Length": "100000"}
    return {
        "PNG that claims 60,000 x 60,000": lambda at: ask(at, large_png(60_000, claimed_only=True), PNG),
        "PNG of 8,000 x 8,000 in 62 kB, 16 at once": lambda at: many(at, 16, lambda to: ask(to, bomb, PNG)),
        "JPEG of 16,000 x 16,000, 4 at once": lambda at: many(at, 4, lambda to: ask(to, jpeg, PNG)),
        "the same to /explain": lambda at: ask(at, jpeg, PNG, "/explain"),
        "100 MB in 100 kB of gzip": lambda at: ask(at, gzip.compress(bytes(100 * MB)), packed),
        "100 MB": lambda at: ask(at, bytes(100 * MB), PNG),
        "100 MB, `Connection: close`": lambda at: ask(at, bytes(100 * MB), {**PNG, "Connection": "close"}),
        "100 MB announced, nothing sent": lambda at: raw(at, announced),
        "100 MB in chunks without a length": lambda at: ask(at, zeros(100), PNG),
        "30 MB, 20 at once": lambda at: many(at, 20, lambda to: ask(to, bytes(30 * MB), PNG)),
        "JSON": lambda at: ask(at, b"{}", {"Content-Type": "application/json"}),
        "no content type": lambda at: ask(at, b"x", {}),
        "a form without a boundary": lambda at: ask(at, b"x", {"Content-Type": "multipart/form-data"}),
        "half a picture": lambda at: ask(at, cut, JPEG),
        "half a request, then the end": lambda at: raw(at, head(**length), cut[:1000], half_close=True),
        "65,000 parts": lambda at: ask(at, many_parts, FORM),
        "a part with a header of 1 MB": lambda at: ask(at, part("x", b"", b"X: %s\r\n" % (b"y" * MB)), FORM),
        "30 MB of almost boundaries": lambda at: ask(at, almost, FORM),
        "a header of 1 MB": lambda at: raw(at, head(X="y" * MB)),
        "no HTTP (a TLS hello)": lambda at: raw(at, b"\x16\x03\x01\x02\x00\x01" + bytes(500) + b"\r\n\r\n"),
        "`Host: evil.example`": lambda at: ask(at, picture, {**PNG, "Host": "evil.example"}),
        "`Origin: https://evil.example`": lambda at: ask(at, picture, {**PNG, "Origin": "https://evil.example"}),
        "1,000 at once": lambda at: many(at, 1000, lambda to: ask(to, picture, JPEG)),
        "2,500 connections that ask nothing": connections,
        "200 heads, a byte a second": slow_heads,
        "a body, a byte a second": lambda at: raw(at, head(**length), *[b"x"] * 40, pause=1),
        "4 that read nothing of a walk each": deaf,
        "the model's file cut in half meanwhile": damaged(model),
        "a foreign model in its place meanwhile": foreign(model),
    }


class Watch:
    """The largest memory of a process while it is watched."""

    def __init__(self, process: int) -> None:
        self._process, self._over, self.most = process, threading.Event(), anonymous_megabytes(process)
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, anonymous_megabytes(self._process))

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self.most


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="the rows whose name holds this word")
    arguments = parser.parse_args()
    print(machine(), flush=True)
    print("\n| sent | status | line | MB before | at most | after | then a good picture |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder, at = Path(name), Layout()
        for file in (at.exported, at.export_card, at.card):
            (folder / file.name).write_bytes(file.read_bytes())
        model = folder / at.exported.name
        with server(model, folder / "log") as (host, port, process):
            place = host, port
            ask(place, good_picture(), JPEG)
            for kind, send in kinds(model).items():
                if arguments.only not in kind:
                    continue
                before, watch = anonymous_megabytes(process), Watch(process)
                status, line = send(place)
                most = watch.stop()
                time.sleep(2)
                after = anonymous_megabytes(process)
                then = ask(place, good_picture(), JPEG)[0]
                print(
                    f"| {kind} | {status} | {line} | {before:.0f} | {most:.0f} | {after:.0f} | {then} |",
                    flush=True,
                )
            log = (folder / "log").read_text().splitlines()
            print(f"\nThe log has {len(log)} lines; with a traceback: {sum('Traceback' in one for one in log)}")
            print("\n".join(log[-12:]))


if __name__ == "__main__":
    main()
