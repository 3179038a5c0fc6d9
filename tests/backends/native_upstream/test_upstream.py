"""Requests to instances over connections of our own: the contract of all upstreams, and what only this one does."""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Timeouts, Upstream, UpstreamRequest
from tests.backends.native_upstream.tls import server_context, tls_server, trusting
from tests.backends.upstream_contract import OK, UpstreamContract, answer_of, asking, close, pieces
from tests.raw_server import raw_server, read_head, reset, says

Eventually = Callable[..., Any]
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class TestNativeUpstreamKeepsTheContract(UpstreamContract):
    def make(self) -> Upstream:
        return NativeUpstream()


@contextlib.asynccontextmanager
async def opened(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[NativeUpstream]:
    upstream = NativeUpstream(tls=tls, **options)
    try:
        yield upstream
    finally:
        await upstream.close()
        assert upstream.counts() == (0, 0, 0)


async def failure_of(upstream: NativeUpstream, request: UpstreamRequest) -> ErrorKind:
    with pytest.raises(UpstreamError) as failed:
        await answer_of(upstream, request)
    return failed.value.kind


async def test_tls_instances_are_asked_by_name() -> None:
    """Over TLS with an authority of one's own, on a connection that is used again."""
    async with tls_server(says(OK), server_context()) as address, opened(trusting()) as upstream:
        for _ in range(3):
            assert (await answer_of(upstream, asking(address)))[2] == b"ok"
        assert upstream.counts() == (1, 1, 0)


async def test_a_certificate_of_ours_is_shown_to_who_asks() -> None:
    """An instance that wants to know us gets the context's certificate; without one there is no answer."""
    async with tls_server(says(OK), server_context(wants_client=True)) as address:
        async with opened(trusting(client=True)) as upstream:
            assert (await answer_of(upstream, asking(address)))[2] == b"ok"
        async with opened(trusting()) as upstream:
            assert await failure_of(upstream, asking(address)) in {ErrorKind.TLS, ErrorKind.RESET}


async def test_strangers_are_not_trusted() -> None:
    """Without a context the system's authorities decide, and they do not know ours."""
    async with tls_server(says(OK), server_context()) as address, opened() as upstream:
        assert await failure_of(upstream, asking(address)) is ErrorKind.TLS


async def test_each_checked_address_has_connections_of_its_own() -> None:
    """A name that was checked anew for another IP does not get the connections of the old one."""
    async with raw_server(says(OK)) as server, opened() as upstream:
        await answer_of(upstream, asking(replace(server.address, pinned="127.0.0.1")))
        await answer_of(upstream, asking(server))
        assert server.accepted == 2
        assert upstream.counts() == (2, 2, 0)


async def test_unused_addresses_are_forgotten(eventually: Eventually) -> None:
    """A fleet that comes and goes leaves nothing behind."""
    async with raw_server(says(OK, then=close)) as server, opened() as upstream:
        for number in range(1, 20):
            await answer_of(upstream, asking(replace(server.address, host=f"orders-{number}.test", pinned="127.0.0.1")))
            await eventually(lambda: upstream.counts() == (0, 0, 0))
        assert len(upstream._pools) == 1


async def test_equal_addresses_share_their_connections() -> None:
    """A new directory state brings new objects for old addresses; they cost no connection, and are not kept long."""
    async with raw_server(says(OK)) as server, opened() as upstream:
        for _ in range(1100):
            assert upstream._pool_of(replace(server.address)) is upstream._pool_of(server.address)
        assert len(upstream._known) <= 1024
        for _ in range(3):
            await answer_of(upstream, asking(replace(server.address)))
        assert server.accepted == 1


async def test_requests_beyond_the_limit_wait_their_turn() -> None:
    """No address gets more connections than allowed, and everybody is served."""

    async def handler(reader: Reader, writer: Writer) -> None:
        while await read_head(reader):
            await asyncio.sleep(0)
            writer.write(OK)

    async with raw_server(handler) as server, opened(max_connections=3) as upstream:
        answers = await asyncio.gather(*[answer_of(upstream, asking(server)) for _ in range(50)])
        assert [body for _, _, body in answers] == [b"ok"] * 50
        assert server.accepted == 3
        assert upstream.counts() == (3, 3, 0)


async def test_waiting_for_a_connection_is_bounded() -> None:
    """A full house is a connect timeout: the instance has not seen the request."""
    short = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort"
    async with (
        raw_server(says(short)) as server,
        opened(max_connections=1) as upstream,
        await upstream.send(asking(server)),
    ):
        request = asking(server, timeouts=Timeouts(connect=0.02))
        assert await failure_of(upstream, request) is ErrorKind.CONNECT_TIMEOUT
        assert upstream.counts() == (1, 0, 1)


async def test_trailers_are_there_after_the_body() -> None:
    """Fields behind a chunked body are kept apart from those before it."""
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"
    async with raw_server(says(wire)) as server, opened() as upstream:
        async with await upstream.send(asking(server)) as response:
            assert [piece async for piece in response.body()] == [b"ok"]
            assert response.trailers == [(b"x-sum", b"1")]
        assert upstream.counts() == (1, 1, 0)


async def test_early_hints_are_handed_on() -> None:
    """A 103 is told with its links before the answer is there."""
    told: list[Any] = []
    heard = asyncio.Event()

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")
        await heard.wait()
        writer.write(OK)

    async def on_interim(status: int, headers: Any) -> None:
        told.append((status, headers))
        heard.set()

    async with (
        raw_server(handler) as server,
        opened() as upstream,
        await upstream.send(asking(server, on_interim=on_interim)) as response,
    ):
        assert response.status == 200
    assert told == [(103, [(b"link", b"</a.css>")])]


async def test_interim_responses_are_told_in_order_to_whoever_listens() -> None:
    """Those that came during the upload, those that came alone, and those with the answer; nobody has to listen."""
    told: list[int] = []

    async def handler(reader: Reader, writer: Writer) -> None:
        while await read_head(reader):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await reader.readexactly(3)
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n" + OK)

    async def on_interim(status: int, headers: Any) -> None:
        await asyncio.sleep(0)
        told.append(status)

    async with raw_server(handler) as server, opened() as upstream:
        for listener in (on_interim, None):
            request = asking(server, method="POST", body=pieces(b"abc"), length=3, on_interim=listener)
            assert (await answer_of(upstream, request))[2] == b"ok"
        assert server.accepted == 1
    assert told == [100, 102, 103]


async def test_a_listener_that_fails_ends_the_request(eventually: Eventually) -> None:
    """With its own error, and with the connection."""

    async def on_interim(status: int, headers: Any) -> None:
        raise ZeroDivisionError

    async with raw_server(says(b"HTTP/1.1 103 Early Hints\r\n\r\n")) as server, opened() as upstream:
        with pytest.raises(ZeroDivisionError):
            await upstream.send(asking(server, on_interim=on_interim))
        assert upstream.counts() == (0, 0, 0)


@pytest.mark.parametrize("grants", [True, False])
async def test_a_body_waits_for_its_permission(grants: bool) -> None:
    """It is sent after a 100; after a final answer it is not, and the connection ends."""
    bodies: list[bytes] = []

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        if grants:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            bodies.append(await reader.readexactly(3))
        writer.write(OK)
        await reader.read()

    headers = [(b"host", b"site.test"), (b"expect", b"100-continue")]
    async with raw_server(handler) as server, opened() as upstream:
        assert (await answer_of(upstream, asking(server, method="PUT", headers=headers, body=b"abc")))[2] == b"ok"
        assert upstream.counts() == ((1, 1, 0) if grants else (0, 0, 0))
    assert bodies == ([b"abc"] if grants else [])


async def test_a_switch_of_protocols_is_a_pair_of_streams(eventually: Eventually) -> None:
    """Who asked for another protocol speaks it, with everything that came right behind the 101."""

    async def handler(reader: Reader, writer: Writer) -> None:
        head = await read_head(reader)
        assert b"upgrade: chat\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\nhello ")
        writer.write(await reader.readexactly(5))
        await reader.read()

    headers = [(b"host", b"site.test"), (b"connection", b"upgrade"), (b"upgrade", b"chat")]
    async with raw_server(handler) as server, opened() as upstream:
        async with await upstream.send(asking(server, headers=headers)) as response:
            assert response.status == 101
            assert response.upgraded is not None
            reader, writer = response.upgraded
            writer.write(b"world")
            await writer.drain()
            assert await reader.readexactly(11) == b"hello world"
        await eventually(lambda: server.open == 0)


