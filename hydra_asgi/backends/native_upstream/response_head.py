"""The head of a response: its grammar, and what it says. Pure: bytes in, a head or a problem in words out.

Rules for editors: this is the whole grammar that we accept (RFC 9112 sections 4, 5 and 6.3). What two readers could
understand in two ways is refused; a test holds it against another parser, which may never be the stricter one.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from hydra_asgi.ports import Headers

__all__ = [
    "BODILESS",
    "CHUNKED",
    "MAX_FIELDS",
    "MAX_HEAD_BYTES",
    "MAX_KNOWN_BYTES",
    "UNTIL_CLOSE",
    "ResponseHead",
    "known_head",
    "read_head",
    "unfinished_problem",
    "without_trailing_space",
]

MAX_HEAD_BYTES: Final = 65_536
"""Eight times what servers accept in a request; a longer head is a fault or an attack."""

MAX_FIELDS: Final = 256
"""Twice the field limit that we have for requests: responses repeat `set-cookie` and `link`."""

BODILESS: Final = frozenset({204, 304})
"""Final statuses whose response ends with its head (RFC 9112 section 6.3)."""

CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

MAX_KNOWN_BYTES: Final = 1024
"""Longer heads are not remembered, so that all together stay below a megabyte."""

_KNOWN: Final = 256
"""Heads. A busy instance repeats a few of them until the second in their `date` is over."""

_STATUS_LINE: Final = rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*+)?+\r\n"
_FIELD_LINE: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+"
_HEAD: Final = re.compile(_STATUS_LINE + rb"(?:" + _FIELD_LINE + rb"\r\n)*+\r\n")
_TIDY_HEAD: Final = re.compile(_STATUS_LINE + rb"(?:" + _FIELD_LINE + rb"(?<![\t ])\r\n)*+\r\n")
"""One without space behind its values, as nearly all are."""

_FIELD: Final = re.compile(rb"\n([^:]++):[\t ]*+([^\r]*+)")
_MESSAGE_FIELD: Final = re.compile(rb"\n(connection|content-length|transfer-encoding):[\t ]*+([^\r]*+)")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")


class ResponseHead(NamedTuple):
    """What the head of a response says.

    Attributes:
        status: 100 to 599.
        headers: names spelled as they came, values without the space around them. A tuple, because it is shared.
        framing: how long the body would be in bytes, or `CHUNKED` or `UNTIL_CLOSE` (RFC 9112 section 6.3).
        keeps_alive: the connection may serve another request after this response (RFC 9112 section 9.3).
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    framing: int
    keeps_alive: bool


def read_head(head: bytes) -> ResponseHead | str:
    """Read a whole head, its empty line included; or say what is wrong with it."""
    return known_head(head) if len(head) <= MAX_KNOWN_BYTES else _read(head)


@lru_cache(_KNOWN)
def known_head(head: bytes) -> ResponseHead | str:
    """The same for heads that are short enough to be remembered."""
    return _read(head)


def _read(head: bytes) -> ResponseHead | str:
    if len(head) > MAX_HEAD_BYTES:
        return f"a head of more than {MAX_HEAD_BYTES} bytes"
    is_tidy = _TIDY_HEAD.fullmatch(head) is not None
    if not is_tidy and _HEAD.fullmatch(head) is None:
        return f"a head that is no HTTP/1.1: {head[:100]!r}"
    headers = _FIELD.findall(head)
    if len(headers) > MAX_FIELDS:
        return f"more than {MAX_FIELDS} header fields"
    said = _MESSAGE_FIELD.findall(head.lower())
    if not is_tidy:
        headers = without_trailing_space(headers)
        said = without_trailing_space(said)
    is_modern = head[7:8] == b"1"
    framing = _framing(said, is_modern=is_modern)
    if framing is None:
        return "no single, certain end of the body"
    return ResponseHead(int(head[9:12]), tuple(headers), framing, _keeps_alive(said, is_modern=is_modern))


def unfinished_problem(head: bytes | bytearray) -> str | None:
    """What is already wrong with a head whose end has not arrived, so that garbage need not wait for a timeout."""
    if len(head) > MAX_HEAD_BYTES:
        return f"a head of more than {MAX_HEAD_BYTES} bytes"
    if not head.startswith(b"HTTP/1."[: len(head)]):
        return f"an answer that is no HTTP/1.1: {bytes(head[:100])!r}"
    if head.count(b"\n") != head.count(b"\r\n"):
        return "a line that ends without CR LF"
    return None


def without_trailing_space(fields: Headers) -> Headers:
    """White space around a value is none of it (RFC 9112 section 5.1); patterns that skip it behind are slow."""
    return [(name, value.rstrip(b"\t ")) for name, value in fields]


def _framing(said: Headers, *, is_modern: bool) -> int | None:
    """Where the body ends; None when that is uncertain.

    Both a length and a coding, more than one of either, any coding besides `chunked`, and a coding in HTTP/1.0 are
    uncertain: another reader of the same bytes might see another end.
    """
    framings = [field for field in said if field[0] != b"connection"]
    match framings:
        case []:
            return UNTIL_CLOSE
        case [(b"content-length", length)] if _LENGTH.fullmatch(length):
            return int(length)
        case [(b"transfer-encoding", b"chunked")] if is_modern:
            return CHUNKED
    return None


def _keeps_alive(said: Headers, *, is_modern: bool) -> bool:
    options = b",".join([value for name, value in said if name == b"connection"])
    if not options:
        return is_modern
    tokens = [token.strip(b"\t ") for token in options.split(b",")]
    return b"close" not in tokens and (is_modern or b"keep-alive" in tokens)
