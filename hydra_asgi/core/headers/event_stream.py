"""Which responses are streams of events: they last, and their silence says nothing.

A stream of server-sent events (HTML standard, section 9.2) goes on for as long as its page is open, and may have
nothing to tell for hours. So no time between two of its pieces is too long, and it is no part of the work that a
service has at a time.
"""

from hydra_asgi.core.headers.header_fields import Fields

__all__ = ["is_event_stream"]

_NAME = b"content-type"
_TYPE = b"text/event-stream"


def is_event_stream(headers: Fields) -> bool:
    """Whether a response with these fields (any case of names) is a stream of events."""
    for name, value in headers:
        if len(name) == len(_NAME) and name.lower() == _NAME:
            return value[: len(_TYPE)].lower() == _TYPE and value[len(_TYPE) :].strip(b" \t")[:1] in (b"", b";")
    return False
