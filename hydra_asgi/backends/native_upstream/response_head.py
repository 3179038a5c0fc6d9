"""What the head of a response may look like. Pure: bytes in, a problem in words or None out.

Rules for editors: this is the whole grammar that we accept (RFC 9112 sections 4, 5 and 6.3), not a list of what the
parser forgives; the parser behind it may only be stricter. What two readers could understand in two ways is refused.
"""

import re
from typing import Final

from hydra_asgi.ports import Headers

__all__ = [
    "BODILESS",
    "CHUNKED",
    "MAX_FIELDS",
    "MAX_HEAD_BYTES",
    "UNCERTAIN",
    "UNTIL_CLOSE",
    "framing_of",
    "head_problem",
    "unfinished_problem",
]

MAX_HEAD_BYTES: Final = 65_536
"""Eight times what servers accept in a request; a longer head is a fault or an attack."""

MAX_FIELDS: Final = 256
"""Twice the field limit that we have for requests: responses repeat `set-cookie` and `link`."""

BODILESS: Final = frozenset({204, 304})
"""Final statuses whose response ends with its head (RFC 9112 section 6.3)."""

_HEAD: Final = re.compile(
    rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*+)?+\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+\r\n"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_LENGTH_NAME: Final = len(b"content-length")
_CODING_NAME: Final = len(b"transfer-encoding")


CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2
UNCERTAIN: Final = -3


def head_problem(head: bytes) -> str | None:
    """What is wrong with a whole head, its empty line included."""
    if len(head) > MAX_HEAD_BYTES:
        return f"a head of more than {MAX_HEAD_BYTES} bytes"
    if _HEAD.fullmatch(head) is None:
        return f"a head that is no HTTP/1.1: {head[:100]!r}"
    if head.count(b"\r\n") > MAX_FIELDS + 2:
        return f"more than {MAX_FIELDS} header fields"
    return None


def unfinished_problem(head: bytes | bytearray) -> str | None:
    """What is already wrong with a head whose end has not arrived, so that garbage need not wait for a timeout."""
    if len(head) > MAX_HEAD_BYTES:
        return f"a head of more than {MAX_HEAD_BYTES} bytes"
    if not head.startswith(b"HTTP/1."[: len(head)]):
        return f"an answer that is no HTTP/1.1: {bytes(head[:100])!r}"
    if head.count(b"\n") != head.count(b"\r\n"):
        return "a line that ends without CR LF"
    return None


def framing_of(headers: Headers) -> int:
    """Where the body ends: its length in bytes, or `CHUNKED`, `UNTIL_CLOSE`, or `UNCERTAIN` (RFC 9112 section 6.3).

    Both a length and a coding, more than one of either, and any coding besides `chunked` are uncertain: another reader
    of the same bytes might see another end.
    """
    length = coding = None
    for name, value in headers:
        size = len(name)
        if size == _LENGTH_NAME and name.lower() == b"content-length":
            length = value if length is None else b""
        elif size == _CODING_NAME and name.lower() == b"transfer-encoding":
            coding = value if coding is None else b""
    if coding is not None:
        return CHUNKED if length is None and coding.lower() == b"chunked" else UNCERTAIN
    if length is None:
        return UNTIL_CLOSE
    return int(length) if _LENGTH.fullmatch(length) else UNCERTAIN
