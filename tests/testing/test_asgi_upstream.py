"""An upstream that calls ASGI apps in the same process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Timeouts, Upstream, UpstreamRequest
from hydra_asgi.testing import AsgiUpstream

START = {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}


def request(body: Any = None, *, length: int | None = None, first_byte: float = 5.0) -> UpstreamRequest:
    timeouts = Timeouts(first_byte=first_byte)
    address = Address("http", "orders", 1)
    return UpstreamRequest(address, "POST", b"/a%2Fb?c=d", [(b"Host", b"orders:1")], body, length, timeouts)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def send_to(app: Any, **options: Any) -> tuple[int, bytes]:
    async with await AsgiUpstream({"orders:1": app}).send(request(**options)) as response:
        return response.status, b"".join([piece async for piece in response.body()])


async def test_the_scope_is_the_request() -> None:
    """The app sees the exact target, the header pairs in lower case, and the framing of the body."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send(START)
        await send({"type": "http.response.body", "body": b"ok"})

    assert await send_to(app) == (200, b"ok")
    await send_to(app, body=b"abc")
    await send_to(app, body=pieces(b"abc"), length=3)
    await send_to(app, body=pieces(b"abc"))
    assert (scopes[0]["path"], scopes[0]["raw_path"], scopes[0]["query_string"]) == ("/a/b", b"/a%2Fb", b"c=d")
    framing = [b"content-length", b"3"], [b"content-length", b"3"], [b"transfer-encoding", b"chunked"]
    assert [scope["headers"] for scope in scopes] == [
        [(b"host", b"orders:1")],
        *([(b"host", b"orders:1"), tuple(pair)] for pair in framing),
    ]


async def test_bodies_stream_both_ways() -> None:
    """Pieces of the request arrive one by one, and pieces of the response leave while the app still works."""
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got = [await receive() for _ in range(3)]
        assert [(message["body"], message["more_body"]) for message in got] == [
            (b"1", True),
            (b"2", True),
            (b"", False),
        ]
        await send(START)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    async with await AsgiUpstream({"orders:1": app}).send(request(pieces(b"1", b"2"))) as response:
        assert response.headers == [(b"x", b"y")]
        body = response.body()
        assert await anext(body) == b"first"
        gate.set()
        assert [piece async for piece in body] == [b"last"]


async def test_nobody_listens() -> None:
    """An address without an app refuses connections, and accepts them when there is one; closing changes nothing."""
    apps: dict[str, Any] = {}
    upstream: Upstream = AsgiUpstream(apps)
    with pytest.raises(UpstreamError) as refused:
        await upstream.send(request())
    assert refused.value.kind is ErrorKind.CONNECT_REFUSED
    await upstream.close()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)

    apps["orders:1"] = app
    async with await upstream.send(request()) as response:
        assert response.status == 200


async def test_failures_of_the_app(caplog: pytest.LogCaptureFixture) -> None:
    """An app that raises before its response resets the connection, later it cuts it; the log says where."""

    async def before(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no database")

    async def later(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("lost")

    for app, kind in ((before, ErrorKind.RESET), (later, ErrorKind.TRUNCATED)):
        with pytest.raises(UpstreamError) as failed:
            await send_to(app)
        assert failed.value.kind is kind
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


async def test_no_answer_in_time() -> None:
    """An app that does not begin to answer in time is cancelled."""
    cancelled = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(UpstreamError) as late:
        await send_to(app, first_byte=0.01)
    assert late.value.kind is ErrorKind.FIRST_BYTE_TIMEOUT
    assert cancelled.is_set()


async def test_a_caller_that_leaves_takes_the_app_with_it() -> None:
    """Cancelling the call cancels the app."""
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    call = asyncio.create_task(send_to(app))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert cancelled.is_set()


async def test_closing_ends_the_app() -> None:
    """An app that is not done when the response is closed is ended."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        try:
            seen.append((await receive())["type"])
        except asyncio.CancelledError:
            seen.append("cancelled")

    async with await AsgiUpstream({"orders:1": app}).send(request()):
        assert seen == []
    assert seen == ["cancelled"]
