"""A request's body on its way to an instance."""

import asyncio
import weakref
from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.request_body import MAX_EMPTY_PIECES, RequestBody
from tests.exchange import http_scope

LENGTH = (b"content-length", b"3")
CHUNKED = (b"transfer-encoding", b"chunked")


class Client:
    """Says its messages one by one, and counts them and the ends of the body."""

    def __init__(self, *pieces: bytes, gone: bool = False) -> None:
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": piece, "more_body": gone or number < len(pieces)}
            for number, piece in enumerate(pieces, start=1)
        ]
        self.messages += [{"type": "http.disconnect"}] * gone
        self.read = 0
        self.ends = 0

    async def receive(self) -> Any:
        self.read += 1
        return self.messages[self.read - 1]

    def body(self, *headers: tuple[bytes, bytes], method: str = "POST", version: str = "1.1") -> RequestBody:
        scope = http_scope(method=method, headers=headers)
        scope["http_version"] = version
        return RequestBody(scope, self.receive, self.end)

    def end(self) -> None:
        self.ends += 1


async def read(body: RequestBody) -> list[bytes]:
    pieces = body.pieces()
    assert pieces is not None
    assert not isinstance(pieces, bytes)
    return [piece async for piece in pieces]


@pytest.mark.parametrize(("headers", "length"), [([LENGTH], 3), ([CHUNKED], None)])
async def test_a_framed_body_streams(headers: list[tuple[bytes, bytes]], length: int | None) -> None:
    """A body with a length or in chunks is read piece by piece, and only when asked for."""
    client = Client(b"a", b"", b"bc")
    body = client.body(*headers)
    await body.begin()
    assert body.length == length
    assert not body.is_touched
    assert not body.is_empty
    assert client.read == client.ends == 0
    assert await read(body) == [b"a", b"bc"]
    assert body.is_touched
    assert (client.read, client.ends) == (3, 1)


@pytest.mark.parametrize(
    ("method", "headers", "whole"),
    [("GET", [], None), ("POST", [], b""), ("DELETE", [(b"content-length", b"0")], b""), ("DELETE", [], None)],
)
async def test_no_framing_is_no_body(method: str, headers: list[tuple[bytes, bytes]], whole: bytes | None) -> None:
    """Without framing nothing is read; methods that expect a body say that it is empty."""
    client = Client()
    body = client.body(*headers, method=method)
    await body.begin()
    assert body.pieces() == whole
    assert body.is_empty
    assert (client.read, client.ends) == (0, 1)


async def test_http_2_needs_to_look() -> None:
    """A stream of HTTP/2 without a length has a body only if data frames follow its headers."""
    nothing = Client(b"")
    body = nothing.body(method="GET", version="2")
    await body.begin()
    assert body.pieces() is None
    assert nothing.ends == 1

    short = Client(b"all of it")
    body = short.body(version="2")
    await body.begin()
    assert body.pieces() == b"all of it"
    assert not body.is_empty

    late = Client(b"", b"", b"")
    body = late.body(method="GET", version="2")
    await body.begin()
    assert body.pieces() is None
    assert body.is_empty
    assert late.ends == 1

    slow = Client(b"", b"a", b"b")
    body = slow.body(method="GET", version="2")
    await body.begin()
    assert slow.read == 2
    assert await read(body) == [b"a", b"b"]

    long = Client(b"a", b"b", b"c")
    body = long.body(version="3")
    await body.begin()
    assert long.ends == 0
    assert await read(body) == [b"a", b"b", b"c"]
    assert long.ends == 1

    declared = Client(b"abc")
    body = declared.body(LENGTH, version="2")
    await body.begin()
    assert declared.read == 0
    assert await read(body) == [b"abc"]


async def test_looking_for_a_body_comes_to_an_end() -> None:
    """A client that sends one empty piece after the other is believed to have a body."""
    client = Client(*[b""] * 2 * MAX_EMPTY_PIECES)
    body = client.body(method="GET", version="2")
    await body.begin()
    assert body.is_streamed
    assert client.read == MAX_EMPTY_PIECES
    assert await read(body) == []


async def test_a_client_that_leaves_mid_upload_is_an_error() -> None:
    """A disconnect inside the body never looks like its end, wherever it comes."""
    client = Client(b"a", gone=True)
    body = client.body(CHUNKED)
    await body.begin()
    with pytest.raises(UpstreamError) as gone:
        await read(body)
    assert gone.value.kind is ErrorKind.CLIENT_GONE
    assert client.ends == 1
    with pytest.raises(UpstreamError):
        await Client(gone=True).body(version="2").begin()


