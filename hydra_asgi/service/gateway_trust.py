"""Believes the gateways of the site what they say about a visitor, so that servers need no flags for that.

Behind a gateway every request comes from its address, and mostly over plain HTTP. A gateway of ours proves itself
(`core.admission.gateway_proof`), and then its word counts: the client's address, the scheme and the mount point of the
scope become the visitor's. Whoever only claims to be one changes nothing; the field itself never reaches the app.
"""

import ipaddress
import re
import time
from collections.abc import Callable
from typing import Any, Final, cast

from asgiref.typing import HTTPScope, Scope

from hydra_asgi.core.admission.gateway_proof import HEADER, is_proof, minute_of
from hydra_asgi.core.headers.header_fields import Fields, field_values
from hydra_asgi.core.routing.own_path import own_path, own_raw_path
from hydra_asgi.ports import Clock

__all__ = ["GatewayTrust"]

MAX_REMEMBERED: Final = 64
"""Proofs of this minute: more gateways than any site has."""

_PREFIX: Final = re.compile(rb"(?:/[A-Za-z0-9._~-]+)+")
_DOTS: Final = frozenset({b".", b".."})
_SECURE: Final = {"http": "https", "ws": "wss"}


class GatewayTrust:
    """Reads what gateways say.

    Args:
        secret: what the site shares now; empty believes nobody.
        service: our name on the site.
        trusted: whether an IP address is that of a proxy in front of the gateways, which is not the visitor.
        wall: unix seconds.
    """

    def __init__(
        self, secret: Callable[[], str], *, service: str, trusted: Callable[[str], bool], wall: Clock = time.time
    ) -> None:
        self._secret = secret
        self._service = service
        self._trusted = trusted
        self._wall = wall
        self._proven: dict[bytes, int] = {}

    def seen_through(self, scope: Scope) -> Scope:
        """The scope as the app should see it, of an HTTP request or a WebSocket."""
        headers = cast("Fields", cast("HTTPScope", scope)["headers"])
        said = field_values(headers, HEADER)
        if not said:
            return scope
        kept = [pair for pair in headers if pair[0] != HEADER]
        if len(said) > 1 or not self._is_proven(said[0]):
            return cast("Scope", {**scope, "headers": kept})
        return cast("Scope", {**scope, "headers": kept, **self._visitor(scope, kept), **_mount(scope, kept)})

    def _is_proven(self, value: bytes) -> bool:
        minute = minute_of(self._wall())
        if self._proven.get(value) == minute:
            return True
        if not is_proof(self._secret(), value, service=self._service, now=self._wall()):
            return False
        if len(self._proven) >= MAX_REMEMBERED:
            self._proven.clear()
        self._proven[value] = minute
        return True

    def _visitor(self, scope: Scope, headers: Fields) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if address := self._address(headers):
            found["client"] = (address, 0)
        scheme = str(scope.get("scheme", "http"))
        if field_values(headers, b"x-forwarded-proto") == [b"https"]:
            found["scheme"] = _SECURE.get(scheme, scheme)
        return found

    def _address(self, headers: Fields) -> str:
        """The visitor's: the last one in the list that is no proxy of ours; what stands before it anybody can say."""
        members = b",".join(field_values(headers, b"x-forwarded-for")).split(b",")
        address = ""
        for member in reversed(members):
            try:
                address = str(ipaddress.ip_address(member.strip().decode("ascii")))
            except ValueError:
                break
            if not self._trusted(address):
                break
        return address


def _mount(scope: Scope, headers: Fields) -> dict[str, Any]:
    """Where the public finds the app: below what a proxy in front of the gateways strips, not below our own address."""
    prefixes = field_values(headers, b"x-forwarded-prefix")
    prefix = prefixes[0].rstrip(b"/") if len(prefixes) == 1 else b""
    if not _PREFIX.fullmatch(prefix) or not _DOTS.isdisjoint(prefix.split(b"/")):
        prefix = b""
    if not prefix and not scope.get("root_path"):
        return {}
    root = prefix.decode("ascii")
    return {"root_path": root, "path": root + own_path(scope), "raw_path": prefix + own_raw_path(scope)}
