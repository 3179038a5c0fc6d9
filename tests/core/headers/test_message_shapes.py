"""Shapes: what is worked out once for a list of names says the same as the policy that reads each message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.headers.field_names import REMEMBERED
from hydra_asgi.core.headers.header_policy import request_headers, response_headers
from hydra_asgi.core.headers.message_shapes import RequestShapes, ResponseShapes
from hydra_asgi.core.headers.request_id import REQUEST_ID

VIA = (b"via", b"1.1 node-7f")
HOST = (b"host", b"site.test")

NAMES = st.sampled_from(
    [
        b"accept", b"connection", b"content-length", b"cookie", b"date", b"etag", b"forwarded", b"hydra-x",
        b"keep-alive", b"server", b"set-cookie", b"te", b"traceparent", b"via", b"x-forwarded-for", b"x-forwarded-host",
        b"x-real-ip", b"x-request-id", b"x_y",
    ]
)  # fmt: skip
VALUES = st.sampled_from([b"1", b"close", b"keep-alive", b"accept, close", b"x-request-id", b""])
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(FIELDS)
def test_a_response_crosses_as_the_policy_says(headers: list[tuple[bytes, bytes]]) -> None:
    """The same fields in the same order, whatever their case, and the same again when the names come again."""
    shapes = ResponseShapes(VIA)
    for spelled in (headers, [(name.title(), value) for name, value in headers], headers):
        kept, is_named = shapes.crossing_back(spelled)
        assert kept == response_headers(spelled, via=VIA[1])
        assert is_named == any(name == REQUEST_ID for name, _ in kept)


@given(FIELDS, st.booleans())
def test_a_plain_request_crosses_as_the_policy_says(headers: list[tuple[bytes, bytes]], trusted: bool) -> None:
    """What a plain shape picks is what the policy keeps, in order."""
    fields = [HOST, *headers]
    shape = RequestShapes()[tuple(name for name, _ in fields)]
    if shape is None or any(value not in (b"close", b"keep-alive") for name, value in fields if name == b"connection"):
        return
    policy = request_headers(
        [pair for pair in fields if pair[0] != REQUEST_ID],
        client="10.0.0.1",
        scheme="http",
        host=HOST[1],
        via=VIA[1],
        trusted=trusted,
        add=[(b"last", b"")],
    )
    picked = list((shape.from_trusted if trusted else shape.from_client)(fields))
    assert policy[1 : 1 + len(picked)] == picked
    assert policy[1 + len(picked)][0] == b"x-forwarded-for"
    said = {name for name, _ in fields} & {b"x-forwarded-host", b"x-forwarded-proto"}
    assert shape.said == said


@pytest.mark.parametrize(
    "more",
    [
        [b"max-forwards"],
        [b"x-request-id", b"x-request-id"],
        [b"expect"],
        [b"upgrade"],
        [b"transfer-encoding"],
        [b"hydra-path"],
        [b"hydra-key"],
        [b"host"],
        [b"content-length", b"content-length"],
        [b"cookie", b"cookie"],
        [b"no token"],
        [b"a\nb"],
        [b"Upper"],
        [b"x"] * 256,
        [b"x" * 3000],
    ],
)
def test_names_that_ask_for_more_are_not_plain(more: list[bytes]) -> None:
    """Whatever has to be read, or is malformed, goes the whole way; the second time, too."""
    shapes = RequestShapes()
    assert shapes[b"host", *more] is None
    assert shapes[b"host", *more] is None


def test_a_request_without_a_host_is_not_plain() -> None:
    """There is nobody it could be for."""
    assert RequestShapes()[b"accept",] is None


def test_places_are_remembered() -> None:
    """Where the host, the length, cookies and connection options stand."""
    shape = RequestShapes()[b"cookie", b"host", b"connection", b"content-length"]
    assert shape is not None
    assert (shape.host, shape.length, shape.cookies, shape.connection) == (1, 3, (0,), (2,))
    assert (shape.asks, shape.request_id) == (False, -1)


def test_what_nodes_before_us_said_has_to_be_read() -> None:
    """A trace context, the nodes that were passed, and the name of the request, wherever they stand."""
    shape = RequestShapes()[b"tracestate", b"host", b"via", b"x-request-id", b"traceparent", b"via"]
    assert shape is not None
    assert (shape.asks, shape.trace, shape.via, shape.request_id) == (True, (0, 4), (2, 5), 3)


def test_what_is_remembered_is_bounded() -> None:
    """The oldest shape is forgotten first, and long lists are not remembered at all."""
    shapes = RequestShapes()
    first = shapes[b"host",]
    assert shapes[b"host",] is first
    for number in range(REMEMBERED):
        shapes[b"host", b"x%d" % number]
    assert shapes[b"host",] is not first
    back, long = ResponseShapes(VIA), [(b"x" * 3000, b"y")]
    assert back.crossing_back(long) == back.crossing_back(long) == ([*long, VIA], False)
    assert back.crossing_back([]) == ([VIA], False)
