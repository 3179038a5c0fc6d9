"""Server-sent events through a gateway: at once, for as long as they last, and not a moment longer than the client."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hydra_asgi.backends.httpx_upstream import HttpxUpstream
from hydra_asgi.core.health.concurrency import Limits
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from hydra_asgi.gateway.limits import ServiceLimits
from hydra_asgi.ports import Timeouts
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream
from tests.exchange import exchange
from tests.gateway.servers import SERVERS, serving
from tests.raw_server import RawServer, raw_server, read_head

Eventually = Callable[..., Any]
STREAM = b"text/event-stream"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
GET = b"GET /events HTTP/1.1\r\nhost: site.test\r\naccept: text/event-stream\r\n\r\n"


def event(number: int) -> bytes:
    return b"data: %d\n\n" % number


def chunk(number: int) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event(number)), event(number))


def forwarding(upstream: Any, address: Address, **options: Any) -> Callable[..., Any]:
    logging.getLogger("hydra_asgi.access").setLevel(logging.CRITICAL)
    limits = options.pop("limits", None)
    terms = ForwardingTerms(pseudonym="node", trusted=lambda peer: False, vouch=lambda token: None, **options)
    forward = Forwarder(upstream, terms, limits=limits)
    group = Group.build([ServiceInstance("news", address, token=1234567890)])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await forward(scope, receive, send, group=group, key="", target=scope["raw_path"])

    return app


async def test_each_event_leaves_before_the_next_is_made() -> None:
    """The service makes its next event only when the client has the one before, so none is held back."""
    arrived = [asyncio.Event() for _ in range(3)]
    pieces: list[Any] = []
    for number in range(3):
        pieces += [event(number), arrived[number].wait()]
    seen: list[bytes] = []

    def on_send(message: dict[str, Any]) -> None:
        if message.get("body"):
            arrived[len(seen)].set()
            seen.append(message["body"])

    app = forwarding(FakeUpstream(FakeResponse(200, pieces, content_type=STREAM)), Address("http", "10.0.0.1", 80))
    result = await exchange(app, on_send=on_send)
    assert seen == [event(0), event(1), event(2)]
    assert result.header(b"content-type") == STREAM
    assert result.header(b"content-length") is None
    assert result.complete


async def test_the_head_leaves_before_the_first_event() -> None:
    """A browser calls a stream open when it has the head, however long the first event takes."""
    opened = asyncio.Event()
    upstream = FakeUpstream(FakeResponse(200, [opened.wait(), event(0)], content_type=STREAM))

    def on_send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            opened.set()

    result = await exchange(forwarding(upstream, Address("http", "10.0.0.1", 80)), on_send=on_send)
    assert result.body == event(0)


async def test_no_deadline_ends_a_stream() -> None:
    """A stream that has begun goes on long after the time in which it had to begin."""
    clock = 0.0

    async def time_passes() -> None:
        nonlocal clock
        clock += 86_400.0

    pieces = [event(0), time_passes(), event(1), time_passes(), event(2)]
    upstream = FakeUpstream(FakeResponse(200, pieces, content_type=STREAM))
    app = forwarding(upstream, Address("http", "10.0.0.1", 80), deadline=1.0, clock=lambda: clock)
    result = await exchange(app)
    assert result.body == event(0) + event(1) + event(2)
    assert result.complete


class Newsroom:
    """A service whose events the test makes, one by one."""

    def __init__(self) -> None:
        self.wanted: asyncio.Queue[int | None] = asyncio.Queue()
        self.is_left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HEAD)
        left = asyncio.create_task(reader.read())
        left.add_done_callback(lambda _: self.wanted.put_nowait(None))
        while (number := await self.wanted.get()) is not None:
            writer.write(chunk(number))
        self.is_left.set()


@asynccontextmanager
async def streaming(
    server: str, newsroom: Newsroom, **options: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, RawServer]]:
    upstream = HttpxUpstream()
    async with (
        raw_server(newsroom) as service,
        serving(server, forwarding(upstream, service.address, **options)) as port,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        try:
            yield reader, writer, service
        finally:
            writer.close()
            await upstream.close()


@pytest.mark.e2e
@pytest.mark.parametrize("server", SERVERS)
async def test_events_pass_a_real_server_at_once(server: str) -> None:
    """Head and events arrive one by one while the service waits for the test, each within 50 ms."""
    newsroom = Newsroom()
    now = asyncio.get_running_loop().time
    async with streaming(server, newsroom) as (reader, _, _):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"text/event-stream" in head
        took = []
        for number in range(5):
            began = now()
            newsroom.wanted.put_nowait(number)
            await reader.readuntil(event(number))
            took.append(now() - began)
    assert min(took) < 0.05  # the least of them is what the gateway takes; the others share the machine


@pytest.mark.e2e
@pytest.mark.parametrize("server", SERVERS)
async def test_a_stream_outlives_the_deadline_of_its_request(server: str, eventually: Eventually) -> None:
    """When the time for all attempts is long over, events still arrive."""
    newsroom = Newsroom()
    now = asyncio.get_running_loop().time
    ends = now() + 0.3
    async with streaming(server, newsroom, deadline=0.3, timeouts=Timeouts(first_byte=0.3)) as (reader, _, _):
        newsroom.wanted.put_nowait(0)
        await reader.readuntil(event(0))
        await eventually(lambda: now() > ends + 0.2)
        newsroom.wanted.put_nowait(1)
        await reader.readuntil(event(1))


@pytest.mark.e2e
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("after", [0, 1])
async def test_a_client_that_leaves_ends_the_stream(server: str, after: int, eventually: Eventually) -> None:
    """The service is left while it is silent, before its first event and after it."""
    newsroom = Newsroom()
    async with streaming(server, newsroom) as (reader, writer, service):
        await reader.readuntil(b"\r\n\r\n")
        for number in range(after):
            newsroom.wanted.put_nowait(number)
            await reader.readuntil(event(number))
        writer.close()
        await newsroom.is_left.wait()
        await eventually(lambda: service.open == 0)


async def test_a_stream_keeps_no_place_of_its_service(eventually: Eventually) -> None:
    """While a stream is open, its service has all of its places for work that ends."""
    gate, limits = asyncio.Event(), ServiceLimits(Limits(total=4, service=1))
    upstream = FakeUpstream(lambda request: FakeResponse(200, [event(0), gate.wait()], content_type=STREAM))
    seen: list[Any] = []
    app = forwarding(upstream, Address("http", "10.0.0.1", 80), limits=limits)
    streams = [asyncio.create_task(exchange(app, on_send=seen.append)) for _ in range(2)]
    await eventually(lambda: len([message for message in seen if message.get("body")]) == 2)
    assert limits.taken("news") == 0
    gate.set()
    await asyncio.gather(*streams)
    assert limits.taken("news") == 0
    assert [limits.take("news"), limits.take("news"), *(limits.take(other) for other in "abc")] == [
        True, False, True, True, True,
    ]  # fmt: skip