async def test_a_switch_that_nobody_asked_for_is_refused() -> None:
    """An instance cannot turn a request into a tunnel."""
    wire = b"HTTP/1.1 101 Switching\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n"
    async with raw_server(says(wire)) as server, opened() as upstream:
        assert await failure_of(upstream, asking(server)) is ErrorKind.PROTOCOL
        assert upstream.counts() == (0, 0, 0)


class Stale:
    """An instance that answers one request per connection and then ends it in some way, as the next one comes."""

    def __init__(self, ending: Callable[[Writer], None], *, answers: bytes = b"") -> None:
        self.ending = ending
        self.answers = answers

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        head = await read_head(reader)
        writer.write(OK[:-2] if head.startswith(b"HEAD") else OK)
        await read_head(reader)
        writer.write(self.answers)
        self.ending(writer)


@pytest.mark.parametrize("ending", [close, reset])
@pytest.mark.parametrize(("method", "body"), [("GET", None), ("HEAD", None), ("PUT", b"abc"), ("DELETE", None)])
async def test_a_connection_that_ended_between_two_requests_is_no_failure(
    ending: Callable[[Writer], None], method: str, body: bytes | None
) -> None:
    """A repeatable request goes over a fresh connection, once, and nobody notices."""
    async with raw_server(Stale(ending)) as server, opened() as upstream:
        assert (await answer_of(upstream, asking(server)))[0] == 200
        assert (await answer_of(upstream, asking(server, method=method, body=body)))[0] == 200
        assert server.accepted == 2
        assert upstream.counts() == (1, 1, 0)


