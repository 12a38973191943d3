"""`pawline serve` beside `mlflow models serve` and LitServe:  python -m benchmarks.serving [--seconds 3] [--rounds 3]

All answer with the same model file and decoder. Pawline gets the bytes of a picture; the other two get them in base64
in JSON, as their pages say, made before. Servers have one core and the clients another; only one server is asked at a
time, in turns of a few seconds, and the others are stopped meanwhile, so that a busy machine meets all of them alike.

Printed is the median of the rounds: requests a second, p50 and p99 in ms at 1, 8 and 64 clients; the server's processor
time for a request, which a busy machine changes least; the ratio to Pawline; the memory at rest of all of a server's
processes (RssAnon). `pawline serve` also runs with batches of one picture, to measure what batches are good for.

Then `pawline serve` alone at a given rate of requests, which arrive evenly or at random (as many clients who know
nothing of each other); the latency counts from the moment at which a request should have been sent. The first rate
keeps the server's processor busy for about 80 % of the time, by its processor time for a request of one client; how
busy it was is measured and printed. The second is 80 % of what 64 clients reached: more, since their pictures are
batched.

LitServe is installed into an environment that is deleted afterwards (needs uv); `--without-litserve` leaves it out.
Needs `models/` of this checkout (`dvc repro`), and the photographs for measuring.
"""

import argparse
import base64
import http.client
import json
import os
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.photographs import machine, unpack
from benchmarks.service import CLIENT_CORE, SERVER_CORE, anonymous_megabytes, percentile
from pawline.workspace.layout import Layout
from tests.background import free_port

CLIENTS = (1, 8, 64)
START_SECONDS = 120
ONE_BY_ONE = "from pawline.service import batches; batches.MOST = 1; from pawline.cli.__main__ import main; main()"
LIT = """
import base64, sys
from pathlib import Path
import litserve
from pawline.predict import Predictor

class Api(litserve.LitAPI):
    def setup(self, device):
        self.predictor = Predictor(Path(sys.argv[1]))
    def decode_request(self, request):
        return base64.b64decode(request["image"])
    def predict(self, picture):
        return next(iter(self.predictor.predict([picture])))
    def encode_response(self, prediction):
        return {"label": prediction.label, "probabilities": prediction.probabilities}

if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error")
"""


@dataclass
class Server:
    name: str
    process: psutil.Process
    port: int
    path: str
    kind: str  # content type
    bodies: list[bytes]

    def ask(self, connection: http.client.HTTPConnection, number: int) -> bool:
        """Whether an answer came."""
        connection.request("POST", self.path, self.bodies[number % len(self.bodies)], {"Content-Type": self.kind})
        response = connection.getresponse()
        response.read()
        return response.status == 200

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def all_processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def memory(self) -> float:
        return sum(anonymous_megabytes(each.pid) for each in self.all_processes())

    def processor_seconds(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self.all_processes())

    def signal(self, number: signal.Signals) -> None:
        for each in self.all_processes():
            each.send_signal(number)


@contextmanager
def started(
    name: str, command: list[str], port: str, path: str, kind: str, bodies: list[bytes], log: Path
) -> Iterator[Server]:
    """A server in a group of its own, once it answers."""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "DO_NOT_TRACK": "1"}
    pin: Callable[[], None] = lambda: os.sched_setaffinity(0, SERVER_CORE)  # noqa: E731
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=environment, preexec_fn=pin, start_new_session=True
        )
    server = Server(name, psutil.Process(process.pid), int(port), path, kind, bodies)
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(server):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{name} does not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _answers(server: Server) -> bool:
    try:
        return server.ask(server.connection(), 0)
    except (OSError, http.client.HTTPException):
        return False


def logged_for_mlflow(folder: Path) -> Path:
    """The folder of the model as the stage `export` logs it, in a store of its own."""
    import mlflow

    from pawline.card import parse_card
    from pawline.tracking.logged_model import log_model

    at = Layout()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("one", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment("one")
    with mlflow.start_run():
        log_model(at.exported, parse_card(at.card))
    [found] = (folder / "artifacts").rglob("MLmodel")
    return found.parent


def litserve_python(folder: Path) -> str:
    """The interpreter of a new environment with LitServe and what the model needs."""
    python = str(folder / "bin/python")
    packages = ["litserve", "numpy", "onnxruntime", "opencv-python-headless", "pillow"]
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--python", python, "-c", "requirements.lock", *packages], check=True
    )
    return python


@contextmanager
def all_servers(folder: Path, pictures: list[bytes], with_litserve: bool) -> Iterator[list[Server]]:
    texts = [base64.b64encode(picture).decode() for picture in pictures]
    frames = [json.dumps({"dataframe_split": {"columns": ["image"], "data": [[text]]}}).encode() for text in texts]
    images = [json.dumps({"image": text}).encode() for text in texts]
    binaries, model = Path(sys.executable).parent, str(Layout().exported.resolve())
    pawline, one_by_one, flow, lit = (free_port() for _ in range(4))
    command = [str(binaries / "mlflow"), "models", "serve", "-m", str(logged_for_mlflow(folder))]
    command += ["--env-manager", "local", "--port", flow]
    own = ["serve", "--model", model, "--port"]
    alone = [sys.executable, "-c", ONE_BY_ONE, *own, one_by_one]
    with ExitStack() as stack:
        found = [
            (
                "pawline serve",
                [str(binaries / "pawline"), *own, pawline],
                pawline,
                "/predict",
                "image/jpeg",
                pictures,
            ),
            ("the same without batches", alone, one_by_one, "/predict", "image/jpeg", pictures),
            ("mlflow models serve", command, flow, "/invocations", "application/json", frames),
        ]
        if with_litserve:
            script = folder / "lit.py"
            script.write_text(LIT)
            python = litserve_python(folder / "environment")
            found.append(
                ("LitServe", [python, str(script), model, lit], lit, "/predict", "application/json", images)
            )
        yield [
            stack.enter_context(started(*one, folder / f"log-{number}"))  # type: ignore[arg-type]
            for number, one in enumerate(found)
        ]


