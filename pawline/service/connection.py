"""A connection: closed where its client neither asks nor takes its answer, so that idle ones cannot use up all."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from pawline.service.limits import Limits

HEAD = (
    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
)


class Connection(H11Protocol):
    """uvicorn limits neither the number of connections nor the time for the head of a request, nor does it close a
    connection whose client does not read."""

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._before: tuple[Any, int] | None = None
        self._is_refused = False
        self._looking = self.loop.call_later(0, lambda: None)
        if len(self.connections) > self.limits.max_connections:
            self._refuse("503 Service Unavailable", f"{self.limits.max_connections} are connected: try again")
            self.transport.close()
        else:
            self._look()

    def data_received(self, data: bytes) -> None:
        if not self._is_refused:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._looking.cancel()

    def send_400_response(self, msg: str) -> None:
        begun = self.cycle is not None and not self.cycle.response_complete  # a request whose body is damaged
        if begun:
            self.cycle.disconnected = True  # its handler neither waits for the rest nor answers
            self.cycle.message_event.set()
        if begun and self.cycle.response_started:
            self.transport.close()
            return
        # A connection that is closed while bytes arrive loses the answer: the next look closes it.
        why = ": its body is damaged" if begun else ", or its head is longer than 64 kB"
        self._refuse("400 Bad Request", f"this is no HTTP request{why}")
        self.transport.write_eof()

    def _look(self) -> None:
        """Close the connection if nothing moved since the last look while the client had to do something."""
        unsent = self.transport.get_write_buffer_size()
        now = self.cycle, unsent  # a cycle is one request and its answer
        waits_for_client = self._is_refused or unsent > 0 or self.cycle is None or self.cycle.response_complete
        if waits_for_client and now == self._before:
            self.transport.abort()
        self._before = now
        self._looking = self.loop.call_later(self.limits.head_seconds, self._look)

    def _refuse(self, status: str, line: str) -> None:
        body = json.dumps({"error": line})
        self.transport.write((HEAD.format(status=status, length=len(body)) + body).encode())
        self._is_refused = True
