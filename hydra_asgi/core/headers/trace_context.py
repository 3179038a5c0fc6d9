"""W3C Trace Context: reading `traceparent` and `tracestate` strictly, and writing them.

A node that records no spans passes a sound context on as it is: a parent that nobody recorded would be a hole in every
trace, and a context of our own would decide for the services which traces they keep. What is not sound goes no further,
so that the next one to record begins a new trace.
"""

import re
from dataclasses import dataclass
from typing import Final

from hydra_asgi.core.headers.header_fields import Fields, field_values

__all__ = ["MAX_BYTES", "TRACE_NAMES", "TraceContext", "read_trace", "sound_trace", "trace_fields", "with_trace"]

MAX_BYTES: Final = 512
"""Of either field. What every participant should be able to carry (Trace Context, section 3.3.1.5)."""

_KNOWN_FLAGS: Final = 3  # sampled, and random since level 2; the others must be sent as zero (section 3.2.2.5)
_MAX_MEMBERS: Final = 32  # section 3.3.1.1

TRACE_NAMES = frozenset({b"traceparent", b"tracestate"})
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?")
_MEMBER = re.compile(
    rb"([a-z0-9][a-z0-9_*/@-]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where a request stands in a trace.

    Attributes:
        trace_id: 32 lower-case hexadecimal digits, not all zero.
        parent_id: 16 of them: the span that sent the request.
        flags: 1 means that the trace is recorded.
        state: the members of `tracestate`, as they came.
    """

    trace_id: str
    parent_id: str
    flags: int = 0
    state: str = ""


def read_trace(headers: Fields) -> TraceContext | None:
    """The context of a request; None when it has none, or one that is malformed, repeated or too long.

    A `tracestate` that cannot be used is dropped alone: the trace goes on without it (section 3.3).

    Args:
        headers: with lower-case names.
    """
    parents = field_values(headers, b"traceparent")
    found = _PARENT.fullmatch(parents[0]) if len(parents) == 1 and len(parents[0]) <= MAX_BYTES else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    # Later versions may append parts, the present one has none (section 3.2.4).
    is_known = version != b"ff" and (version != b"00" or more is None)
    if not is_known or not int(trace_id, 16) or not int(parent_id, 16):
        return None
    state = _state(field_values(headers, b"tracestate"))
    return TraceContext(trace_id.decode(), parent_id.decode(), int(flags, 16) & _KNOWN_FLAGS, state)


def trace_fields(trace: TraceContext) -> Fields:
    """The context as header fields, in the version that everybody reads."""
    parent = f"00-{trace.trace_id}-{trace.parent_id}-{trace.flags:02x}"
    fields = [(b"traceparent", parent.encode("ascii"))]
    if trace.state:
        fields.append((b"tracestate", trace.state.encode("ascii")))
    return fields


def with_trace(headers: Fields, trace: TraceContext | None) -> Fields:
    """A new list with this context in the place of any other; None leaves none. Lower-case names."""
    kept = [pair for pair in headers if pair[0] not in TRACE_NAMES]
    return kept if trace is None else [*kept, *trace_fields(trace)]


def sound_trace(headers: Fields) -> Fields:
    """The fields with a sound context or none; the same list where nothing has to change. Lower-case names."""
    names = [name for name, _ in headers if name in TRACE_NAMES]
    if not names:
        return headers
    trace = read_trace(headers)
    is_as_read = trace is not None and len(names) == (2 if trace.state else 1)
    return headers if is_as_read else with_trace(headers, trace)


def _state(values: list[bytes]) -> str:
    """The members of all `tracestate` fields together; empty when they cannot be used (sections 3.3.1.1 to 3.3.1.4)."""
    joined = b",".join(values)
    if not joined or len(joined) > MAX_BYTES:
        return ""
    members = [member for item in joined.split(b",") if (member := item.strip(b" \t"))]
    matches = [_MEMBER.fullmatch(member) for member in members]
    keys = {found[1] for found in matches if found is not None}
    if len(members) > _MAX_MEMBERS or len(keys) != len(members):  # malformed, or a key that stands twice
        return ""
    return joined.decode("ascii")