def closed_loop(server: Server, num_clients: int, seconds: float) -> tuple[list[float], int]:
    """(milliseconds of each request, how many failed): each client asks again once it has its answer."""
    times: list[float] = []
    failed: list[int] = []
    stop = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = server.connection()
        while (start := time.perf_counter()) < stop:
            if not server.ask(connection, number):
                failed.append(number)
            times.append(1000 * (time.perf_counter() - start))
            number += 1

    clients = [threading.Thread(target=client, args=(number,)) for number in range(num_clients)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return times, len(failed)


def open_loop(server: Server, rate: float, seconds: float, at_random: bool) -> list[float]:
    """Milliseconds from the moment at which each request should be sent to its answer. rate: requests a second."""
    times: list[float] = []
    waiting: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def client(number: int) -> None:
        connection = server.connection()
        while (due := waiting.get()) is not None:
            server.ask(connection, number)
            times.append(1000 * (time.perf_counter() - due))
            number += 1

    clients = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for each in clients:
        each.start()
    draw, due = random.Random(1), time.perf_counter()
    end = due + seconds
    while due < end:
        due += draw.expovariate(rate) if at_random else 1 / rate
        time.sleep(max(0, due - time.perf_counter()))
        waiting.put(due)
    for _ in clients:
        waiting.put(None)
    for each in clients:
        each.join()
    return times


def measure(servers: list[Server], seconds: float, rounds: int) -> dict[tuple[str, int], list[list[float]]]:
    """A row per round for each server and number of clients: requests a second, p50, p99, ms of processor
    time for a request, failed."""
    rows: dict[tuple[str, int], list[list[float]]] = {}
    for _ in range(rounds):
        for num_clients in CLIENTS:
            for server in servers:
                server.signal(signal.SIGCONT)
                closed_loop(server, num_clients, 0.3)
                before = server.processor_seconds()
                times, failed = closed_loop(server, num_clients, seconds)
                processor = 1000 * (server.processor_seconds() - before) / len(times)
                server.signal(signal.SIGSTOP)
                row = [len(times) / seconds, percentile(times, 0.5), percentile(times, 0.99), processor, failed]
                rows.setdefault((server.name, num_clients), []).append(row)
    return rows


def report(
    servers: list[Server], rows: dict[tuple[str, int], list[list[float]]], memory: dict[str, float]
) -> None:
    columns = "server", "requests a second", "p50 ms", "p99 ms", "processor ms", "failed", "times Pawline's rate"
    print(f"\n| clients | {' | '.join(columns)} | MB at rest |\n{'|---' * (len(columns) + 2)}|")
    for num_clients in CLIENTS:
        own = statistics.median(row[0] for row in rows[servers[0].name, num_clients])
        for server in servers:
            found = rows[server.name, num_clients]
            rate, p50, p99, processor = (statistics.median(row[place] for row in found) for place in range(4))
            print(
                f"| {num_clients} | {server.name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {processor:.1f} | "
                f"{sum(row[4] for row in found):.0f} | {rate / own:.2f} | {memory[server.name]:.0f} |"
            )


def at_rate(server: Server, rate: float, seconds: float, rounds: int) -> None:
    """Print the latency where so many requests a second arrive, evenly and at random."""
    for name, at_random in (("evenly", False), ("at random", True)):
        p50, p99, ratio, busy = [], [], [], []
        for _ in range(rounds):
            start, before = time.perf_counter(), server.processor_seconds()
            times = open_loop(server, rate, seconds, at_random)
            busy.append((server.processor_seconds() - before) / (time.perf_counter() - start))
            p50.append(percentile(times, 0.5))
            p99.append(percentile(times, 0.99))
            ratio.append(p99[-1] / p50[-1])
        print(
            f"{rate:.0f} requests a second, {name}: the processor was busy for {statistics.median(busy):.0%}, p50 "
            f"{statistics.median(p50):.1f} ms, p99 {statistics.median(p99):.1f} ms, {statistics.median(ratio):.1f} "
            "times p50",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-litserve", action="store_true")
    arguments = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f} at the start", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = [path.read_bytes() for path in unpack("cats-dogs-original.zip", folder / "photographs")[:50]]
        with all_servers(folder, pictures, not arguments.without_litserve) as servers:
            memory = {server.name: server.memory() for server in servers}
            for server in servers:
                server.signal(signal.SIGSTOP)
            os.sched_setaffinity(0, CLIENT_CORE)
            rows = measure(servers, arguments.seconds, arguments.rounds)
            report(servers, rows, memory)
            rows_of_one, rows_of_most = (rows[servers[0].name, number] for number in (CLIENTS[0], CLIENTS[-1]))
            milliseconds = statistics.median(row[3] for row in rows_of_one)
            most = statistics.median(row[0] for row in rows_of_most)
            servers[0].signal(signal.SIGCONT)
            for rate in (0.8 * 1000 / milliseconds, 0.8 * most):
                at_rate(servers[0], rate, arguments.seconds, arguments.rounds)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main()