async def test_a_client_that_stalls_holds_nobody_up() -> None:
    """A client that begins an upload and falls silent is given up after the idle time."""

    async def silent() -> Any:
        await asyncio.Event().wait()

    ends: list[bool] = []
    lookout = Lookout(0.002)
    body = RequestBody(http_scope(headers=[LENGTH]), silent, lambda: ends.append(True), 0.01, lookout)
    await body.begin()
    with pytest.raises(UpstreamError) as slow:
        await read(body)
    assert slow.value.kind is ErrorKind.CLIENT_SLOW
    assert ends == [True]
    assert not len(lookout)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_nobody_is_watched_between_two_pieces() -> None:
    """The instance may take as long as it likes for what it has got, and a body that is left leaves nothing behind."""
    lookout = Lookout(0.002)
    client = Client(b"a", b"b")
    body = RequestBody(http_scope(headers=[CHUNKED]), client.receive, client.end, 0.005, lookout)
    await body.begin()
    await body.look_ahead()
    assert not len(lookout)
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, passed.set)
    await passed.wait()
    assert await read(body) == [b"a", b"b"]
    assert not len(lookout)


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Who ends a request while its client is awaited gets a cancelled request."""

    async def silent() -> Any:
        await asyncio.Event().wait()

    lookout = Lookout(0.002)
    body = RequestBody(http_scope(headers=[LENGTH]), silent, lambda: None, 60.0, lookout)
    reading = asyncio.create_task(body.look_ahead())
    await asyncio.sleep(0)
    assert len(lookout) == 1
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not len(lookout)


async def test_somebody_else_may_wait_for_the_end() -> None:
    """Who takes the request over hears of the end in the place of the first, at once if it has come already."""
    client = Client(b"a", b"b")
    body = client.body(CHUNKED)
    ends: list[str] = []
    body.call_on_end(lambda: ends.append("second"))
    assert ends == []
    await read(body)
    body.call_on_end(lambda: ends.append("third"))
    assert ends == ["second", "third"]
    assert client.ends == 0


async def test_a_body_that_was_read_lets_go_of_whoever_waited_for_that() -> None:
    """Request and body would else hold each other until the garbage collector comes."""

    class Waiter:
        body: RequestBody

        def free(self) -> None:
            """The channel is free."""

    client, waiter = Client(b"abc"), Waiter()
    body = waiter.body = RequestBody(http_scope(method="POST", headers=[LENGTH]), client.receive, waiter.free)
    await body.look_ahead()
    seen = weakref.ref(waiter)
    del waiter
    assert seen() is None
    assert body.pieces() == b"abc"


@pytest.mark.parametrize(
    ("headers", "method", "version", "pieces", "expected"),
    [
        ([LENGTH], "POST", "1.1", [b"a", b"bc"], [b"a", b"bc"]),
        ([], "GET", "1.1", [], [b""]),
        ([], "POST", "1.1", [], [b""]),
        ([], "POST", "2", [b"a", b"bc"], [b"a", b"bc"]),
        ([], "POST", "2", [b"abc"], [b"abc"]),
    ],
)
async def test_an_untouched_request_can_be_handed_over(
    headers: list[tuple[bytes, bytes]], method: str, version: str, pieces: list[bytes], expected: list[bytes]
) -> None:
    """An app that takes the request gets every piece of its body once, looked at or not, and what comes after it."""
    client = Client(*pieces)
    client.messages.append({"type": "http.disconnect"})
    body = client.body(*headers, method=method, version=version)
    await body.begin()
    receive = body.handed_over()
    got: list[Any] = [await receive() for _ in expected]
    assert [message["body"] for message in got] == expected
    assert [message["more_body"] for message in got] == [True] * (len(expected) - 1) + [False]
    assert await receive() == {"type": "http.disconnect"}


async def test_what_was_read_is_counted() -> None:
    """The bytes of the pieces that were taken, whether or not the body came to its end."""
    client = Client(b"a", b"bc", gone=True)
    body = client.body(CHUNKED)
    await body.begin()
    assert body.taken == 0
    with pytest.raises(UpstreamError):
        await read(body)
    assert body.taken == 3
