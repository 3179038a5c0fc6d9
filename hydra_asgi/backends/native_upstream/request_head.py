"""Writes the head of a request: the bytes before its body, in exactly the caller's order and spelling.

Every part of it is checked (RFC 9112 sections 3 and 5): method and names are tokens, and neither the target nor a value
holds what could end its line, so that nothing in them can begin another field or another request. A refused head never
reaches an instance. Whatever depends on nothing but the names of the fields is
worked out once for each list of names: a gateway sends the same few lists all day.
"""

import re
from typing import Final, NamedTuple

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest

__all__ = ["Shape", "expects_continue", "is_repeatable", "write_head"]

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++")
_NOT_IN_TARGETS: Final = bytes([byte for byte in range(256) if not 0x20 < byte < 0x7F])
"""RFC 9112 section 3.2."""

_NOT_IN_VALUES: Final = bytes([byte for byte in range(256) if byte != 0x09 and (byte < 0x20 or byte == 0x7F)])
"""RFC 9110 section 5.5; line ends among them."""

_USUAL_METHODS: Final = {
    method: method.encode() for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110 section 9.2.2."""

_REMEMBERED: Final = 512
"""Lists of names; see `core.headers.field_names`. A list that comes too late pushes the oldest out."""

_MAX_REMEMBERED_BYTES: Final = 2048
"""Longer lists are worked out each time, so that hostile clients cannot make us keep more than some megabytes."""


class Shape(NamedTuple):
    """What follows from the names of a request's fields alone.

    Attributes:
        template: takes the method, the target, the values, and the framing field as a line.
        problem: why these names cannot be sent; empty when they can.
        expectations: which values are those of an `expect`.
        asks_upgrade: a 101 is a legal answer (RFC 9110 section 7.8).
    """

    template: bytes
    problem: str
    expectations: tuple[int, ...]
    asks_upgrade: bool


def write_head(request: UpstreamRequest) -> tuple[bytes, Shape]:
    """The head of a request as it is sent, with framing fields that fit its body; and what follows from its fields.

    Raises:
        UpstreamError: PROTOCOL; the request cannot be written as HTTP/1.1.
    """
    names, values = zip(*request.headers) if request.headers else ((), ())  # noqa: B905 -- pairs are pairs
    shape = _shapes.get(names) or _shape_of(names)
    method = _USUAL_METHODS.get(request.method) or _method(request.method)
    target = request.target
    framing = b"" if request.body is None else _framing(request)
    joined = b"".join(values)
    if (
        shape.problem
        or len(joined.translate(None, _NOT_IN_VALUES)) != len(joined)
        or len(target.translate(None, _NOT_IN_TARGETS)) != len(target)
        or not (method and target)
    ):
        head = shape.template % (method, target, *values, framing)
        problem = shape.problem or f"its method, target or a header field is no legal HTTP: {head[:200]!r}"
        raise UpstreamError(ErrorKind.PROTOCOL, f"{request.address.netloc}: a request that cannot be sent: {problem}")
    return shape.template % (method, target, *values, framing), shape


def is_repeatable(request: UpstreamRequest) -> bool:
    """Sending it twice does no harm, and its body can be had twice."""
    return request.method in _IDEMPOTENT and (request.body is None or isinstance(request.body, bytes))


def expects_continue(request: UpstreamRequest, shape: Shape) -> bool:
    """The body waits for a 100 (RFC 9110 section 10.1.1)."""
    if not shape.expectations or request.body is None:
        return False
    return any(request.headers[place][1].lower() == b"100-continue" for place in shape.expectations)


def _method(method: str) -> bytes:
    token = method.encode("ascii", "replace")  # `?` is in no method
    return token if _TOKEN.fullmatch(token) else b""


def _framing(request: UpstreamRequest) -> bytes:
    """RFC 9112 section 6: a body has a length or is chunked; no body has neither."""
    body = request.body
    length = len(body) if isinstance(body, bytes) else request.length
    return b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length


_shapes: dict[tuple[bytes, ...], Shape] = {}


def _shape_of(names: tuple[bytes, ...]) -> Shape:
    lines = b"".join([name.replace(b"%", b"%%") + b": %b\r\n" for name in names])
    lower = [name.lower() for name in names]
    shape = Shape(
        template=b"%b %b HTTP/1.1\r\n" + lines + b"%b\r\n",
        problem=_problem(lower),
        expectations=tuple([place for place, name in enumerate(lower) if name == b"expect"]),
        asks_upgrade=b"upgrade" in lower,
    )
    if len(lines) <= _MAX_REMEMBERED_BYTES:
        if len(_shapes) >= _REMEMBERED:
            del _shapes[next(iter(_shapes))]
        _shapes[names] = shape
    return shape


def _problem(lower: list[bytes]) -> str:
    if not all(map(_TOKEN.fullmatch, lower)):
        return f"the name of a header field is no token: {lower!r:.200}"
    if b"content-length" in lower or b"transfer-encoding" in lower:
        return "its headers hold a framing field; leave those out, they follow from the body"
    return "" if lower.count(b"host") == 1 else "it needs exactly one host field"
