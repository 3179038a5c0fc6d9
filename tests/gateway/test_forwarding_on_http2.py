"""Clients of HTTP/2 before instances of HTTP/1.1, through a real server: trailers, early hints, cookies in pieces."""

import asyncio
from collections.abc import Sequence
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from tests.gateway.servers import serving
from tests.raw_server import RawServer, raw_server, read_head, says

pytestmark = pytest.mark.e2e

ANSWER = (
    b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nset-cookie: early=1\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ntrailer: x-sum, set-cookie\r\ntransfer-encoding: chunked\r\n\r\n"
    b"4\r\npage\r\n0\r\nx-sum: 10\r\nset-cookie: late=1\r\n\r\n"
)
Fields = list[tuple[bytes, bytes]]


def forwarding_to(instance: RawServer, upstream: NativeUpstream) -> Any:
    group = Group.build([ServiceInstance("orders", instance.address, token=1234567890)])
    terms = ForwardingTerms(pseudonym="node", trusted=lambda peer: False, vouch=lambda token: None)
    forward = Forwarder(upstream, terms)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await forward(scope, receive, send, group=group, key="", target=scope["raw_path"])

    return app


async def ask(port: int, *headers: tuple[bytes, bytes]) -> list[Any]:
    """One GET by HTTP/2; every event of its stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    client.initiate_connection()
    stream = client.get_next_available_stream_id()
    pseudo = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"site.test"), (b":path", b"/orders")]
    client.send_headers(stream, [*pseudo, *headers], end_stream=True)
    seen: list[Any] = []
    try:
        async with asyncio.timeout(20):
            while not any(isinstance(event, h2.events.StreamEnded | h2.events.StreamReset) for event in seen):
                writer.write(client.data_to_send())
                data = await reader.read(65536)
                assert data, f"the connection ended after {seen}"
                seen += client.receive_data(data)
    finally:
        writer.close()
        await writer.wait_closed()
    return seen


def fields_of(events: Sequence[Any], kind: type[Any]) -> list[Fields]:
    return [
        [(bytes(name), bytes(value)) for name, value in event.headers] for event in events if isinstance(event, kind)
    ]


async def forwarded(*headers: tuple[bytes, bytes]) -> tuple[list[Any], list[bytes]]:
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(ANSWER)
        await says()(reader, writer)

    upstream = NativeUpstream()
    async with raw_server(handler) as instance, serving("hypercorn", forwarding_to(instance, upstream)) as port:
        try:
            return await ask(port, *headers), heads
        finally:
            await upstream.close()


async def test_hints_and_trailers_reach_a_client_that_takes_them() -> None:
    """The links come first, the body is whole, the announced trailer ends the stream, and no cookie is among them."""
    events, heads = await forwarded((b"te", b"trailers"))
    (hint,) = fields_of(events, h2.events.InformationalResponseReceived)
    assert (b":status", b"103") in hint
    assert (b"link", b"</a.css>; rel=preload") in hint
    (head,) = fields_of(events, h2.events.ResponseReceived)
    assert (b"trailer", b"x-sum") in head
    assert b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived)) == b"page"
    assert fields_of(events, h2.events.TrailersReceived) == [[(b"x-sum", b"10")]]
    assert not any(name == b"set-cookie" for fields in (hint, head) for name, _ in fields)
    assert b"\r\nte: trailers\r\nconnection: te\r\n" in heads[0]


async def test_a_client_that_takes_no_trailers_gets_the_response_without() -> None:
    """Its stream ends with the body."""
    events, heads = await forwarded()
    assert fields_of(events, h2.events.TrailersReceived) == []
    (head,) = fields_of(events, h2.events.ResponseReceived)
    assert not any(name == b"trailer" for name, _ in head)
    assert b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived)) == b"page"
    assert b"\r\nte:" not in heads[0]


async def test_cookies_in_pieces_arrive_as_one_field() -> None:
    """Clients of HTTP/2 send each cookie for itself, and frameworks read the first field only."""
    _, heads = await forwarded((b"cookie", b"a=1"), (b"cookie", b"b=2"))
    assert heads[0].count(b"\r\ncookie:") == 1
    assert b"\r\ncookie: a=1; b=2\r\n" in heads[0]
