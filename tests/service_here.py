"""The service in a thread of the test's own process: no start of Python, and limits that no option sets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from pawline.service.app import create_app
from pawline.service.current_model import CurrentModel
from pawline.service.figures import Figures
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits
from pawline.service.server import configuration
from pawline.service.walks import Walks


@contextmanager
def service_here(model: Path, limits: Limits, kept_walks: Path | None) -> Iterator[tuple[str, int]]:
    """(host, port) of a service with this model."""
    current = CurrentModel(model, max_megapixels=limits.max_megapixels)
    app = create_app(current, limits, Hosts([]), Figures(), Walks(kept_walks))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configuration(app, limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()
        configuration(app, Limits())