@pytest.mark.parametrize(
    ("method", "streamed", "answers"),
    [("POST", False, b""), ("PATCH", False, b""), ("PUT", True, b""), ("GET", False, b"HTTP/1.1 2")],
)
async def test_what_may_have_happened_is_not_done_twice(method: str, streamed: bool, answers: bytes) -> None:
    """No second attempt for what is not idempotent, cannot be had again, or was answered by a byte."""
    handler = Stale(close, answers=answers)
    async with raw_server(handler) as server, opened() as upstream:
        await answer_of(upstream, asking(server))
        body = pieces(b"a") if streamed else None
        assert await failure_of(upstream, asking(server, method=method, body=body)) is ErrorKind.RESET
        assert server.accepted == 1
        assert upstream.counts() == (0, 0, 0)


async def test_a_fresh_connection_that_ends_is_a_failure() -> None:
    """Only used connections are expected to have ended, and one repetition is enough."""
    async with raw_server(says(b"", then=close)) as server, opened() as upstream:
        assert await failure_of(upstream, asking(server)) is ErrorKind.RESET
        assert server.accepted == 1
    answered = asyncio.Event()

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        if not answered.is_set():
            writer.write(OK)
            answered.set()
            await read_head(reader)

    async with raw_server(handler) as server, opened() as upstream:
        await answer_of(upstream, asking(server))
        assert await failure_of(upstream, asking(server)) is ErrorKind.RESET
        assert server.accepted == 2


async def test_a_repetition_takes_no_used_connection() -> None:
    """Whoever met one stale connection is not handed another that somebody else gave back."""
    ended = asyncio.Event()

    async def handler(reader: Reader, writer: Writer) -> None:
        while await read_head(reader):
            if ended.is_set():
                ended.clear()
                return
            writer.write(OK)

    async with raw_server(handler) as server, opened(max_connections=1) as upstream:
        await answer_of(upstream, asking(server))
        ended.set()
        answers = await asyncio.gather(*[answer_of(upstream, asking(server)) for _ in range(3)])
        assert [body for _, _, body in answers] == [b"ok"] * 3
        assert server.accepted == 3
        assert upstream.counts() == (1, 1, 0)


