"""Turns what a function or a route answered into the HTML of a fragment, or into the reason why it is none."""

import codecs
import re
import zlib
from collections.abc import Sequence

from hydra_asgi.core.fragment import FragmentCause

__all__ = ["NotRenderedError", "html_of_response", "html_of_result"]

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9._:-]{1,40})\"?", re.IGNORECASE)
_NO_CHARSETS = frozenset({"utf_7", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
"""Python calls them text encodings; browsers know none of them, and UTF-7 hides markup."""


class NotRenderedError(Exception):
    """There is no HTML.

    Args:
        cause: which of the known ways it failed.
        detail: what happened, for the log.
    """

    def __init__(self, cause: FragmentCause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail


def html_of_response(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, limit: int) -> str:
    """The HTML of a response.

    Args:
        status: of the response.
        headers: of the response, lower-case names.
        body: raw.
        limit: the most bytes after decompression.

    Raises:
        NotRenderedError: another status than 200, another type than HTML, or a body that cannot be read.
    """
    fields = dict(reversed(headers))
    if 300 <= status < 400:
        target = fields.get(b"location", b"").decode("latin-1")
        raise NotRenderedError(FragmentCause.REDIRECT, f"answered {status} to {target[:120]!r}")
    if status != 200:
        raise NotRenderedError(FragmentCause.STATUS, f"answered {status}")
    content_type = fields.get(b"content-type", b"").decode("latin-1")
    if content_type.partition(";")[0].strip().lower() not in _HTML:
        raise NotRenderedError(FragmentCause.CONTENT_TYPE, f"answered {content_type[:80]!r} instead of 'text/html'")
    return _text(_identity(fields.get(b"content-encoding", b""), body, limit), content_type)


def html_of_result(result: object, limit: int) -> str:
    """The HTML that a plain function returned: text, UTF-8 bytes, or a response object with a `body`.

    Raises:
        NotRenderedError: as `html_of_response`, and for any other kind of object.
    """
    if isinstance(result, str | bytes):
        plain = result.encode("utf-8", "replace") if isinstance(result, str) else result
        _check_size(len(plain), limit)
        return _text(plain, "")
    body: object = getattr(result, "body", None)
    if not isinstance(body, bytes):
        kind = type(result).__name__
        raise NotRenderedError(FragmentCause.CONTENT_TYPE, f"returned {kind}, expected str, bytes or a response")
    _check_size(len(body), limit)
    raw = getattr(result, "raw_headers", None) or [(b"content-type", b"text/html")]
    headers = [(bytes(name).lower(), bytes(value)) for name, value in raw]
    return html_of_response(int(getattr(result, "status_code", 200)), headers, body, limit)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise NotRenderedError(FragmentCause.TOO_LARGE, f"more than {limit} bytes")


def _identity(coding: bytes, body: bytes, limit: int) -> bytes:
    name = coding.strip().lower()
    if name in {b"", b"identity"}:
        return body
    if name not in {b"gzip", b"x-gzip"}:
        raise NotRenderedError(FragmentCause.BROKEN, f"content coding {coding[:40]!r} was not asked for")
    inflate = zlib.decompressobj(wbits=31)  # 31: with gzip's frame
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise NotRenderedError(FragmentCause.BROKEN, f"gzip: {error}") from error
    _check_size(len(plain), limit)
    if not inflate.eof:
        raise NotRenderedError(FragmentCause.BROKEN, "gzip: the body is cut")
    return plain


def _text(body: bytes, content_type: str) -> str:
    found = _CHARSET.search(content_type)
    name = found[1] if found else "utf-8"
    try:
        codec = codecs.lookup(name)
        if codec.name.replace("-", "_") in _NO_CHARSETS:
            raise LookupError
        # bytes.decode, not the codec's own: it refuses codecs that are not text, such as "zip"
        text = body.decode(codec.name, "replace")
    except (LookupError, UnicodeError):
        raise NotRenderedError(FragmentCause.BROKEN, f"charset {name!r} is not known") from None
    return text.removeprefix("\ufeff")
