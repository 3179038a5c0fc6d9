"""What we say about the client: `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239)."""

import re
from functools import lru_cache

from hydra_asgi.core.headers.header_fields import Fields

__all__ = ["SAID_ONCE", "about_hop", "forwarding_fields"]

_ADDRESS = re.compile(r"[0-9A-Za-z.:_-]{1,64}")
SAID_ONCE = frozenset({b"x-forwarded-proto", b"x-forwarded-host"})
"""Fields about the first hop alone, so a trusted peer's word on them stays."""

_MAX_HOST_BYTES = 300  # what is longer is no host, and would only fill the memory
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def forwarding_fields(kept: Fields, *, client: str, scheme: str, host: bytes) -> Fields:
    """The fields to add to those that may stay.

    `X-Forwarded-For` and `Forwarded` are lists and get one member for this hop, as a field of its own behind what a
    trusted peer said. Proto and Host are single words about the first hop, so a trusted peer's word stays alone.

    Args:
        kept: the request's fields; of an untrusted peer, without any `x-forwarded-*` and `forwarded`.
        client: the peer's address; anything that does not look like one is called `unknown`.
        scheme: `http` or `https`.
        host: the public host.
    """
    about = about_hop(client, scheme, host)
    said = {name for name, _ in kept}
    return [pair for pair in about if pair[0] not in SAID_ONCE or pair[0] not in said]


def about_hop(client: str, scheme: str, host: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Everything there is to say about one hop; arguments as for `forwarding_fields`."""
    return _about(client, scheme, host) if len(host) <= _MAX_HOST_BYTES else _about.__wrapped__(client, scheme, host)


@lru_cache(1024)
def _about(client: str, scheme: str, host: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Everything about one hop; remembered, because the same clients come again, and more so the same proxies."""
    address = client if _ADDRESS.fullmatch(client) else "unknown"
    return (
        (b"x-forwarded-for", address.encode()),
        (b"x-forwarded-proto", scheme.encode("latin-1")),
        (b"x-forwarded-host", host),
        (b"forwarded", _member(address, scheme, host)),
    )


def _member(address: str, scheme: str, host: bytes) -> bytes:
    node = f'"[{address}]"' if ":" in address else address  # RFC 7239 section 6: IPv6 in brackets and quotes
    named = host if _TOKEN.fullmatch(host) else b'"' + host.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"for=%b;host=%b;proto=%b" % (node.encode(), named, scheme.encode("latin-1"))
