"""Writes the head of a request: the bytes before its body, in exactly the caller's order and spelling.

What is checked is the written head, once and as a whole, because that is what the instance will read: it has to be
legal (RFC 9112 sections 3 and 5) and to have as many lines as were meant, so that nothing in a value can begin another
field or another request. A refused head never reaches an instance.
"""

import re
from typing import Final, NamedTuple

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest

__all__ = ["RequestHead", "write_head"]

_HEAD: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++ [\x21-\x7e]++ HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: [\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_CONTINUE: Final = re.compile(rb"\r\nexpect:[ \t]*+100-continue[ \t]*+\r")
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110 section 9.2.2."""


class RequestHead(NamedTuple):
    """The head of one request, and what follows from it.

    Attributes:
        wire: the bytes to send.
        is_repeatable: sending it twice does no harm, and its body can be had twice.
        expects_continue: the body waits for a 100 (RFC 9110 section 10.1.1).
        asks_upgrade: a 101 is a legal answer (RFC 9110 section 7.8).
    """

    wire: bytes
    is_repeatable: bool
    expects_continue: bool
    asks_upgrade: bool


def write_head(request: UpstreamRequest) -> RequestHead:
    """The head of a request, with framing fields that fit its body.

    Raises:
        UpstreamError: PROTOCOL; the request cannot be written as HTTP/1.1.
    """
    body = request.body
    fields = b"\r\n".join(map(b": ".join, request.headers))
    method = request.method.encode("ascii", "replace")  # `?` is in no method, so the check below refuses it
    wire = b"%b %b HTTP/1.1\r\n%b\r\n%b\r\n" % (method, request.target, fields, _framing(request))
    lowered = wire.lower()
    problem = _problem(request, wire, lowered)
    if problem is not None:
        raise UpstreamError(ErrorKind.PROTOCOL, f"{request.address.netloc}: a request that cannot be sent: {problem}")
    return RequestHead(
        wire,
        request.method in _IDEMPOTENT and (body is None or isinstance(body, bytes)),
        body is not None and b"\r\nexpect:" in lowered and _CONTINUE.search(lowered) is not None,
        b"\r\nupgrade:" in lowered,
    )


def _framing(request: UpstreamRequest) -> bytes:
    """RFC 9112 section 6: a body has a length or is chunked; no body has neither."""
    body = request.body
    if body is None:
        return b""
    length = len(body) if isinstance(body, bytes) else request.length
    return b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length


def _problem(request: UpstreamRequest, wire: bytes, lowered: bytes) -> str | None:
    framings = 0 if request.body is None else 1
    if _HEAD.fullmatch(wire) is None or wire.count(b"\r\n") != len(request.headers) + framings + 2:
        return f"its method, target or a header field is no legal HTTP: {wire[:200]!r}"
    if lowered.count(b"\r\ncontent-length:") + lowered.count(b"\r\ntransfer-encoding:") != framings:
        return "its headers hold a framing field; leave those out, they follow from the body"
    if lowered.count(b"\r\nhost:") != 1:
        return "it needs exactly one host field"
    return None
