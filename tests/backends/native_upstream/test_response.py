"""Responses: what they hold, when they let it go, and that a cut one never looks whole."""

import asyncio

import pytest

from hydra_asgi.backends.native_upstream.connection import Connection
from hydra_asgi.backends.native_upstream.exchange import exchange
from hydra_asgi.backends.native_upstream.pool import AddressPool
from hydra_asgi.backends.native_upstream.request_head import write_head
from hydra_asgi.backends.native_upstream.response import NativeResponse, WholeResponse
from hydra_asgi.backends.native_upstream.response_reader import MAX_PIECE
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest
from tests.backends.native_upstream.transport import PretendTransport

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Rig:
    """A pool that has lent one connection, on which a response began."""

    def __init__(self) -> None:
        self.pool = AddressPool(8)
        self.connection = Connection(Address("http", "10.0.0.7", 8002))
        self.connection.connection_made(PretendTransport())

    async def response(self, wire: bytes, *, upgrade: bool = False, is_sent: bool = True) -> NativeResponse:
        assert await self.pool.slot() is None
        self.pool.dialled(self.connection)
        headers = [(b"host", b"site.test"), *([(b"upgrade", b"chat")] if upgrade else [])]
        body = None if is_sent else b"x" * 300_000
        request = UpstreamRequest(self.connection.address, "GET", b"/", headers, body)
        if not is_sent:
            self.connection.pause_writing()
        sending = asyncio.create_task(exchange(self.connection, self.pool, request, *write_head(request)))
        await asyncio.sleep(0)
        self.connection.data_received(wire)
        return await sending

    def counts(self) -> tuple[int, int, int]:
        return self.pool.open, self.pool.idle, self.pool.in_use


async def test_a_whole_response_holds_nothing() -> None:
    """Its connection is free before anybody reads the body, and serves another without harm to it."""
    rig = Rig()
    response = await rig.response(WHOLE)
    assert rig.counts() == (1, 1, 0)
    assert rig.pool.take() is rig.connection
    rig.connection.begin(head_only=False, may_upgrade=False)
    rig.connection.data_received(b"HTTP/1.1 404 No\r\ncontent-length: 5\r\n\r\nother")
    async with response:
        assert response.whole == b"hello"
        assert response.trailers == []
        assert (response.status, response.headers) == (200, [(b"content-length", b"5")])
        assert [piece async for piece in response.body()] == [b"hello"]
    assert rig.counts() == (1, 0, 1)
    rig.pool.give_up(rig.connection)


@pytest.mark.parametrize(
    "wire", [b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n", CHUNKED + b"0\r\n\r\n"]
)
async def test_nothing_can_be_whole_too(wire: bytes) -> None:
    """A body that is empty, or cannot exist, is there with the head."""
    rig = Rig()
    response = await rig.response(wire)
    assert isinstance(response, WholeResponse)
    assert response.whole == b""
    assert [piece async for piece in response.body()] == []
    assert rig.counts() == (1, 1, 0)
    rig.pool.give_up(rig.pool.take())


async def test_a_whole_response_has_its_trailers() -> None:
    """They came with the rest."""
    rig = Rig()
    response = await rig.response(CHUNKED + b"2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n")
    assert (response.whole, response.trailers) == (b"ok", [(b"x-sum", b"1")])
    rig.pool.give_up(rig.pool.take())


async def test_a_large_whole_response_is_read_in_measure() -> None:
    """What is there but too much for one piece keeps its connection until it was read."""
    rig = Rig()
    size = MAX_PIECE + 1
    async with await rig.response(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size) as response:
        assert rig.counts() == (1, 0, 1)
        assert [len(piece) async for piece in response.body()] == [MAX_PIECE, 1]
    assert rig.counts() == (1, 1, 0)
    rig.pool.give_up(rig.pool.take())


async def test_a_streamed_response_lets_go_at_its_end() -> None:
    """The last piece gives the connection back, and the trailers are there."""
    rig = Rig()
    response = await rig.response(CHUNKED + b"3\r\none\r\n")
    async with response:
        body = response.body()
        assert await anext(body) == b"one"
        assert rig.counts() == (1, 0, 1)
        rig.connection.data_received(b"3\r\ntwo\r\n0\r\nx-sum: 1\r\n\r\n")
        assert await anext(body) == b"two"
        assert rig.counts() == (1, 1, 0)
        assert response.trailers == [(b"x-sum", b"1")]
        assert [piece async for piece in body] == []
    assert rig.counts() == (1, 1, 0)
    rig.pool.give_up(rig.pool.take())


async def test_a_body_may_end_without_another_piece() -> None:
    """The last chunk can come alone."""
    rig = Rig()
    async with await rig.response(CHUNKED) as response:
        asyncio.get_running_loop().call_soon(rig.connection.data_received, b"0\r\n\r\n")
        assert [piece async for piece in response.body()] == []
    rig.pool.give_up(rig.pool.take())


async def test_leaving_early_closes() -> None:
    """What was not read to its end takes its connection along, and does not look whole afterwards."""
    rig = Rig()
    response = await rig.response(CHUNKED + b"3\r\none\r\n")
    async with response:
        pass
    assert rig.counts() == (0, 0, 0)
    assert rig.connection.is_closed
    with pytest.raises(UpstreamError) as failed:
        await anext(response.body())
    assert failed.value.kind is ErrorKind.TRUNCATED


async def test_a_cut_body_fails_every_time() -> None:
    """Also for whoever asks again."""
    rig = Rig()
    async with await rig.response(CHUNKED + b"3\r\none\r\n") as response:
        rig.connection.eof_received()
        assert await anext(response.body()) == b"one"
        for _ in range(2):
            with pytest.raises(UpstreamError) as failed:
                await anext(response.body())
            assert failed.value.kind is ErrorKind.TRUNCATED
    assert rig.counts() == (0, 0, 0)


async def test_an_answer_to_half_a_request_is_the_last() -> None:
    """A connection on which a request was not finished serves no other."""
    rig = Rig()
    async with await rig.response(WHOLE, is_sent=False) as response:
        assert rig.counts() == (0, 0, 0)
        assert [piece async for piece in response.body()] == [b"hello"]


async def test_a_streamed_answer_to_half_a_request_is_the_last_too() -> None:
    """Reading it to its end makes the request no more whole."""
    rig = Rig()
    async with await rig.response(CHUNKED + b"3\r\none\r\n", is_sent=False) as response:
        assert rig.counts() == (1, 0, 1)
        rig.connection.data_received(b"0\r\n\r\n")
        assert [piece async for piece in response.body()] == [b"one"]
        assert rig.counts() == (0, 0, 0)


async def test_a_switch_gives_both_directions() -> None:
    """After a 101 there is no body but a reader and a writer, until the context is left."""
    rig = Rig()
    wire = b"HTTP/1.1 101 Switch\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\nhello"
    async with await rig.response(wire, upgrade=True) as response:
        assert response.upgraded is not None
        reader, writer = response.upgraded
        assert [piece async for piece in response.body()] == []
        assert await reader.readexactly(5) == b"hello"
        assert rig.counts() == (1, 0, 1)
    assert rig.counts() == (0, 0, 0)
    assert writer.transport.is_closing()


async def test_other_responses_give_no_directions() -> None:
    """An upgrade that was not taken is an ordinary response."""
    rig = Rig()
    async with await rig.response(WHOLE, upgrade=True) as response:
        assert response.upgraded is None
    rig.pool.give_up(rig.pool.take())
