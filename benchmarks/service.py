"""How much `pawline serve` adds to the answer itself:  python -m benchmarks.service [--seconds 5] [--swaps 1000]

The server has one core and the clients have another. Overhead: a client asks over one connection, in turn with the same
pictures answered in a process on the server's core; both medians and their difference. Load: 1, 8 and 64 clients, with
requests a second, p50 and p99, and answers that are no answers. Swaps: the model's files are replaced again and again
while 8 clients ask. Memory: RssAnon of the server at rest and after all of it.

Needs `models/` of this checkout (`dvc repro`), and the photographs for measuring.
"""

import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from benchmarks.photographs import machine, unpack
from pawline.predict import Predictor
from pawline.workspace.layout import Layout

SERVER_CORE, CLIENT_CORE = {0}, {1}
NUM_WARM, NUM_TIMED = 100, 1000


@contextmanager
def server(model: Path, log: Path) -> Iterator[tuple[str, int, int]]:
    """(host, port, process id) of a service on a core of its own."""
    command = [str(Path(sys.executable).with_name("pawline")), "serve", "--model", str(model), "--port", "0"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORE))
    try:
        while not (address := re.search(r"http://([\d.]+):(\d+)/", log.read_text())):
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.02)
        yield address[1], int(address[2]), process.pid
    finally:
        process.terminate()
        process.wait()


def ask(connection: http.client.HTTPConnection, picture: bytes) -> int:
    connection.request("POST", "/predict", picture, {"Content-Type": "image/jpeg"})
    response = connection.getresponse()
    response.read()
    return response.status


def overhead(place: tuple[str, int], pictures: list[bytes]) -> None:
    predictor, connection = Predictor(Layout().exported), http.client.HTTPConnection(*place)
    calls: dict[str, Callable[[bytes], object]] = {
        "direct": lambda picture: list(predictor.predict([picture])),
        "served": lambda picture: ask(connection, picture),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for picture in islice(cycle(pictures), NUM_WARM + NUM_TIMED):
        for name, call in calls.items():
            os.sched_setaffinity(0, SERVER_CORE if name == "direct" else CLIENT_CORE)
            start = time.perf_counter()
            call(picture)
            times[name].append(1000 * (time.perf_counter() - start))
    in_process, over_http = (statistics.median(times[name][NUM_WARM:]) for name in calls)
    print(
        f"one client: {over_http:.2f} ms over HTTP, {in_process:.2f} in process: {over_http - in_process:.2f} more"
    )


def load(place: tuple[str, int], pictures: list[bytes], num_clients: int, seconds: float) -> None:
    milliseconds: list[float] = []
    failed: list[int] = []
    stop = time.perf_counter() + seconds

    def client(offset: int) -> None:
        connection = http.client.HTTPConnection(*place)
        for picture in cycle(pictures[offset:] + pictures[:offset]):
            start = time.perf_counter()
            if start > stop:
                return
            if (status := ask(connection, picture)) != 200:
                failed.append(status)
            milliseconds.append(1000 * (time.perf_counter() - start))

    clients = [threading.Thread(target=client, args=(number % len(pictures),)) for number in range(num_clients)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    p50, p99 = (percentile(milliseconds, share) for share in (0.5, 0.99))
    print(
        f"{num_clients:2} clients: {len(milliseconds) / seconds:.0f} a second, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"{len(failed)} without an answer"
    )


def percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def swaps(place: tuple[str, int], pictures: list[bytes], model: Path, count: int) -> None:
    """Replace the link to the model's folder, wait until the service answers with it, and so on."""
    asking = threading.Event()
    statuses: list[int] = []

    def client() -> None:
        connection = http.client.HTTPConnection(*place)
        for picture in cycle(pictures):
            if asking.is_set():
                return
            statuses.append(ask(connection, picture))

    clients = [threading.Thread(target=client) for _ in range(8)]
    for each in clients:
        each.start()
    link = model.parent
    for number in range(count):
        new = link.with_name("new")
        new.symlink_to(link.with_name(str(number % 2)))
        new.rename(link)
        time.sleep(0.02)
    asking.set()
    for each in clients:
        each.join()
    failed = [status for status in statuses if status != 200]
    print(f"{count} swaps of the files under load: {len(statuses)} requests, {len(failed)} without an answer")


def anonymous_megabytes(process: int) -> float:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--swaps", type=int, default=1000)
    arguments = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = [path.read_bytes() for path in unpack("cats-dogs-original.zip", folder)[:50]]
        at = Layout()
        for number in ("0", "1"):
            (folder / number).mkdir()
            for file in (at.exported, at.export_card):
                (folder / number / file.name).write_bytes(file.read_bytes())
        (folder / "current").symlink_to(folder / "0")
        with server(folder / "current" / at.exported.name, folder / "log") as (host, port, process):
            print(f"memory at rest: {anonymous_megabytes(process):.0f} MB")
            overhead((host, port), pictures)
            os.sched_setaffinity(0, CLIENT_CORE)
            for num_clients in (1, 8, 64):
                load((host, port), pictures, num_clients, arguments.seconds)
            swaps((host, port), pictures, folder / "current" / at.exported.name, arguments.swaps)
            print(f"memory afterwards: {anonymous_megabytes(process):.0f} MB")


if __name__ == "__main__":
    main()
