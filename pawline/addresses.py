"""Addresses without secrets, for messages."""

from urllib.parse import urlsplit


def public_address(address: str) -> str:
    """The address without parts that may hold a password or a signature. Raises ValueError for an invalid address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
