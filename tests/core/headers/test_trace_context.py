"""W3C Trace Context, read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.headers.trace_context import TraceContext, read_trace, sound_trace, trace_fields, with_trace

TRACE = b"0af7651916cd43dd8448eb211c80319c"
PARENT = b"b7ad6b7169203331"
GOOD = b"00-" + TRACE + b"-" + PARENT + b"-01"
CONTEXT = TraceContext(TRACE.decode(), PARENT.decode(), 1)
HOST = (b"host", b"site.test")

BAD = [
    b"",
    b"nonsense",
    b"00-zz",
    b"ff" + GOOD[2:],
    GOOD.upper(),
    GOOD + b"-more",
    GOOD + b"-",
    GOOD[:-1],
    b" " + GOOD,
    b"00-" + b"0" * 32 + GOOD[35:],
    GOOD[:36] + b"0" * 16 + b"-01",
    GOOD.replace(b"-", b"_"),
    b"\xff" * 55,
    b"x" * 10_240,
    b"01" + GOOD[2:] + b"-" + b"x" * 512,
    b"01" + GOOD[2:] + b"more",
]


def test_a_trace_is_read() -> None:
    """The trace, the span that asked, and whether it is recorded."""
    assert read_trace([HOST, (b"traceparent", GOOD)]) == CONTEXT


@pytest.mark.parametrize("value", BAD)
def test_a_malformed_trace_is_none(value: bytes) -> None:
    """What is malformed, all zero or longer than 512 bytes is dropped, and takes its state with it."""
    headers = [(b"traceparent", value), HOST, (b"tracestate", b"a=1")]
    assert read_trace(headers) is None
    assert sound_trace(headers) == [HOST]


def test_two_traces_are_none() -> None:
    """A repeated field names no trace."""
    assert read_trace([(b"traceparent", GOOD)] * 2) is None
    assert sound_trace([(b"traceparent", GOOD), HOST, (b"traceparent", GOOD)]) == [HOST]


def test_a_state_without_a_trace_is_dropped() -> None:
    """State alone belongs to nothing."""
    assert sound_trace([(b"tracestate", b"a=1"), HOST]) == [HOST]


def test_later_versions_are_read() -> None:
    """A later version may append parts; what we know of it counts, flags we do not know are not handed on."""
    later = b"7e-" + TRACE + b"-" + PARENT + b"-ff-what-ever"
    assert read_trace([(b"traceparent", later)]) == TraceContext(TRACE.decode(), PARENT.decode(), 3)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ([b"a=1"], "a=1"),
        ([b"a=1, b@c=2 ,,"], "a=1, b@c=2 ,,"),
        ([b"a=1", b"b=2"], "a=1,b=2"),
        ([b"1tenant@sys=x y!"], "1tenant@sys=x y!"),
        ([b"a=1,a=2"], ""),
        ([b"A=1"], ""),
        ([b"a"], ""),
        ([b"a=b=c"], ""),
        ([b"a=\xff"], ""),
        ([b"a=\x1b"], ""),
        ([b"a=" + b"x" * 256], "a=" + "x" * 256),
        ([b"a=" + b"x" * 257], ""),
        ([b"a=1," + b"b=2," * 200], ""),
        ([b",".join(b"k%d=v" % number for number in range(32))], ",".join(f"k{number}=v" for number in range(32))),
        ([b",".join(b"k%d=v" % number for number in range(33))], ""),
        ([b""], ""),
    ],
)
def test_states(values: list[bytes], state: str) -> None:
    """A state that breaks a rule is dropped as a whole; the trace goes on without it."""
    found = read_trace([(b"traceparent", GOOD), *((b"tracestate", value) for value in values)])
    assert found == TraceContext(CONTEXT.trace_id, CONTEXT.parent_id, 1, state)


def test_what_is_sound_is_not_touched() -> None:
    """Requests without a trace and with a good one keep their very list."""
    for headers in ([HOST], [HOST, (b"traceparent", GOOD)], [(b"tracestate", b"a=1"), (b"traceparent", GOOD)]):
        assert sound_trace(headers) is headers


def test_what_is_half_sound_is_mended() -> None:
    """A state that cannot be used goes, one in two fields becomes one."""
    parent = (b"traceparent", GOOD)
    assert sound_trace([parent, (b"tracestate", b"?"), HOST]) == [HOST, parent]
    split = [(b"tracestate", b"a=1"), parent, (b"tracestate", b"b=2")]
    assert sound_trace(split) == [parent, (b"tracestate", b"a=1,b=2")]


def test_another_trace_takes_the_place() -> None:
    """What a span sends on replaces what came; None leaves nothing."""
    headers = [(b"traceparent", GOOD), HOST, (b"tracestate", b"a=1")]
    other = TraceContext("1" * 32, "2" * 16, 0, "b=2")
    assert with_trace(headers, other) == [
        HOST,
        (b"traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-00"),
        (b"tracestate", b"b=2"),
    ]
    assert with_trace(headers, None) == [HOST]


HEX = "0123456789abcdef"
contexts = st.builds(
    TraceContext,
    st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 3),
    st.sampled_from(["", "a=1", "a=1,b@c=2"]),
)


@given(contexts)
def test_what_is_written_is_read(trace: TraceContext) -> None:
    """Whatever we send on, the next one reads the same."""
    assert read_trace(trace_fields(trace)) == trace


@given(st.lists(st.tuples(st.sampled_from([b"traceparent", b"tracestate", b"host"]), st.binary(max_size=70))))
def test_anything_becomes_sound(headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever came, what goes on is nothing or one sound context."""
    sound = sound_trace(headers)
    assert sound_trace(sound) is sound
    parents = [value for name, value in sound if name == b"traceparent"]
    assert len(parents) == (read_trace(headers) is not None)
