"""Streams of events are told by their type alone."""

import pytest

from hydra_asgi.core.headers.event_stream import is_event_stream


@pytest.mark.parametrize(
    "value",
    [b"text/event-stream", b"Text/Event-Stream", b"text/event-stream;charset=utf-8", b"text/event-stream ; a=b"],
)
def test_a_stream_of_events(value: bytes) -> None:
    """Whatever the case, and with parameters."""
    assert is_event_stream([(b"x", b"y"), (b"Content-Type", value)])


@pytest.mark.parametrize("value", [b"text/event-streams", b"text/html", b"", b"text/html; a=text/event-stream"])
def test_anything_else(value: bytes) -> None:
    """Another type is none, nor is a response without a type."""
    assert not is_event_stream([(b"content-type", value)])
    assert not is_event_stream([(b"x", b"text/event-stream")])
