"""What the header policy adds for the opening handshake of a WebSocket (RFC 6455 section 4).

`Origin`, `Sec-WebSocket-Protocol` and cookies cross as they are: whether a page of another origin may connect is for
the service to say, which it can only when it is told. Key, version and extensions belong to one connection, and the
next one has its own.
"""

from collections.abc import Sequence
from typing import Final

from hydra_asgi.core.headers.header_fields import Fields, field_values
from hydra_asgi.core.headers.header_policy import response_headers

__all__ = ["accepted_headers", "handshake_headers", "refusal_headers"]

_PROTOCOL: Final = b"sec-websocket-protocol"

_OF_ONE_CONNECTION: Final = frozenset(
    {
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-version",
    }
)

_NOT_IN_OUR_ACCEPTANCE: Final = _OF_ONE_CONNECTION | {
    b"content-length",
    _PROTOCOL,  # ASGI has a place of its own for it
}


def handshake_headers(headers: Fields, offered: Sequence[str] = ()) -> Fields:
    """The fields of a handshake request that has passed `request_headers`, without those of the client's connection.

    Args:
        headers: the fields.
        offered: the sub-protocols as the server tells them besides; wsproto takes their field away.
    """
    kept = [pair for pair in headers if pair[0] not in _OF_ONE_CONNECTION]
    if offered and not field_values(kept, _PROTOCOL):
        kept.append((_PROTOCOL, ", ".join(offered).encode("latin-1")))
    return kept


def accepted_headers(headers: Fields, *, via: bytes) -> Fields:
    """What a client is told besides the sub-protocol when the service has accepted."""
    return [pair for pair in response_headers(headers, via=via) if pair[0] not in _NOT_IN_OUR_ACCEPTANCE]


def refusal_headers(headers: Fields, *, via: bytes) -> Fields:
    """What a client is told when the service has refused; without a length, which whoever sends the body knows."""
    kept = response_headers(headers, via=via)
    return [pair for pair in kept if pair[0] not in _OF_ONE_CONNECTION and pair[0] != b"content-length"]
