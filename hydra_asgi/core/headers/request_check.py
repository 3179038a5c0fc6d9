"""Our own check of the requests and responses we are handed, whatever the server or client library let through.

ASGI servers disagree about bodies with two lengths, missing or doubled `Host` fields and unknown codings. Two parsers
that disagree are how requests are smuggled, so what they disagree about goes no further.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra_asgi.core.headers.header_fields import Fields, field_values, lowered

__all__ = ["MAX_FIELDS", "MAX_FIELD_BYTES", "Problem", "check_request", "check_response", "declared_length"]

MAX_FIELDS = 256
"""Browsers send about 20 fields; a hundred cookies in lines of their own still pass."""

MAX_FIELD_BYTES = 65536
"""Names and values together; uvicorn and hypercorn stop at the same size."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 section 5.5: of the controls only the tab is one
_LENGTH = re.compile(rb"[0-9]{1,19}")
_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request is not taken.

    Attributes:
        status: the HTTP status that says so, 400 to 501.
        reason: one sentence for the client; holds nothing the client sent.
        close: the end of the message is uncertain, so the connection has to go.
    """

    status: int
    reason: str
    close: bool = False


def check_request(scope: Mapping[str, Any]) -> Problem | None:
    """Look at an `http` or `websocket` scope; None when nothing speaks against it."""
    headers = lowered(scope["headers"])
    version = str(scope.get("http_version", "1.1"))
    return (
        _method_problem(str(scope.get("method", "GET")))
        or _size_problem(headers)
        or _syntax_problem(headers)
        or _host_problem(field_values(headers, b"host"), version)
        or _framing_problem(headers, version)
    )


def check_response(status: int, headers: Fields) -> str | None:
    """Look at the head of an instance's response; one sentence for the log, or None when it may be passed on."""
    if not 200 <= status <= 599:
        return f"status {status}, which no client of ours asked for"
    headers = lowered(headers)
    problem = _size_problem(headers) or _syntax_problem(headers)
    if problem is not None:
        return problem.reason
    lengths = field_values(headers, b"content-length")
    if lengths and field_values(headers, b"transfer-encoding"):
        return "both Content-Length and Transfer-Encoding"
    return None if declared_length(headers) is not None or not lengths else "a Content-Length that is not one number"


def declared_length(headers: Fields) -> int | None:
    """The one length all `Content-Length` fields agree on; None when there is none or they do not; lower-case names."""
    lengths = set(field_values(headers, b"content-length"))
    if len(lengths) != 1:
        return None
    (length,) = lengths
    return int(length) if _LENGTH.fullmatch(length) else None


def _method_problem(method: str) -> Problem | None:
    if not _METHOD.fullmatch(method):
        return Problem(400, "The method is not a token.")
    match method.upper():
        case "CONNECT":
            return Problem(501, "CONNECT is for forward proxies; this is not one.", close=True)
        case "TRACE":
            return Problem(405, "TRACE would show headers that are not the client's to see.")
    return None


def _size_problem(headers: Fields) -> Problem | None:
    if len(headers) > MAX_FIELDS:
        return Problem(431, f"There are more than {MAX_FIELDS} header fields.")
    if sum(len(name) + len(value) for name, value in headers) > MAX_FIELD_BYTES:
        return Problem(431, f"The header fields are larger than {MAX_FIELD_BYTES} bytes.")
    return None


def _syntax_problem(headers: Fields) -> Problem | None:
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            return Problem(400, "A header field's name is not a token.", close=True)
        if _FORBIDDEN.search(value):
            return Problem(400, "A header field's value holds a line break or another control character.", close=True)
    return None


def _host_problem(hosts: list[bytes], version: str) -> Problem | None:
    if not hosts:
        return None if version == "1.0" else Problem(400, "There is no Host.", close=True)
    if len(hosts) > 1:
        return Problem(400, "There is more than one Host.", close=True)
    found = _HOST.fullmatch(hosts[0])
    if found is None or int(found[1] or 0) > 65535:
        return Problem(400, "The Host is not a name or an address with an optional port.")
    return None


def _framing_problem(headers: Fields, version: str) -> Problem | None:
    """RFC 9112 section 6.3: what does not name one framing is refused, and the connection is not used again."""
    lengths = field_values(headers, b"content-length")
    codings = field_values(headers, b"transfer-encoding")
    if lengths and declared_length(headers) is None:
        return Problem(400, "The Content-Length is not one number.", close=True)
    if not codings:
        return None
    if lengths:
        return Problem(400, "There are both a Content-Length and a Transfer-Encoding.", close=True)
    if not version.startswith("1.") or version == "1.0":
        return Problem(400, f"HTTP/{version[:3]} has no Transfer-Encoding.", close=True)
    if len(codings) > 1 or codings[0].lower() != b"chunked":
        return Problem(501, "The only Transfer-Encoding understood is chunked.", close=True)
    return None
