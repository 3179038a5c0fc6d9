"""Turns addresses of instances in `Location` and `Content-Location` into addresses that the public can reach.

An app that builds links from its own address rather than from the request's Host sends users to a machine that they
cannot see, or should not. Such a link becomes one without an origin (RFC 9110 section 10.2.2 allows that), so that it
leads back to where the user is, however many proxies there are. Only addresses that the directory lists are touched:
whatever else an app links to is its own business.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.core.instance import Address

__all__ = ["LOCATING", "InternalOrigins"]

LOCATING: Final = frozenset({b"location", b"content-location"})
"""The fields that hold one address each."""

_ABSOLUTE: Final = re.compile(
    rb"(https?)://(\[[0-9a-f:.]+\]|[^/?#:@\\\[\]\s]+)(?::([0-9]{0,5}))?(|[/?#].*)", re.IGNORECASE | re.DOTALL
)
_PORTS: Final = {b"http": 80, b"https": 443}
_PLAIN_START: Final = re.compile(rb"/(?:$|[?#A-Za-z0-9._~%!$&'()*+,;=:@-])")

Origin = tuple[bytes, bytes, int]


@dataclass(frozen=True, slots=True)
class InternalOrigins:
    """Where instances are: which base paths of apps there are behind scheme, host and port."""

    bases: Mapping[Origin, tuple[bytes, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, addresses: Iterable[Address]) -> "InternalOrigins":
        """The origins of these addresses, under the names they were announced with and the ones they were pinned to."""
        found: dict[Origin, set[bytes]] = {}
        for address in addresses:
            for host in filter(None, (address.host, address.pinned)):
                origin = (address.scheme.encode("latin-1", "replace"), _host(host), address.port)
                found.setdefault(origin, set()).add(address.base.encode("latin-1", "replace"))
        return cls({origin: tuple(sorted(bases, key=len, reverse=True)) for origin, bases in found.items()})

    def public(self, value: bytes, base: bytes = b"") -> bytes:
        """The public form of one address; the address itself where it is not internal.

        Args:
            value: an absolute address, or a path as the app knows it.
            base: the base path of the instance that says it: the public knows the app without that.
        """
        if value.startswith(b"/"):
            rest = _below(value, (base,)) if base else None
            return value if rest is None else rest
        absolute = _ABSOLUTE.fullmatch(value)
        if absolute is None:
            return value
        scheme, host, port, rest = absolute.groups()
        scheme = scheme.lower()
        bases = self.bases.get((scheme, host.lower(), int(port) if port else _PORTS[scheme]))
        below = None if bases is None else _below(rest, bases)
        return value if below is None else below

    def made_public(self, fields: Fields, base: bytes = b"") -> Fields:
        """The fields of a response with public addresses; the same list where there is nothing to do.

        Args:
            fields: with lower-case names.
            base: as for `public`.
        """
        if not any(name in LOCATING for name, _ in fields):
            return fields
        return [(name, self.public(value, base) if name in LOCATING else value) for name, value in fields]


def _host(host: str) -> bytes:
    return (f"[{host}]" if ":" in host else host).lower().encode("latin-1", "replace")


def _below(rest: bytes, bases: tuple[bytes, ...]) -> bytes | None:
    """Path, query and fragment below the first base path that fits by segment; None when none does."""
    for base in bases:
        after = rest[len(base) :]
        if rest.startswith(base) and (not after or after[:1] in b"/?#"):
            path = after if after.startswith(b"/") else b"/" + after
            # `//host`, and what browsers take for it (`/\host`, a tab between), would lead to another site.
            return path if _PLAIN_START.match(path) else b"/." + path
    return None
