"""One connection: what it writes, what it waits for, and how it ends."""

import asyncio
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream.connection import HIGH_WATER, Connection
from hydra_asgi.backends.native_upstream.response_reader import MAX_PIECE
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from tests.backends.native_upstream.transport import PretendTransport
from tests.raw_server import raw_server

ADDRESS = Address("http", "10.0.0.7", 8002)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LONG = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"


def connected(*, asked: bool = True) -> tuple[Connection, PretendTransport]:
    connection = Connection(ADDRESS)
    transport = PretendTransport()
    connection.connection_made(transport)
    if asked:
        connection.begin(head_only=False, may_upgrade=False)
    return connection, transport


async def waiting(coroutine: Any) -> asyncio.Task[Any]:
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def failure_of(awaited: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as failed:
        await awaited
    assert "10.0.0.7:8002" in failed.value.detail
    return failed.value


async def test_whoever_waits_hears_of_every_change() -> None:
    """Bytes, room for ours and the end; who looks is told at once what it was."""
    connection, _ = connected()
    for change in (
        lambda: connection.data_received(OK[:20]),
        lambda: connection.resume_writing(),
        lambda: connection.data_received(OK[20:]),
        lambda: connection.eof_received(),
    ):
        waiter = connection.change()
        change()
        assert waiter.done()
    assert connection.reader.status == 200
    assert await connection.piece(None) == b"ok"
    assert await connection.piece(None) == b""


async def test_whoever_gave_up_waiting_is_left_alone() -> None:
    """A change after a cancellation is nobody's."""
    connection, _ = connected()
    connection.change().cancel()
    connection.data_received(OK)
    assert connection.is_answered


async def test_what_is_too_late_is_a_failure() -> None:
    """A limit says with which kind, unless it was taken back, or another request has begun."""
    connection, _ = connected()
    connection.limit(ErrorKind.FIRST_BYTE_TIMEOUT, 0.01)
    await connection.change()
    assert connection.reader.failure == (ErrorKind.FIRST_BYTE_TIMEOUT, "silent for 0.01 s")
    assert connection.failure().detail == "10.0.0.7:8002: silent for 0.01 s"
    connection, _ = connected()
    for end in (connection.end_limit, lambda: connection.begin(head_only=False, may_upgrade=False)):
        connection.limit(ErrorKind.FIRST_BYTE_TIMEOUT, 0.01)
        end()
        await asyncio.sleep(0.02)
        assert connection.reader.failure is None


async def test_silence_inside_the_body_ends() -> None:
    """The time between two pieces is bounded, and what came before is given out first."""
    connection, _ = connected()
    connection.data_received(LONG + b"some")
    assert await connection.piece(0.01) == b"some"
    assert (await failure_of(connection.piece(0.01))).kind is ErrorKind.IDLE_TIMEOUT


async def test_a_cancelled_wait_leaves_no_deadline() -> None:
    """Whoever gave up waiting for a piece may wait again."""
    connection, _ = connected()
    connection.data_received(LONG)
    piece = await waiting(connection.piece(0.01))
    piece.cancel()
    await asyncio.gather(piece, return_exceptions=True)
    again = await waiting(connection.piece(None))
    await asyncio.sleep(0.02)
    connection.data_received(b"late")
    assert await again == b"late"


async def test_an_end_wakes_whoever_waits() -> None:
    """An orderly end and a broken connection are both told at once."""
    for end in (lambda connection: connection.eof_received(),
                lambda connection: connection.connection_lost(ConnectionResetError())):  # fmt: skip
        connection, _ = connected()
        connection.data_received(LONG)
        piece = await waiting(connection.piece(None))
        end(connection)
        assert (await failure_of(piece)).kind in {ErrorKind.TRUNCATED, ErrorKind.RESET}
        assert connection.is_closed


async def test_a_slow_reader_stops_the_instance() -> None:
    """Above the high-water mark nothing more is read, until what is there was taken."""
    connection, transport = connected()
    connection.data_received(LONG + b"x" * HIGH_WATER)
    assert transport.reads
    connection.data_received(b"x")
    assert not transport.reads
    connection.data_received(b"x" * HIGH_WATER)  # what the loop had read already
    assert await connection.piece(None) == b"x" * MAX_PIECE
    assert not transport.reads
    assert await connection.piece(None) == b"x" * MAX_PIECE
    assert transport.reads
    assert await connection.piece(None) == b"x"


async def test_a_fast_instance_lets_others_have_their_turn() -> None:
    """Between two pieces of much that is there already the loop goes on."""
    connection, _ = connected()
    connection.data_received(LONG + b"x" * (2 * MAX_PIECE + 1))
    turns: list[str] = []
    for _ in range(2):
        asyncio.get_running_loop().call_soon(turns.append, "other")
        assert len(await connection.piece(None)) == MAX_PIECE
        turns.append("piece")
    assert turns == ["other", "piece", "other", "piece"]


async def test_a_whole_response_stops_nobody() -> None:
    """The end of the connection has to be seen, so reading goes on when nothing more is owed."""
    connection, transport = connected()
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000)
    assert transport.reads


