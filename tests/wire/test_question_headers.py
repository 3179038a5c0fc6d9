"""The header fields of a question about fragments."""

import pytest

from hydra_asgi.wire.question_headers import (
    ACCEPT_ARRAY,
    ACCEPT_BOTH,
    ACCEPT_LINES,
    question_headers,
    takes_lines,
)

LENT = [(b"accept-language", b"nl"), (b"traceparent", b"00-1"), (b"cookie", b"a=1")]


def test_our_nodes_find_what_is_lent_in_the_body() -> None:
    """Of what is lent only the trace context stands in the fields, and the weight key beside it."""
    assert question_headers("h:1", ACCEPT_LINES, LENT, key="k") == [
        (b"host", b"h:1"),
        (b"accept", b"application/x-ndjson, application/json"),
        (b"accept-encoding", b"identity"),
        (b"content-type", b"application/json"),
        (b"hydra-key", b"k"),
        (b"traceparent", b"00-1"),
    ]


def test_a_medusa_gets_what_is_lent_as_fields() -> None:
    """A peer that reads no extension gets all of what is lent, and nothing of ours."""
    headers = question_headers("h:1", ACCEPT_ARRAY, LENT, key="k", plain=True)
    assert headers[4:] == LENT
    assert (b"accept", b"application/json") in headers


@pytest.mark.parametrize(
    "value",
    [
        ACCEPT_LINES,
        ACCEPT_BOTH,
        b"application/x-ndjson",
        b"text/html;q=0.1 , Application/X-NDJSON ; q=0.5",
        b"application/x-ndjson;q=1",
        b"application/x-ndjson;v=0",
    ],
)
def test_lines_are_for_those_who_ask(value: bytes) -> None:
    """An `Accept` that names the type gets lines."""
    assert takes_lines([(b"host", b"h"), (b"Accept", value)])


@pytest.mark.parametrize(
    "value",
    [
        b"*/*",
        b"application/*",
        b"application/json",
        b"application/x-ndjson;q=0",
        b"application/x-ndjson; Q = 0.00",
        b"",
    ],
)
def test_everybody_else_gets_the_array(value: bytes) -> None:
    """A wildcard or `q=0` is no wish for lines."""
    assert not takes_lines([(b"accept", value)])


def test_no_accept_gets_the_array() -> None:
    """Who says nothing gets what every peer reads."""
    assert not takes_lines([])
