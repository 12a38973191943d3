"""What the service takes, and how it refuses the rest: one status, one line."""

from dataclasses import dataclass

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """Each limit protects the memory or the time of the others who ask."""

    max_body: int = 32 * MEGABYTE  # bytes of a request
    max_bodies: int = 256 * MEGABYTE  # bytes of all requests that are being read or answered
    max_pictures: int = 64  # of a request
    max_requests: int = 128  # at once, those that wait included
    send_seconds: float = 30.0  # in which a client sends its request
    answer_seconds: float = 60.0  # from the whole request to the answer


class RefusedError(Exception):
    """A request that is not answered. status: the HTTP status; message: one line for whoever asked."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after  # seconds
