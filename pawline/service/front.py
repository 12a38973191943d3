"""What stands before every handler: who may ask, how many at once, what is counted, one line for each refusal."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from pawline.service.figures import Figures
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits, RefusedError
from pawline.terminal import say

PIECE = 2**18  # bytes of an answer that are handed on at once: the next waits until the client took most of them
REST_SECONDS = 10.0  # in which a refused client may send the rest of its request, to read the answer afterwards


class Front:
    """The outermost layer of the application."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Any], hosts: Hosts, figures: Figures, limits: Limits
    ) -> None:
        self._app, self._hosts, self._figures, self._limits = app, hosts, figures, limits
        self._most = {"/predict": limits.max_requests, "/explain": limits.max_walks}
        self._at_work = dict.fromkeys(self._most, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, talk = time.perf_counter(), _Talk(receive, send, self._limits.answer_seconds)
        try:
            refusal = await self._refusal(scope, talk)
            if refusal:  # outside of the except blocks: the traceback of an error keeps the request's bytes
                await talk.refuse(refusal)
        finally:
            # Unknown paths share a label, so that requests cannot make new counters.
            label = _path(scope) if "endpoint" in scope else "other"
            self._figures.request(label, talk.status, time.perf_counter() - started)

    async def _refusal(self, scope: Scope, talk: "_Talk") -> JSONResponse | None:
        """Let the application answer; None if it did, else what to answer in its place."""
        try:
            self._hosts.check(Request(scope).headers)
            async with self._counted(_path(scope)):
                await self._app(scope, talk.receive, talk.send)
        except RefusedError as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
            return error_answer(refused.status, str(refused), headers)
        except Exception as error:  # a bug, or no memory: this request alone fails
            say(f"warning: a request failed: {type(error).__name__}: {error}")
            return error_answer(500, "the service failed at this request; its log says why", {})
        return None

    @asynccontextmanager
    async def _counted(self, path: str) -> AsyncIterator[None]:
        """Count a request as long as it takes memory: until its answer is sent."""
        if path not in self._most:
            yield
            return
        if self._at_work[path] >= self._most[path]:
            raise RefusedError(
                429, f"{self._at_work[path]} requests are at work or wait: try again", retry_after=1
            )
        self._at_work[path] += 1
        self._figures.at_work.inc()
        try:
            yield
        finally:
            self._at_work[path] -= 1
            self._figures.at_work.dec()


def _path(scope: Scope) -> str:
    """The path as the routes see it: they match before a newline at its end too."""
    return str(scope["path"]).removesuffix("\n")


class _Talk:
    """One request and its answer, piece by piece."""

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self._receive, self._send, self._seconds = receive, send, seconds
        self._is_read = False  # whole
        self.status = 0  # as long as no answer has begun

    async def receive(self) -> Message:
        message = await self._receive()
        self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Hand on a part of the answer in pieces. A client that takes it too slowly gets no more of it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            await self._send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                for start in range(0, len(body) or 1, PIECE):
                    end = start + PIECE
                    await self._send({**message, "body": body[start:end], "more_body": more or end < len(body)})

    async def refuse(self, answer: JSONResponse) -> None:
        """Send an answer, and take the rest of the request before its end: a client that sends a large request reads
        the answer afterwards, and a connection that is closed before loses it."""
        if self.status:
            return  # half an answer stands; the server ends the connection
        self.status = answer.status_code
        await self._send({"type": "http.response.start", "status": self.status, "headers": answer.raw_headers})
        await self._send({"type": "http.response.body", "body": answer.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                while not self._is_read:
                    await self.receive()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def error_answer(status: int, line: str, headers: dict[str, str]) -> JSONResponse:
    """The form of every refusal."""
    return JSONResponse({"error": line}, status, headers)
