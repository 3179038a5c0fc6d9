"""What is fuzzed: four parsers that read bytes of strangers, each with the laws it must keep for every input.

A target takes any bytes and returns nothing; an `AssertionError` or any other exception is a finding. The first byte
decides how the rest is cut, so that chunk borders are fuzzed too.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from hydra_asgi.backends.native_upstream.response_reader import ResponseReader
from hydra_asgi.core.headers.header_fields import Fields, connection_options, lowered
from hydra_asgi.core.headers.header_policy import HOP_BY_HOP, request_headers, response_headers
from hydra_asgi.core.headers.request_check import check_request, check_response
from hydra_asgi.core.html.scanner import Event, Scanner, TagAbandoned, TagClosed, TagOpened, Text
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.core.routing.raw_path import PathError, split_raw_path
from hydra_asgi.core.routing.route_table import RouteTable

__all__ = ["TARGETS"]


def cut(data: bytes) -> Iterator[bytes]:
    """The bytes after the first one, in pieces whose sizes the first one decides."""
    size = data[0] % 37 + 1 if data else 1
    for at in range(1, len(data), size):
        yield data[at : at + size]


def scanner(data: bytes) -> None:
    """Lossless, independent of chunking, bounded."""
    pieces, whole = Scanner(max_body=256, max_start_tag=128), Scanner(max_body=256, max_start_tag=128)
    events: list[Event] = []
    for piece in cut(data):
        events += pieces.feed(piece)
        assert pieces.held <= 256 + 128 + 64 + len(piece), pieces.held
    events += pieces.close()
    assert b"".join(event.raw for event in events) == data[1:]
    assert _joined(events) == _joined([*whole.feed(data[1:]), *whole.close()])
    opened = False
    for event in events:
        match event:
            case TagOpened():
                assert not opened
                opened = True
            case TagClosed() | TagAbandoned():
                assert opened
                opened = False
            case Text():
                assert not opened


def _joined(events: list[Event]) -> list[Event]:
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Text) and isinstance(last, Text):
            joined[-1] = replace(last, raw=last.raw + event.raw)
        elif event.raw or not isinstance(event, Text):
            joined.append(event)
    return joined


def headers(data: bytes) -> None:
    """Nothing that belongs to one connection crosses, whatever `Connection` names; checks never raise."""
    fields: Fields = []
    for line in data.split(b"\n"):
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value))
    check_request({"type": "http", "method": "GET", "http_version": "1.1", "headers": fields})
    check_response(200, fields)
    named = HOP_BY_HOP | connection_options(lowered(fields))
    ours = [(b"hydra-path", b"1000000001")]
    sent = request_headers(
        fields, client="192.0.2.1", scheme="http", host=b"site.test", via=b"1.1 us", trusted=False, add=ours
    )
    assert sent[-1:] == ours
    assert [value for name, value in sent if name == b"host"] == [b"site.test"]
    added = {b"host", b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}
    assert not [name for name, _ in sent[:-1] if name in named - added]
    assert not [name for name, _ in response_headers(fields) if name in named]


_TABLE = RouteTable.build(
    [
        ServiceInstance("a", Address("http", "10.0.0.1", 1), token=1, order=1, routes=tuple(map(Route, templates)))
        for templates in [("/", "/a/{x}", "/a/{x:int}/b", "/files/{rest:path}", "/{any}/{thing}/")]
    ]
)


def paths(data: bytes) -> None:
    """A path is split or refused; what is split never holds a dot segment or a control character."""
    try:
        segments = split_raw_path(data)
    except PathError:
        return
    assert data.startswith(b"/")
    for segment in segments:
        assert not any(character < " " or character == "\x7f" for character in segment)
        for part in segment.replace("\\", "/").split("/"):
            assert part.split(";")[0] not in (".", ".."), segments
    _TABLE.match(segments, "GET")


def responses(data: bytes) -> None:
    """The same outcome however the response was cut, and never an exception; a failure is never a whole response."""
    in_pieces, whole = _read(list(cut(data))), _read([data[1:]])
    assert in_pieces == whole


def _read(pieces: list[bytes]) -> tuple[object, ...]:
    reader = ResponseReader()
    reader.begin()
    body = b""
    for piece in pieces:
        reader.feed(piece)
        body += reader.take()
    reader.end()
    body += reader.take()
    assert not (reader.failure is not None and reader.is_complete)
    # Which words describe a failure may depend on what was there already; that it failed may not.
    return (reader.status, reader.headers if reader.status else None, reader.is_complete, reader.failure is None)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "scanner": scanner,
    "headers": headers,
    "paths": paths,
    "responses": responses,
}
