"""Run the service until it is stopped; accepted requests are answered first."""

import errno
import logging
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from pawline.errors import BusyError, ParamsError
from pawline.service.app import create_app
from pawline.service.connection import Connection
from pawline.service.current_model import CurrentModel
from pawline.service.figures import Figures
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits
from pawline.service.walks import Walks
from pawline.terminal import say

STOP_SECONDS = 30  # for accepted requests


class _Server(uvicorn.Server):
    """A server that a signal stops once: uvicorn's own gives up on accepted requests at the second Ctrl-C, and raises
    each signal again in the middle of its event loop."""

    stopped_by = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit, self.stopped_by = True, self.stopped_by or sig


def serve(
    model: Path, host: str, port: int, names: list[str], limits: Limits, kept_walks: Path | None = None
) -> int:
    """Answer on host:port, 0 for a free port, until SIGINT or SIGTERM. Returns the exit code, 128 + the signal.

    names: further names under which the service may be addressed. kept_walks: see walks.py.

    Raises ModelError for a model that cannot be loaded, BusyError for a port in use, ParamsError for a port or address
    that this machine does not have."""
    figures = Figures()

    def on_swap(loaded: bool) -> None:
        figures.swap(loaded)
        figures.model(current.predictor.card.model_digest)

    current = CurrentModel(model, on_swap, limits.max_megapixels)
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    app = create_app(current, limits, Hosts([host, *names]), figures, Walks(kept_walks))
    say(
        f"the model {current.predictor.card.model_digest[:12]} answers at http://{shown}:{listening.getsockname()[1]}/"
    )
    _raise_file_limit(limits.max_connections)
    server = _Server(configuration(app, limits))
    server.run(sockets=[listening])
    say("stopped")
    return 128 + server.stopped_by


def configuration(app: Starlette, limits: Limits) -> uvicorn.Config:
    """How uvicorn runs the application."""
    Connection.limits = limits
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # a line for each damaged form
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_level="error",  # a warning for each request that is no HTTP would let anybody fill the disk
        access_log=False,  # it would name who asks
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _raise_file_limit(num_connections: int) -> None:
    """Let the process open a file for each connection, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = num_connections + 200
    if soft < wanted and (hard == resource.RLIM_INFINITY or hard > soft):
        more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OverflowError:
        raise ParamsError(f"port {port}: expected 0 to 65535; --port 0 takes a free one") from None
    except (socket.gaierror, PermissionError) as error:
        raise ParamsError(f"{host}, port {port}: {error.strerror}; name another with --host or --port") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise ParamsError(f"{host}: no address of this machine; name one of its own with --host") from None
        raise BusyError(
            f"{host}, port {port}: {error.strerror}; name another with --port (0: a free one)"
        ) from None
    # asyncio sets this only where the socket names its protocol; without it an answer waits 40 ms for the client's ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
