"""Writing requests: in few writes, no faster than they are taken, and no longer than they are wanted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.outbox import CORK_BYTES
from hydra_asgi.backends.native_upstream.request_head import write_head
from hydra_asgi.backends.native_upstream.upload import AT_ONCE_BYTES, send_at_once, send_in_steps
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest
from tests.backends.native_upstream.transport import PretendTransport

ADDRESS = Address("http", "10.0.0.7", 8002)
ANSWER = b"HTTP/1.1 413 Too large\r\ncontent-length: 0\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nhost: site.test\r\n"


def asking(body: Any, **changes: Any) -> UpstreamRequest:
    expects = changes.pop("expects", False)
    headers = [(b"host", b"site.test"), *([(b"expect", b"100-continue")] if expects else [])]
    return UpstreamRequest(ADDRESS, "POST", b"/", headers, body, **changes)


class Instance:
    """A connection whose other side the test plays."""

    def __init__(self) -> None:
        self.connection = Connection(ADDRESS)
        self.transport = PretendTransport()
        self.connection.connection_made(self.transport)
        self.connection.begin(head_only=False, may_upgrade=False)

    def at_once(self, request: UpstreamRequest) -> bool:
        return send_at_once(self.connection, request, *write_head(request))

    async def steps(self, request: UpstreamRequest) -> bool:
        assert not self.at_once(request)
        is_sent = await send_in_steps(self.connection, request, *write_head(request))
        await asyncio.sleep(0)
        return is_sent


class Pieces:
    """A streamed body under the test's control; knows whether it was told to stop."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.is_closed = False

    async def stream(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self.queue.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.is_closed = True


async def started(coroutine: Any) -> asyncio.Task[Any]:
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_small_request_is_one_write() -> None:
    """Head and body leave together, and nobody waits."""
    instance = Instance()
    assert instance.at_once(asking(b"abc"))
    assert instance.transport.writes == [HEAD + b"content-length: 3\r\n\r\nabc"]


async def test_a_large_body_is_not_copied() -> None:
    """It leaves together with its head, and a very large one behind it, and is drained."""
    body = b"x" * (CORK_BYTES + 1)
    instance = Instance()
    assert instance.at_once(asking(body))
    assert instance.transport.lines[1] is body
    assert len(instance.transport.writes) == 1
    body = b"x" * (AT_ONCE_BYTES + 1)
    instance = Instance()
    assert await instance.steps(asking(body))
    assert instance.transport.writes[1] is body


async def test_the_first_piece_leaves_with_the_head() -> None:
    """A stream whose first piece is there already, and its end, share a write; empty pieces are no chunks."""
    instance = Instance()
    assert await instance.steps(asking(of(b"ab", b"", b"c")))
    assert instance.transport.writes == [
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    ]


async def test_a_large_chunk_is_not_copied() -> None:
    """It leaves behind its size, and what ends it leaves with what follows."""
    piece = b"x" * (CORK_BYTES + 1)
    instance = Instance()
    assert await instance.steps(asking(of(piece, piece)))
    assert instance.transport.lines[1] is piece
    size = b"%x\r\n" % len(piece)
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    assert instance.transport.writes == [head + size + piece, b"\r\n" + size + piece, b"\r\n0\r\n\r\n"]


async def test_interim_responses_are_told_while_the_body_is_on_its_way() -> None:
    """In their order, by one teller at a time, and the upload ends when all of them were told."""
    told: list[int] = []
    may_go_on = asyncio.Event()

    async def on_interim(status: int, headers: Any) -> None:
        told.append(status)
        await may_go_on.wait()

    instance, pieces = Instance(), Pieces()
    sending = await started(instance.steps(asking(pieces.stream(), length=3, on_interim=on_interim)))
    instance.connection.data_received(b"HTTP/1.1 103 E\r\n\r\n")
    instance.connection.data_received(b"HTTP/1.1 102 P\r\n\r\n")
    await asyncio.sleep(0)
    assert told == [103]
    for piece in (b"abc", None):
        pieces.queue.put_nowait(piece)
    await asyncio.sleep(0.01)
    assert not sending.done()
    may_go_on.set()
    assert await sending
    assert told == [103, 102]
    assert instance.transport.wire.endswith(b"\r\n\r\nabc")


async def test_what_goes_wrong_while_telling_ends_the_upload() -> None:
    """Nothing more is told, and whoever sent the request hears of it."""
    told: list[int] = []

    async def on_interim(status: int, headers: Any) -> None:
        told.append(status)
        raise OSError("the client is gone")

    instance, pieces = Instance(), Pieces()
    sending = await started(instance.steps(asking(pieces.stream(), length=0, on_interim=on_interim)))
    for _ in range(2):
        instance.connection.data_received(b"HTTP/1.1 103 E\r\n\r\n")
        await asyncio.sleep(0)
    pieces.queue.put_nowait(None)
    with pytest.raises(OSError, match="the client is gone"):
        await sending
    assert told == [103]


async def test_a_body_that_fails_ends_the_telling() -> None:
    """What the body raises is raised, and no task is left."""
    tellers: list[asyncio.Task[Any] | None] = []

    async def on_interim(status: int, headers: Any) -> None:
        tellers.append(asyncio.current_task())
        await asyncio.Event().wait()

    instance, pieces = Instance(), Pieces()
    sending = await started(instance.steps(asking(pieces.stream(), on_interim=on_interim)))
    instance.connection.data_received(b"HTTP/1.1 103 E\r\n\r\n")
    await asyncio.sleep(0)
    pieces.queue.put_nowait(ValueError("no more"))
    with pytest.raises(ValueError, match="no more"):
        await sending
    (teller,) = tellers
    assert teller is not None
    assert teller.cancelled()


async def test_the_head_does_not_wait_for_a_slow_body() -> None:
    """The instance sees the head while the first piece does not exist yet."""
    instance, pieces = Instance(), Pieces()
    sending = await started(instance.steps(asking(pieces.stream(), length=3)))
    assert instance.transport.wire == HEAD + b"content-length: 3\r\n\r\n"
    for piece in (b"abc", None):
        pieces.queue.put_nowait(piece)
    assert await sending
    assert instance.transport.wire.endswith(b"\r\n\r\nabc")


async def test_a_stream_waits_for_a_slow_instance() -> None:
    """No piece is asked for while the instance takes nothing."""
    instance, pieces = Instance(), Pieces()
    sending = await started(instance.steps(asking(pieces.stream())))
    instance.connection.pause_writing()
    for piece in (b"a" * CORK_BYTES, b"b", None):
        pieces.queue.put_nowait(piece)
    await asyncio.sleep(0.01)
    assert pieces.queue.qsize() == 2
    instance.connection.resume_writing()
    assert await sending
    assert instance.transport.wire.endswith(b"1\r\nb\r\n0\r\n\r\n")


async def test_an_answer_stops_a_waiting_stream() -> None:
    """Nobody waits for the next piece of a body that is not wanted any more."""
    instance, pieces = Instance(), Pieces()
    sending = await started(instance.steps(asking(pieces.stream())))
    instance.connection.data_received(ANSWER)
    assert not await sending
    assert pieces.is_closed
    assert not instance.transport.wire.endswith(b"0\r\n\r\n")


async def test_what_follows_an_answer_disturbs_nobody() -> None:
    """A body that takes its time to stop is left in peace by what else comes."""
    stopping, may_stop = asyncio.Event(), asyncio.Event()

    async def lingering() -> AsyncIterator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            stopping.set()
            await may_stop.wait()

    instance = Instance()
    sending = await started(instance.steps(asking(lingering())))
    instance.connection.data_received(ANSWER)
    await stopping.wait()
    instance.connection.data_received(b"x")
    may_stop.set()
    assert not await sending


async def test_an_answer_stops_a_stream_that_never_waits() -> None:
    """A body whose pieces are all there is stopped between two of them, and told so; what cannot be told is left."""
    stopped: list[str] = []

    async def eager(instance: Instance) -> AsyncIterator[bytes]:
        try:
            yield b"a"
            instance.connection.data_received(ANSWER)
            yield b"b"
        finally:
            stopped.append("eager")

    class Plain:
        def __init__(self, instance: Instance) -> None:
            self.pieces = eager(instance)

        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> bytes:
            return await anext(self.pieces)

    for body in (eager, Plain):
        instance = Instance()
        assert not await instance.steps(asking(body(instance)))
        assert stopped == ["eager"]
        assert instance.transport.wire.endswith(b"1\r\na\r\n")


async def test_an_answer_stops_a_full_connection() -> None:
    """An answer that comes while the instance takes nothing ends the upload of whole bodies and of streams."""
    for body in (b"x" * (AT_ONCE_BYTES + 1), of(b"x" * 100_000, b"y")):
        instance = Instance()
        instance.connection.pause_writing()
        sending = await started(instance.steps(asking(body)))
        instance.connection.data_received(ANSWER)
        assert not await sending


async def test_a_failing_stream_fails_with_its_own_error() -> None:
    """Also when it looks like one of ours."""
    for error in (UpstreamError(ErrorKind.CLIENT_GONE), OSError("theirs"), TimeoutError()):
        instance, pieces = Instance(), Pieces()
        pieces.queue.put_nowait(error)
        with pytest.raises(type(error)) as raised:
            await instance.steps(asking(pieces.stream()))
        assert raised.value is error


@pytest.mark.parametrize("length", [2, 5])
async def test_a_stream_keeps_its_promise_or_fails(length: int) -> None:
    """Neither more nor fewer bytes than declared are ever taken for a whole request."""
    instance, pieces = Instance(), Pieces()
    for piece in (b"a", b"bc", None):
        pieces.queue.put_nowait(piece)
    with pytest.raises(UpstreamError, match=f"a request body of {length} bytes that had 3") as failed:
        await instance.steps(asking(pieces.stream(), length=length))
    assert failed.value.kind is ErrorKind.PROTOCOL
    assert pieces.is_closed


async def test_an_expected_continue_holds_the_body_back() -> None:
    """The body follows the 100, for whole bodies and for streams."""
    for body, end in ((b"abc", b"abc"), (of(b"abc"), b"3\r\nabc\r\n0\r\n\r\n")):
        instance = Instance()
        sending = await started(instance.steps(asking(body, expects=True)))
        assert instance.transport.wire.endswith(b"\r\n\r\n")
        assert b"abc" not in instance.transport.wire
        instance.connection.data_received(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await sending
        assert instance.transport.wire.endswith(b"\r\n\r\n" + end)


async def test_a_refused_expectation_sends_no_body() -> None:
    """After a final answer the body stays here."""
    instance = Instance()
    sending = await started(instance.steps(asking(b"abc", expects=True)))
    instance.connection.data_received(ANSWER)
    assert not await sending
    assert b"abc" not in instance.transport.wire
