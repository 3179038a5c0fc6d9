"""An upstream with prepared responses."""

import asyncio

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Upstream, UpstreamRequest
from hydra_asgi.testing.fake_upstream import FakeResponse, FakeUpstream

REQUEST = UpstreamRequest(Address("http", "h", 1), "GET", b"/", [(b"host", b"h:1")])


async def test_answers_come_in_order_and_the_last_stays() -> None:
    """Each request takes the next answer; errors are raised."""
    upstream = FakeUpstream(UpstreamError(ErrorKind.RESET), FakeResponse(201), FakeResponse(202))
    port: Upstream = upstream
    with pytest.raises(UpstreamError):
        await port.send(REQUEST)
    assert [(await port.send(REQUEST)).status for _ in range(3)] == [201, 202, 202]
    assert upstream.requests == [REQUEST] * 4
    await port.close()


async def test_functions_decide_by_the_request() -> None:
    """A function, async or not, makes the response."""

    async def later(request: UpstreamRequest) -> FakeResponse:
        return FakeResponse(202)

    assert (await FakeUpstream(lambda request: FakeResponse(len(request.target))).send(REQUEST)).status == 1
    assert (await FakeUpstream(later).send(REQUEST)).status == 202


async def test_open_responses_are_counted() -> None:
    """A response is open from when it was handed out until its block ends."""
    upstream = FakeUpstream(FakeResponse(headers=[(b"x", b"y")]))
    async with await upstream.send(REQUEST) as response:
        assert response.headers == [(b"content-type", b"application/json"), (b"x", b"y")]
        assert upstream.open_responses == 1
    assert upstream.open_responses == 0


async def test_bodies_stream_wait_and_break() -> None:
    """A body gives its pieces, waits where told, and raises where it breaks off."""
    gate = asyncio.Event()
    gate.set()
    response = FakeResponse(body=[b"1", gate.wait(), b"2", UpstreamError(ErrorKind.TRUNCATED)])
    pieces = response.body()
    assert [await anext(pieces), await anext(pieces)] == [b"1", b"2"]
    with pytest.raises(UpstreamError):
        await anext(pieces)


async def test_a_body_is_read_to_its_end() -> None:
    """A body without trouble ends."""
    assert [piece async for piece in FakeResponse(body=[b"1", b"2"]).body()] == [b"1", b"2"]
