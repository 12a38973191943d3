"""Run the service until it is stopped; accepted requests are answered first."""

import socket
from pathlib import Path

import uvicorn

from pawline.errors import BusyError, ParamsError
from pawline.service.app import create_app
from pawline.service.current_model import CurrentModel
from pawline.service.figures import Figures
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits
from pawline.terminal import say

STOP_SECONDS = 30  # for accepted requests


def serve(model: Path, host: str, port: int, names: list[str], limits: Limits) -> None:
    """Answer on host:port, 0 for a free port, until SIGINT or SIGTERM.

    names: further names under which the service may be addressed. Raises ModelError for a model that cannot be loaded,
    BusyError for a port in use, ParamsError for an address that is not this machine's."""
    figures = Figures()

    def on_swap(loaded: bool) -> None:
        figures.swap(loaded)
        figures.model(current.predictor.card.model_digest)

    current = CurrentModel(model, on_swap)
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    app = create_app(current, limits, Hosts([host, *names]), figures)
    say(
        f"the model {current.predictor.card.model_digest[:12]} answers at http://{shown}:{listening.getsockname()[1]}/"
    )
    uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,  # it would name who asks
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    ).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except (socket.gaierror, PermissionError, OverflowError) as error:
        raise ParamsError(f"{host}, port {port}: {getattr(error, 'strerror', None) or error}") from None
    except OSError as error:
        raise BusyError(
            f"{host}, port {port}: {error.strerror}; name another with --port (0: a free one)"
        ) from None
    # asyncio sets this only where the socket names its protocol; without it an answer waits 40 ms for the client's ACK.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