async def test_a_paused_connection_that_is_closed_stays_paused() -> None:
    """A closed transport may not be asked to read on."""
    connection, transport = connected()
    connection.data_received(LONG + b"x" * (HIGH_WATER + 1))
    connection.abort()
    assert len(await connection.piece(None)) == MAX_PIECE
    assert len(await connection.piece(None)) == 1
    assert not transport.reads
    assert (await failure_of(connection.piece(None))).kind is ErrorKind.RESET


async def test_a_slow_instance_stops_the_writer() -> None:
    """`drain` waits while the instance takes nothing, and goes on when it does."""
    connection, _ = connected()
    connection.pause_writing()
    assert connection.is_full
    drain = await waiting(connection.drain(None))
    connection.resume_writing()
    await drain
    assert not connection.is_full


async def test_an_instance_that_takes_nothing_is_given_up() -> None:
    """Only a whole interval without progress counts: a slow link is not a dead one."""
    connection, transport = connected()
    transport.unsent = 100_000
    connection.pause_writing()
    drain = await waiting(connection.drain(0.4))
    for _ in range(4):
        await asyncio.sleep(0.12)
        transport.unsent -= 1
    assert not drain.done()
    await drain
    assert connection.reader.failure is not None
    assert connection.reader.failure[0] is ErrorKind.IDLE_TIMEOUT


async def test_an_answer_ends_the_writing() -> None:
    """Nobody waits for an instance to take the rest when it has answered."""
    connection, _ = connected()
    connection.pause_writing()
    drain = await waiting(connection.drain(None))
    connection.data_received(OK)
    await drain
    assert connection.is_answered


@pytest.mark.parametrize(("wire", "granted"), [(b"HTTP/1.1 100 C\r\n\r\n", True), (OK, False), (b"", True)])
async def test_permission_is_waited_for_a_while(wire: bytes, granted: bool) -> None:
    """A 100 or silence lets the body go, a final answer does not."""
    connection, _ = connected()
    permission = await waiting(connection.permission(60.0 if wire else 0.01))
    if wire:
        connection.data_received(wire)
    assert await permission is granted


async def test_news_are_told_until_nobody_listens() -> None:
    """Whoever waits for something else is called for all that comes, the end included."""
    heard: list[tuple[int, bool]] = []
    connection, _ = connected()
    connection.call_on_news(lambda: heard.append((len(connection.reader.interim), connection.is_answered)))
    connection.data_received(b"HTTP/1.1 100 C\r\n\r\n")
    assert heard == [(1, False)]
    connection.data_received(LONG)
    connection.connection_lost(None)
    assert heard[1:] == [(1, True), (1, True)]
    connection.call_on_news(None)
    connection.resume_writing()
    assert len(heard) == 3


async def test_when_another_request_may_follow() -> None:
    """Everything owed is there, everything of ours is out, and nobody has closed."""
    fresh = Connection(ADDRESS)
    assert not fresh.is_reusable()
    fresh.abort()
    connection, transport = connected()
    assert not connection.is_reusable()
    connection.data_received(OK)
    assert connection.is_reusable()
    transport.unsent = 1
    assert not connection.is_reusable()
    transport.unsent = 0
    connection.outbox.gather(b"x")
    assert not connection.is_reusable()
    connection.outbox.write(b"")
    connection.eof_received()
    assert not connection.is_reusable()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda connection: connection.data_received(b"HTTP/1.1 408 Too late\r\n\r\n"),
        lambda connection: connection.eof_received(),
        lambda connection: connection.connection_lost(ConnectionResetError()),
    ],
)
async def test_an_idle_connection_tells_that_it_is_spoilt(spoil: Any) -> None:
    """Bytes out of turn, an end and a reset are told once."""
    spoilt: list[Connection] = []
    connection, _ = connected(asked=False)
    connection.rest(60.0, spoilt.append)
    spoil(connection)
    spoil(connection)
    assert spoilt == [connection]
    connection.abort()


async def test_an_idle_connection_gets_old(eventually: Any) -> None:
    """After its time it is spoilt, unless it was woken up."""
    spoilt: list[Connection] = []
    connection, _ = connected(asked=False)
    connection.rest(0.01, spoilt.append)
    await eventually(lambda: spoilt == [connection])
    connection.rest(0.01, spoilt.append)
    connection.on_spoiled = None
    await asyncio.sleep(0.02)
    assert len(spoilt) == 1


async def test_news_on_an_idle_connection_can_be_seen_before_the_loop_does() -> None:
    """A close that is still in the kernel is found by asking the socket; without a socket there is always news."""
    hung_up = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hung_up.wait()

    async with raw_server(handler) as server:
        connection = Connection(server.address)
        assert connection.has_news()
        host, port = server.address.host, server.address.port
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: connection, host, port)
        assert not connection.has_news()
        seen = asyncio.Event()
        connection.rest(60.0, lambda connection: seen.set())
        hung_up.set()
        await seen.wait()
        assert connection.has_news()
        transport.abort()


async def test_both_directions_can_be_handed_over() -> None:
    """After a 101 the streams belong to the new protocol, with what came behind the head."""
    connection, transport = connected(asked=False)
    connection.begin(head_only=False, may_upgrade=True)
    connection.data_received(b"HTTP/1.1 101 S\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\nfirst")
    reader, writer = connection.hand_over()
    writer.write(b"said")
    assert await reader.readexactly(5) == b"first"
    assert transport.writes == [b"said"]
    connection.abort()
