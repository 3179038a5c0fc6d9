"""The header fields of a question about fragments, C3 and C4 alike."""

from collections.abc import Iterable

from hydra_asgi.wire.answer_lines import LINES_TYPE

__all__ = ["ACCEPT_ARRAY", "ACCEPT_BOTH", "ACCEPT_LINES", "question_headers", "takes_lines"]

ACCEPT_LINES = LINES_TYPE + b", application/json"
"""For an instance of ours."""

ACCEPT_ARRAY = b"application/json"
"""For a Medusa, whose framework could write NDJSON of its own kind."""

ACCEPT_BOTH = b"application/json, " + LINES_TYPE
"""For a gateway of either kind: a Java one writes what it reads first, ours prefers lines wherever they stand."""

_TRACE = frozenset({b"traceparent", b"tracestate"})


def question_headers(
    netloc: str, accept: bytes, lent: Iterable[tuple[bytes, bytes]], *, key: str = "", plain: bool = False
) -> list[tuple[bytes, bytes]]:
    """Make the fields, without framing and signature.

    Args:
        netloc: `host:port` of the peer, for `host`.
        accept: one of the constants above.
        lent: the page's headers that the peer may see. Our nodes find them in the body, so that the fields of this
            request stay ours; only the trace context is repeated here, for whatever traces between the two.
        key: the user's weight key, for peers of ours.
        plain: the peer reads no extension; it gets what is lent as fields.
    """
    fields = [
        (b"host", netloc.encode("ascii", "replace")),
        (b"accept", accept),
        (b"accept-encoding", b"identity"),
        (b"content-type", b"application/json"),
    ]
    if key and not plain:
        fields.append((b"hydra-key", key.encode("latin-1", "replace")))
    return [*fields, *((name, value) for name, value in lent if plain or name in _TRACE)]


def takes_lines(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether an asker reads NDJSON: `Accept` names it, not with `q=0` (RFC 9110 section 12.4.2), nor by `*/*`."""
    for name, value in headers:
        if name.lower() != b"accept":
            continue
        for item in value.split(b","):
            kind, *parameters = (part.strip().lower() for part in item.split(b";"))
            if kind == LINES_TYPE and not any(_is_zero(parameter) for parameter in parameters):
                return True
    return False


def _is_zero(parameter: bytes) -> bool:
    name, _, weight = parameter.partition(b"=")
    return name.strip() == b"q" and not weight.strip().strip(b"0.")
