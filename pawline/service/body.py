"""The pictures of a request: read within the limits, kept in memory alone."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from pawline.service.limits import MEGABYTE, Limits, RefusedError

FORM = "multipart/form-data"
BINARY = "application/octet-stream"
EXPECTED = (
    f"send pictures as {FORM} (curl -F picture=@cat.jpg), or one with its type (-H 'Content-Type: image/jpeg')"
)


class _MemoryParser(MultiPartParser):
    # Starlette moves larger files to disk; uploads stay in memory here, and `Bodies` bounds them.
    spool_max_size = 2**40


class Bodies:
    """Reads requests, and counts the bytes of all that are in memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._num_bytes = 0

    @asynccontextmanager
    async def pictures(self, request: Request) -> AsyncIterator[list[bytes]]:
        """Give the pictures of a request, at least one, in order; their memory counts until the block ends.

        Raises RefusedError: 400 for a damaged form, 408 for a slow client, 413 for too much, 415 for another type,
        422 for no picture, 503 where others fill the memory."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (kind in (FORM, BINARY) or kind.startswith("image/")):
            raise RefusedError(415, f"content type {kind[:80] or 'none'}: {EXPECTED}")
        self._refuse_announced(request)
        counted, pictures = _Count(), list[bytes]()
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                chunks = self._chunks(request, counted)
                pictures += await (self._of_form(request, chunks) if kind == FORM else _of_body(chunks))
            yield pictures
        except TimeoutError:
            raise RefusedError(408, f"the request did not arrive within {self._limits.send_seconds:g} s") from None
        except ClientDisconnect:
            raise RefusedError(400, "the client left before it had sent its request") from None
        finally:
            pictures.clear()  # the traceback of a refusal keeps the list alive for a while
            self._num_bytes -= counted.num_bytes

    def _refuse_announced(self, request: Request) -> None:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._limits.max_body:
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        return RefusedError(
            413, f"a request may have {self._limits.max_body // MEGABYTE} MB: send fewer, smaller pictures"
        )

    async def _chunks(self, request: Request, counted: "_Count") -> AsyncGenerator[bytes, None]:
        async for chunk in request.stream():
            counted.num_bytes += len(chunk)
            self._num_bytes += len(chunk)
            if counted.num_bytes > self._limits.max_body:
                raise self._too_large()
            if self._num_bytes > self._limits.max_bodies:
                raise RefusedError(503, "other requests fill the memory: try again", retry_after=1)
            yield chunk

    async def _of_form(self, request: Request, chunks: AsyncGenerator[bytes, None]) -> list[bytes]:
        most = self._limits.max_pictures
        # One file more than allowed, since the parser's own refusal has no number to tell it by.
        parser = _MemoryParser(request.headers, chunks, max_files=most + 1, max_fields=most)
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, UnicodeError) as error:
            if "Too many files" in str(error):
                raise self._too_many() from None
            raise RefusedError(400, f"the form cannot be read: {_line(error)}") from None
        try:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            if len(files) > most:
                raise self._too_many()
            if not files:
                raise RefusedError(
                    422, "the form holds no file: send each picture as a file (curl -F picture=@cat.jpg)"
                )
            return [await file.read() for file in files]
        finally:
            await form.close()

    def _too_many(self) -> RefusedError:
        return RefusedError(413, f"a request may have {self._limits.max_pictures} pictures: send fewer at once")


class _Count:
    num_bytes = 0


async def _of_body(chunks: AsyncGenerator[bytes, None]) -> list[bytes]:
    body = bytearray()  # grows in place, where a list of chunks would leave the memory in pieces
    async for chunk in chunks:
        body += chunk
    if not body:
        raise RefusedError(422, "the request is empty: send the bytes of a picture (curl --data-binary @cat.jpg)")
    return [bytes(body)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
