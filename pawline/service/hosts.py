"""Which requests come from where they should: a page of another site must not ask through the user's browser."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from pawline.service.limits import RefusedError


class Hosts:
    """The names under which the service may be addressed: every IP address, `localhost`, and those that are given.

    Another name may be made to lead here (DNS rebinding); a page of that name could then read the answers."""

    def __init__(self, names: list[str]) -> None:
        self._names = {"localhost", *map(str.lower, names)}

    def check(self, headers: Headers) -> None:
        """Refuse a foreign Host header (400) and the page of another site (403): raise RefusedError."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise RefusedError(
                400, f"Host {host[:80] or 'missing'} is none of this service's names: see --allow-host"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise RefusedError(403, "pages of other sites may not ask this service")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True