async def test_a_close_that_the_loop_has_not_seen_costs_no_post() -> None:
    """A request that cannot be repeated looks at its connection before it uses it."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        async def serve() -> socket.socket:
            accepted, _ = await loop.sock_accept(listener)
            await loop.sock_recv(accepted, 1000)
            await loop.sock_sendall(accepted, OK)
            return accepted

        async with opened() as upstream:
            address = Address("http", "127.0.0.1", listener.getsockname()[1])
            accepted, _ = await asyncio.gather(serve(), answer_of(upstream, asking(address)))
            serving = asyncio.create_task(serve())
            accepted.close()  # no turn of the loop between this and the next request
            assert (await answer_of(upstream, asking(address, method="POST", body=b"x")))[2] == b"ok"
            (await serving).close()
            assert upstream.counts()[0] == 1


async def test_an_instance_that_closes_idle_connections_costs_nothing() -> None:
    """Hundreds of requests to an instance that hangs up after each few of them: none fails."""

    async def handler(reader: Reader, writer: Writer) -> None:
        for _ in range(3):
            if not await read_head(reader):
                return
            writer.write(OK)

    async with raw_server(handler) as server, opened() as upstream:

        async def browse() -> None:
            for _ in range(50):
                assert (await answer_of(upstream, asking(server)))[2] == b"ok"

        await asyncio.gather(*[browse() for _ in range(8)])
        assert server.accepted > 100


async def test_an_instance_that_speaks_first_is_not_understood() -> None:
    """A banner is no answer, on a fresh connection."""

    async def handler(reader: Reader, writer: Writer) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        await reader.read()

    async with raw_server(handler) as server, opened() as upstream:
        assert await failure_of(upstream, asking(server)) is ErrorKind.PROTOCOL


async def test_a_slow_reader_holds_the_instance_back() -> None:
    """An endless body that nobody reads fills no memory, and everything written arrives once it is read."""
    piece = b"x" * 65536
    written = 0

    async def handler(reader: Reader, writer: Writer) -> None:
        nonlocal written
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(piece) * 400))
        for _ in range(400):
            writer.write(piece)
            await writer.drain()
            written += len(piece)
        await reader.read()

    async with raw_server(handler) as server, opened() as upstream:
        async with await upstream.send(asking(server)) as response:
            seen = -1
            while seen != written:
                seen = written
                await asyncio.sleep(0.05)
            assert written < len(piece) * 400
            total = 0
            async for part in response.body():
                assert len(part) <= 65_536
                total += len(part)
        assert total == len(piece) * 400
        assert upstream.counts() == (1, 1, 0)


async def test_a_slow_instance_holds_the_client_back() -> None:
    """An upload is read from the client only as fast as the instance takes it."""
    asked = 0
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal asked
        for _ in range(400):
            asked += 1
            yield b"x" * 65536

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        await go_on.wait()
        await reader.readexactly(400 * 65536)
        writer.write(OK)
        await reader.read()

    async with raw_server(handler) as server, opened() as upstream:
        request = asking(server, method="POST", body=body(), length=400 * 65536)
        sending = asyncio.create_task(answer_of(upstream, request))
        seen = -1
        while seen != asked:
            seen = asked
            await asyncio.sleep(0.05)
        assert asked < 400
        go_on.set()
        assert (await sending)[2] == b"ok"
        assert upstream.counts() == (1, 1, 0)


async def test_an_early_answer_ends_a_stalled_upload() -> None:
    """The answer arrives although the client sends nothing more, and the connection is not used again."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"some"
        await asyncio.Event().wait()

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    async with raw_server(handler) as server, opened() as upstream:
        assert (await answer_of(upstream, asking(server, method="POST", body=stalled())))[0] == 413
        assert upstream.counts() == (0, 0, 0)


async def test_closing_ends_what_is_under_way() -> None:
    """Requests in flight fail, later ones are refused, and a body that ends with its connection is not whole."""
    async with raw_server(says(b"HTTP/1.1 200 OK\r\n\r\nsome")) as server:
        upstream = NativeUpstream()
        async with await upstream.send(asking(server)) as response:
            assert await anext(response.body()) == b"some"
            await upstream.close()
            with pytest.raises(UpstreamError) as failed:
                await anext(response.body())
            assert failed.value.kind is ErrorKind.RESET
        assert await failure_of(upstream, asking(server)) is ErrorKind.CONNECT_REFUSED
        assert upstream.counts() == (0, 0, 0)


async def test_a_storm_of_cancellations_leaves_the_pool_whole(eventually: Eventually) -> None:
    """A thousand requests cancelled at any step, connecting and after included: open stays idle plus in use."""
    chance = random.Random(7)
    calm = asyncio.Event()

    async def handler(reader: Reader, writer: Writer) -> None:
        while head := await read_head(reader):
            body = head.startswith(b"POST")
            if body and not calm.is_set() and chance.random() < 0.3:
                await asyncio.sleep(0)
            turn = 0 if calm.is_set() else chance.randrange(5)
            if turn == 1:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")
            elif turn == 2:
                return
            elif turn != 3:
                writer.write(OK)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"x" * 10

    async with raw_server(handler) as server, opened(max_connections=8) as upstream:

        async def one(number: int) -> None:
            changes: dict[str, Any] = {"method": "PUT", "body": body(), "length": 30} if number % 4 == 0 else {}
            request = asking(server, timeouts=Timeouts(connect=0.05, first_byte=0.02, idle=0.02), **changes)
            with contextlib.suppress(UpstreamError):
                await answer_of(upstream, request)

        tasks: list[asyncio.Task[None]] = []
        for number in range(1000):
            tasks.append(asyncio.create_task(one(number)))
            if number % 8 == 7:
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                    open_, idle, in_use = upstream.counts()
                    assert open_ == idle + in_use <= 8
                if chance.random() < 0.1:
                    await asyncio.sleep(0.005)
                for task in tasks:
                    task.cancel()
                tasks.clear()
                open_, idle, in_use = upstream.counts()
                assert open_ == idle + in_use <= 8
        await eventually(lambda: upstream.counts()[2] == 0)
        calm.set()
        answers = await asyncio.gather(*[answer_of(upstream, asking(server)) for _ in range(40)])
        assert [text for _, _, text in answers] == [b"ok"] * 40
        await eventually(lambda: server.open == upstream.counts()[0])
        assert upstream.counts()[2] == 0
