"""Our own check of the requests and responses we are handed, whatever the server or client library let through.

ASGI servers disagree about bodies with two lengths, missing or doubled `Host` fields and unknown codings. Two parsers
that disagree are how requests are smuggled, so what they disagree about goes no further.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from hydra_asgi.core.headers.field_names import FieldNames, field_names
from hydra_asgi.core.headers.header_fields import Fields, field_values

__all__ = [
    "CONTROLS",
    "MAX_FIELDS",
    "MAX_FIELD_BYTES",
    "USUAL_METHODS",
    "Problem",
    "check_request",
    "check_response",
    "declared_length",
    "is_host",
    "is_length",
]

MAX_FIELDS = 256
"""Browsers send about 20 fields; a hundred cookies in lines of their own still pass."""

MAX_FIELD_BYTES = 65536
"""Names and values together; uvicorn and hypercorn stop at the same size."""

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
CONTROLS = bytes([*range(9), *range(10, 32), 127])
"""What no value may hold; the tab may stand in one (RFC 9110 section 5.5)."""
_LENGTH = re.compile(rb"[0-9]{1,19}")
_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")

USUAL_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Found in one look; all others are checked."""

_MAX_HOST_BYTES: Final = 270
"""A name of 253 bytes and a port; longer ones are refused before they could fill the memory for known ones."""


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
    headers: Fields = scope["headers"]
    names = field_names(headers)
    method = scope.get("method", "GET")
    return (
        (None if method in USUAL_METHODS else _method_problem(str(method)))
        or _fields_problem(headers, names)
        or _host_problem(names.values(headers, b"host"), scope)
        or (_framing_problem(headers, names, _version(scope)) if names.has_framing else None)
    )


def check_response(status: int, headers: Fields, names: FieldNames | None = None) -> str | None:
    """Look at the head of an instance's response; one sentence for the log, or None when it may be passed on.

    Args:
        status: of the response.
        headers: of the response, any case of names.
        names: those of `headers`, where the caller knows them already.
    """
    if not 200 <= status <= 599:
        return f"status {status}, which no client of ours asked for"
    names = names or field_names(headers)
    problem = _fields_problem(headers, names)
    if problem is not None:
        return problem.reason
    lengths = names.values(headers, b"content-length")
    if not lengths:
        return None
    if b"transfer-encoding" in names.places:
        return "both Content-Length and Transfer-Encoding"
    return "a Content-Length that is not one number" if _one_length(lengths) is None else None


def is_length(value: bytes) -> bool:
    """Whether the value of a `Content-Length` field is one number."""
    return _LENGTH.fullmatch(value) is not None


def is_host(host: bytes) -> bool:
    """Whether the value of a `Host` field is a name or an address with an optional port."""
    return len(host) <= _MAX_HOST_BYTES and _is_host(host)


def declared_length(headers: Fields) -> int | None:
    """The one length all `Content-Length` fields agree on; None when there is none or they do not; lower-case names."""
    return _one_length(field_values(headers, b"content-length"))


def _one_length(values: list[bytes]) -> int | None:
    if len(values) != 1 and len(set(values)) != 1:
        return None
    length = values[0]
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


def _fields_problem(headers: Fields, names: FieldNames) -> Problem | None:
    """Too many fields, too large ones, or malformed ones."""
    if len(headers) > MAX_FIELDS:
        return Problem(431, f"There are more than {MAX_FIELDS} header fields.")
    # All values in one look; the line breaks between them are not theirs.
    values = b"\n".join([value for _, value in headers])
    breaks = max(0, len(headers) - 1)
    if names.size + len(values) - breaks > MAX_FIELD_BYTES:
        return Problem(431, f"The header fields are larger than {MAX_FIELD_BYTES} bytes.")
    if not names.are_tokens:
        return Problem(400, "A header field's name is not a token.", close=True)
    if len(values) - len(values.translate(None, CONTROLS)) != breaks:
        return Problem(400, "A header field's value holds a line break or another control character.", close=True)
    return None


def _version(scope: Mapping[str, Any]) -> str:
    return str(scope.get("http_version", "1.1"))


def _host_problem(hosts: list[bytes], scope: Mapping[str, Any]) -> Problem | None:
    if not hosts:
        return None if _version(scope) == "1.0" else Problem(400, "There is no Host.", close=True)
    if len(hosts) > 1:
        return Problem(400, "There is more than one Host.", close=True)
    (host,) = hosts
    if not is_host(host):
        return Problem(400, "The Host is not a name or an address with an optional port.")
    return None


@lru_cache(1024)
def _is_host(host: bytes) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and int(found[1] or 0) <= 65535


def _framing_problem(headers: Fields, names: FieldNames, version: str) -> Problem | None:
    """RFC 9112 section 6.3: what does not name one framing is refused, and the connection is not used again."""
    lengths = names.values(headers, b"content-length")
    codings = names.values(headers, b"transfer-encoding")
    if lengths and _one_length(lengths) is None:
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
