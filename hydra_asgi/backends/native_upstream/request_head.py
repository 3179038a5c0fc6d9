"""Writes the head of a request: the bytes before its body, in exactly the caller's order and spelling.

Nothing of a request may be able to end a line early: whatever is no legal request line or header field is refused here
and never reaches an instance (RFC 9112 sections 3 and 5). The check runs once over the written bytes, which costs a
fraction of checking field by field.
"""

import re
from dataclasses import dataclass
from typing import Final

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest

__all__ = ["RequestHead", "write_head"]

TOKEN_CHARACTERS: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_HEAD: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++ [\x21-\x7e]++ HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++: [\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110 section 9.2.2."""


@dataclass(frozen=True, slots=True)
class RequestHead:
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
    names = [name.lower() for name, _ in request.headers]
    fields = b"\r\n".join(map(b": ".join, request.headers))
    framing = _framing(request)
    try:
        method = request.method.encode("ascii")
    except UnicodeEncodeError:
        raise _unwritable(request, f"the method {request.method!r:.50}") from None
    wire = b"%b %b HTTP/1.1\r\n%b\r\n%b\r\n" % (method, request.target, fields, framing)
    _check(request, names, wire, len(names) + (3 if framing else 2))
    body = request.body
    return RequestHead(
        wire,
        request.method in _IDEMPOTENT and (body is None or isinstance(body, bytes)),
        body is not None and b"expect" in names and _expects_continue(request),
        b"upgrade" in names,
    )


def _check(request: UpstreamRequest, names: list[bytes], wire: bytes, lines: int) -> None:
    # A value with a line break in it would look like one more legal line, and a name with a colon like another name:
    # hence the count, and the names by themselves.
    if _HEAD.fullmatch(wire) is None or wire.count(b"\r\n") != lines or b"".join(names).translate(
        None, TOKEN_CHARACTERS
    ):
        raise _unwritable(request, f"a field, the method or the target is no legal HTTP: {request.target!r:.100}")
    if not _FRAMING.isdisjoint(names):
        raise _unwritable(request, "its headers hold a framing field; leave those out, they follow from the body")
    if names.count(b"host") != 1:
        raise _unwritable(request, "it needs exactly one host field")


def _framing(request: UpstreamRequest) -> bytes:
    """RFC 9112 section 6: a body has a length or is chunked; no body has neither."""
    body = request.body
    if body is None:
        return b""
    length = len(body) if isinstance(body, bytes) else request.length
    return b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length


def _expects_continue(request: UpstreamRequest) -> bool:
    return any(
        name.lower() == b"expect" and value.strip().lower() == b"100-continue" for name, value in request.headers
    )


def _unwritable(request: UpstreamRequest, why: str) -> UpstreamError:
    return UpstreamError(ErrorKind.PROTOCOL, f"{request.address.netloc}: a request that cannot be written: {why}")
