"""Fields behind a body: who can take them, which may stand there, and how many.

A trailer arrives when the message has been acted upon already, and some receivers merge it with the header fields. So
what says how a message is framed, routed, stored, read or allowed has no place there (RFC 9110 section 6.5.1).
"""

from typing import Final

from hydra_asgi.core.headers.field_names import FieldNames, field_names
from hydra_asgi.core.headers.header_fields import Fields, field_values, lowered
from hydra_asgi.core.headers.header_policy import crosses_back
from hydra_asgi.core.headers.request_check import CONTROLS

__all__ = ["TAKES_TRAILERS", "announced_trailers", "crossing_trailers", "takes_trailers"]

MAX_TRAILERS: Final = 64
"""Real responses have one or two: a checksum, a status, a timing."""

MAX_TRAILER_BYTES: Final = 16384
"""Names and values together; they are kept until the body has gone out."""

TAKES_TRAILERS: Final = ((b"te", b"trailers"), (b"connection", b"te"))
"""What we say for ourselves to an instance whose trailers can be passed on (RFC 9110 section 10.1.4)."""

_NOT_BEHIND_A_BODY: Final = frozenset(
    {
        # Framing and routing; hop-by-hop fields are not among these, because none of them crosses.
        b"content-length", b"host", b"max-forwards",
        # How to read the body, and which part of what it is.
        b"accept-ranges", b"content-encoding", b"content-location", b"content-range", b"content-type",
        # What to do with the response, and how long it lasts.
        b"age", b"allow", b"cache-control", b"cdn-cache-control", b"clear-site-data", b"expires", b"last-modified",
        b"location", b"pragma", b"refresh", b"retry-after", b"surrogate-control", b"vary", b"warning",
        # Who may do what; a browser that took these late would have let scripts run before.
        b"access-control-allow-credentials", b"access-control-allow-origin", b"authorization",
        b"content-security-policy", b"cookie", b"set-cookie", b"strict-transport-security", b"www-authenticate",
        # What we say ourselves at the head.
        b"via", b"x-request-id",
    }
)  # fmt: skip


def takes_trailers(headers: Fields, names: FieldNames) -> bool:
    """Whether a client says that it reads trailers (RFC 9110 section 10.1.4).

    Args:
        headers: of its request.
        names: those of `headers`.
    """
    members = b",".join(names.values(headers, b"te")).split(b",")
    return any(member.strip(b" \t").lower() == b"trailers" for member in members)


def announced_trailers(headers: Fields) -> bytes:
    """Which trailers a response announces and may have, as the value of a `Trailer` field; empty for none.

    Args:
        headers: of the response, any case of names.
    """
    members = b",".join(field_values(lowered(headers), b"trailer")).lower().split(b",")
    names = {name: None for member in members[:MAX_TRAILERS] if (name := member.strip(b" \t"))}
    permitted = [name for name in names if _may_cross(name)]
    announced = b", ".join(permitted)
    is_sound = field_names([(name, b"") for name in permitted]).are_tokens and len(announced) <= MAX_TRAILER_BYTES
    return announced if is_sound else b""


def crossing_trailers(trailers: Fields) -> Fields:
    """Those trailers of a response that a client may see, with lower-case names.

    None at all where one is malformed or there are too many: the body has gone out, so there is nobody to refuse.

    Args:
        trailers: as they came, any case of names.
    """
    names = field_names(trailers)
    size = names.size + sum([len(value) for _, value in trailers])
    if len(trailers) > MAX_TRAILERS or size > MAX_TRAILER_BYTES or not names.are_tokens:
        return []
    values = b"\t".join([value for _, value in trailers])
    if len(values.translate(None, CONTROLS)) != len(values):
        return []
    return [(name, value) for name, value in lowered(trailers) if _may_cross(name)]


def _may_cross(name: bytes) -> bool:
    return crosses_back(name) and name not in _NOT_BEHIND_A_BODY
