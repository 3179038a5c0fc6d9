"""What composing a page does to its headers: which responses may be composed, and what such a response may not claim.

A composed page is made of parts with lifetimes of their own, of which nothing is known when the headers leave. So it
has no validators, no length, no digest, and nobody may store it.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

__all__ = ["Composable", "app_request_headers", "composed_headers", "declared_length", "fragment_codec", "may_compose"]

Headers = list[tuple[bytes, bytes]]


class Composable(Enum):
    """Whether, and how, a response may be composed."""

    NO = auto()
    YES = auto()
    YES_GZIP = auto()
    """After undoing its gzip coding; it leaves without coding."""
    UNKNOWN_CODING = auto()
    """It is a page, but in a content coding we do not read: it passes, and its operator should hear about it."""


_UNTRUE: Final = frozenset(
    {
        b"content-length",
        b"etag",  # RFC 9110 8.8: a validator speaks for the whole representation, fragments included
        b"last-modified",
        b"accept-ranges",
        b"trailer",  # the app's trailers speak of its own body, and are left out
        b"digest",
        b"content-digest",  # RFC 9530
        b"repr-digest",
        b"content-md5",
        b"age",
        b"expires",
        b"cache-control",
        b"surrogate-control",
        b"cdn-cache-control",  # RFC 9213: would override our no-store in the caches it names
    }
)
_CONDITIONS: Final = frozenset({b"if-none-match", b"if-modified-since", b"if-range", b"range"})
_NOT_ASCII: Final = (b"utf-16", b"utf16", b"utf-32", b"utf32", b"ucs-2", b"utf-7", b"iso-2022", b"iso-10646", b"hz-")


def may_compose(status: int, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Composable:
    """Decide about a response from its head.

    A page is `text/html` in a character set that contains ASCII as it is, whole (not 206, RFC 9110 15.3.7), with a
    body (not 1xx, 204, 205, 304). A HEAD response is judged as the GET response would be. CONNECT has no page.
    """
    if status < 200 or status in (204, 205, 206, 304) or method == "CONNECT":
        return Composable.NO
    pairs = list(headers)
    if fragment_codec(pairs) is None or _first(pairs, b"content-range") is not None:
        return Composable.NO
    codings = [
        coding
        for name, value in pairs
        if name.lower() == b"content-encoding"
        for coding in (part.strip().lower() for part in value.split(b","))
        if coding not in (b"", b"identity")
    ]
    if not codings:
        return Composable.YES
    return Composable.YES_GZIP if codings in ([b"gzip"], [b"x-gzip"]) else Composable.UNKNOWN_CODING


def fragment_codec(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """How the text of a fragment becomes bytes of this page; None when the page is not HTML we can compose.

    `utf-8`, which is also what a page without a declared character set gets, or `ascii` with character references:
    that is right in every other character set that contains ASCII.
    """
    media_type, *parameters = (_first(headers, b"content-type") or b"").split(b";")
    if media_type.strip().lower() != b"text/html":
        return None
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset":
            charset = value.strip().strip(b"\"'").lower()
            if charset.startswith(_NOT_ASCII):
                return None
            return "utf-8" if charset in (b"utf-8", b"utf8", b"") else "ascii"
    return "utf-8"


def composed_headers(headers: Iterable[tuple[bytes, bytes]], *, decoded: bool = False) -> Headers:
    """The headers of the composed page, in order.

    Args:
        headers: what the app sent.
        decoded: its content coding was undone.
    """
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in _UNTRUE and not (decoded and name.lower() == b"content-encoding")
    ]
    return [*kept, (b"cache-control", b"no-store")]


def app_request_headers(headers: Headers, method: str) -> Headers:
    """What the app may see of a request for a page: no condition that a 304 or a 206 would answer.

    The very same list comes back when there is nothing to take away, so an identity check tells.
    """
    if method not in ("GET", "HEAD") or not any(name.lower() in _CONDITIONS for name, _ in headers):
        return headers
    if not _accepts_html(headers):
        return headers
    return [(name, value) for name, value in headers if name.lower() not in _CONDITIONS]


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The length a response declares, None when it declares none or nonsense."""
    value = _first(headers, b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) < 20 else None


def _accepts_html(headers: Headers) -> bool:
    """Whether `text/html` is named and not refused with `q=0` (RFC 9110 12.4.2); `*/*` alone is no navigation."""
    for name, value in headers:
        if name.lower() != b"accept":
            continue
        for item in value.lower().split(b","):
            media_type, *parameters = (part.strip() for part in item.split(b";"))
            if media_type == b"text/html":
                return not any(part.startswith(b"q=") and not part[2:].strip(b"0.") for part in parameters)
    return False


def _first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    return next((value for name, value in headers if name.lower() == wanted), None)
