"""What the service takes, and how it refuses the rest: one status, one line."""

from dataclasses import dataclass

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """Each limit protects the memory or the time of the others who ask."""

    max_body: int = 32 * MEGABYTE  # bytes of a request
    max_bodies: int = 256 * MEGABYTE  # bytes of all requests that are being read or answered
    max_pictures: int = 64  # of a request
    max_megapixels: float = 64  # of a picture; the decoder takes up to 16 bytes for each pixel
    max_requests: int = 128  # at once, those that wait and those whose answer is being sent included
    max_walks: int = 4  # the same, of requests for a walk, which takes a second of a processor
    max_connections: int = 2000  # those that ask nothing included
    head_seconds: float = 10.0  # in which a client sends the head of a request, or takes a part of an answer
    send_seconds: float = 30.0  # in which a client sends its request
    answer_seconds: float = 60.0  # from the whole request to the answer, and from there to its last byte


class RefusedError(Exception):
    """A request that is not answered. status: the HTTP status; message: one line for whoever asked."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after  # seconds
