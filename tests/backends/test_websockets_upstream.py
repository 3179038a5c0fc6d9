"""WebSockets to instances on a real wire."""

import asyncio
import base64
import hashlib
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hydra_asgi.backends import websockets_upstream
from hydra_asgi.backends.websockets_upstream import WebsocketsUpstream
from hydra_asgi.core.close_codes import Close
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Timeouts
from hydra_asgi.websocket_ports import WebSocketConnection, WebSocketRefusal, WebSocketRequest
from tests.doubles.websocket_service import ServerConnection, Service, websocket_service
from tests.raw_server import RawServer, raw_server, read_head, reset, says

Eventually = Callable[..., Any]
HOST = (b"host", b"site.test")


def to(address: Address, *headers: tuple[bytes, bytes], **changes: Any) -> WebSocketRequest:
    return WebSocketRequest(address, changes.pop("target", b"/socket"), [HOST, *headers], Timeouts(**changes))


@asynccontextmanager
async def connected(
    handler: Callable[[ServerConnection], Awaitable[None]],
    *headers: tuple[bytes, bytes],
    options: dict[str, Any] | None = None,
    **own: Any,
) -> AsyncIterator[tuple[WebSocketConnection, Service]]:
    async with websocket_service(handler, **(options or {})) as service:
        connection = await WebsocketsUpstream(**own).connect(to(service.address, *headers))
        assert not isinstance(connection, WebSocketRefusal)
        async with connection:
            yield connection, service


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def accepting(*frames: bytes, fields: bytes = b"", then: Any = None) -> Any:
    """A raw server that accepts a handshake, sends these frames, and goes on in its own way."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        found = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
        assert found is not None
        digest = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + fields + b"\r\n"
        )
        for frame in frames:
            writer.write(frame)
            await writer.drain()
        if then is not None:
            then(writer)
        else:
            await reader.read()
            while await reader.read(65536):
                pass

    return handler


@asynccontextmanager
async def connected_raw(handler: Any, **own: Any) -> AsyncIterator[tuple[WebSocketConnection, RawServer]]:
    async with raw_server(handler) as server:
        connection = await WebsocketsUpstream(**own).connect(to(server.address))
        assert not isinstance(connection, WebSocketRefusal)
        async with connection:
            yield connection, server


async def test_the_request_is_sent_as_it_is_given() -> None:
    """Target and fields keep their bytes and order; only the upgrade is added; nothing of the library is."""
    heads = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

    async with raw_server(handler) as server:
        address = Address("http", "service.invalid", server.address.port, pinned="127.0.0.1")
        fields = [(b"cookie", b"a=1"), (b"cookie", b"b=\xe4"), (b"origin", b"null")]
        await WebsocketsUpstream().connect(to(address, *fields, target=b"/a%2Fb/../c;x=1?y=%zz&&"))
    head = re.sub(rb"(?m)^(Sec-WebSocket-Key: )[A-Za-z0-9+/=]{24}\r$", rb"\1KEY\r", heads[0])
    assert head == (
        b"GET /a%2Fb/../c;x=1?y=%zz&& HTTP/1.1\r\nhost: site.test\r\ncookie: a=1\r\ncookie: b=\xe4\r\norigin: null\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: KEY\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )


async def test_messages_cross_as_they_are() -> None:
    """Text stays text, binary stays binary, empty ones are messages, fragments come as one."""

    async def handler(connection: ServerConnection) -> None:
        for _ in range(4):
            await connection.send(await connection.recv())
        await connection.send(["a", "", "b"])
        await connection.send([b"a", b"b"])

    async with connected(handler) as (connection, _):
        for message in ("ä", b"\x00\xff", "", b""):
            await connection.send(message)
            assert await connection.receive() == message
        assert await connection.receive() == "ab"
        assert await connection.receive() == b"ab"
        assert await connection.receive() == Close(1000)


async def test_the_service_chooses_a_sub_protocol() -> None:
    """What it chose of those that the client offered is told, with its other fields."""
    offered = (b"sec-websocket-protocol", b"a, b")
    async with connected(echo, offered, options={"subprotocols": ["b"]}) as (connection, _):
        assert connection.subprotocol == "b"
        assert any(name.lower() == b"sec-websocket-protocol" for name, _ in connection.headers)
    async with connected(echo, offered) as (connection, _):
        assert connection.subprotocol is None


@pytest.mark.parametrize("close", [Close(1000), Close(4001, "bye"), Close(None)])
async def test_a_close_of_the_service_is_told(close: Close) -> None:
    """Code and reason arrive after the last message, and again when asked again."""

    async def handler(connection: ServerConnection) -> None:
        await connection.send("last")
        await connection.close(close.code, close.reason)  # type: ignore[arg-type]  # None is a frame without code

    async with connected(handler) as (connection, _):
        assert await connection.receive() == "last"
        assert await connection.receive() == close
        assert await connection.receive() == close
        await connection.send("too late")
        await connection.close(Close(1000))


@pytest.mark.parametrize("close", [Close(1000), Close(4001, "bye"), Close(None)])
async def test_the_service_hears_how_it_is_closed(close: Close, eventually: Eventually) -> None:
    """Code and reason arrive, and `receive` ends."""
    async with connected(echo) as (connection, service):
        await connection.close(close)
        assert isinstance(await connection.receive(), Close)
        await eventually(lambda: service.ends == [(1005 if close.code is None else close.code, close.reason)])


@pytest.mark.parametrize(
    ("frames", "close"),
    [
        ([b"\x88\x02\x03\xe7"], Close(1002, "invalid status code")),
        ([b"\x88\x02\x03\xee"], Close(1002, "invalid status code")),
        ([b"\xff\x00"], Close(1002, "invalid opcode")),
        ([b"\x81\x02\xff\xff"], Close(1007, "invalid start byte at position 0")),
        ([b"\x82\x7f" + (2**40).to_bytes(8)], Close(1009, "frame with 1099511627776 bytes exceeds limit of 100 bytes")),
        ([b"\x02\x60" + b"x" * 96, b"\x80\x05xxxxx"], Close(1009)),
    ],
)
async def test_a_service_that_breaks_the_rules_is_closed(
    frames: list[bytes], close: Close, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong codes, frames, text and sizes end both sides with the code that says so, even if it then does nothing."""
    monkeypatch.setattr(websockets_upstream, "CLOSE_SECONDS", 0.02)
    async with connected_raw(accepting(*frames), max_message=100) as (connection, _):
        ended = await connection.receive()
        assert isinstance(ended, Close)
        assert ended.code == close.code
        assert ended.reason.startswith(close.reason)


async def test_too_many_fragments_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message in more pieces than anybody sends is not collected."""
    monkeypatch.setattr(websockets_upstream, "CLOSE_SECONDS", 0.02)
    async with connected_raw(accepting(b"\x02\x00" + b"\x00\x00" * 5000)) as (connection, _):
        assert await connection.receive() == Close(1009, "too many fragments")


@pytest.mark.parametrize("frame", [b"\x88\x02\x03\xe8", b"\x88\x00"])
async def test_a_service_that_stays_after_its_close_is_left(frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance that sends a close frame and keeps its connection is not waited for longer than the bound."""
    monkeypatch.setattr(websockets_upstream, "CLOSE_SECONDS", 0.02)
    async with connected_raw(accepting(frame)) as (connection, _):
        assert await connection.receive() == Close(1000 if len(frame) > 2 else None)


async def test_a_service_that_does_not_answer_a_close_is_left(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """Closing does not wait for an instance longer than the bound, and its connection is gone afterwards."""
    monkeypatch.setattr(websockets_upstream, "CLOSE_SECONDS", 0.02)
    async with connected_raw(accepting(), quiet=0.005) as (connection, server):
        await connection.close(Close(1000))
        await eventually(lambda: server.open == 0)


@pytest.mark.parametrize("end", [reset, lambda writer: writer.close()])
async def test_a_service_that_dies_is_an_internal_error(end: Any) -> None:
    """A connection that breaks without a close frame is told as 1011, after what came before."""
    async with connected_raw(accepting(b"\x81\x01x", then=end)) as (connection, _):
        received = await connection.receive()
        if received == "x":
            received = await connection.receive()
        assert received == Close(1011)
        await connection.send("too late")


async def test_a_silent_service_is_asked_and_then_given_up() -> None:
    """After the quiet time it gets a ping; without any answer it counts as dead after the same time again."""
    began = asyncio.get_running_loop().time()
    async with connected_raw(accepting(), quiet=0.05) as (connection, _):
        assert await connection.receive() == Close(1011)
        assert asyncio.get_running_loop().time() - began >= 0.1


async def test_a_silent_service_that_answers_pings_stays(eventually: Eventually) -> None:
    """An idle WebSocket lives as long as the instance does."""
    async with connected(echo, quiet=0.01) as (connection, service):
        pings = []
        arrived = service.connections[0].protocol.recv_frame
        service.connections[0].protocol.recv_frame = lambda frame: (pings.append(frame.opcode), arrived(frame))[1]  # type: ignore[method-assign]  # only listens
        await eventually(lambda: len(pings) >= 5)
        assert set(pings) == {9}
        await connection.send("still there")
        assert await connection.receive() == "still there"


async def test_a_service_that_talks_is_not_pinged() -> None:
    """Whoever is heard need not be asked."""
    heard = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepting(then=lambda writer: None)(reader, writer)
        for _ in range(8):
            writer.write(b"\x81\x01x")
            await asyncio.sleep(0.05)  # often enough to count as talking, long enough together for a ping
        writer.write(b"\x88\x00")
        heard.append(await reader.readexactly(2))

    async with connected_raw(handler, quiet=0.3) as (connection, _):
        while not isinstance(await connection.receive(), Close):
            pass
    assert heard == [b"\x88\x80"]


async def test_a_service_is_made_to_wait(eventually: Eventually) -> None:
    """While nobody receives, the instance cannot send, is not taken for dead, and loses nothing."""
    sent = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(300):
            await connection.send(b"x" * 100_000)
            sent += 1

    async with connected(handler, quiet=0.01) as (connection, service):
        await eventually(lambda: service.connections and service.connections[0].paused)
        for _ in range(10):
            await asyncio.sleep(0.01)  # time in which a wrong guard would give the instance up
        assert sent < 200
        received = 0
        while not isinstance(await connection.receive(), Close):
            received += 1
        assert received == 300


async def test_a_slow_service_makes_us_wait(eventually: Eventually) -> None:
    """While the instance takes nothing, `send` waits."""
    go_on = asyncio.Event()
    received = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal received
        await go_on.wait()
        async for _ in connection:
            received += 1

    async with connected(handler) as (connection, _):
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(300):
                await connection.send(b"x" * 100_000)
                sent += 1

        link = connection._link  # type: ignore[attr-defined]  # only whether it waits
        task = asyncio.create_task(send())
        await eventually(lambda: link.paused)
        assert sent < 200
        go_on.set()
        await task
        await eventually(lambda: received == 300)


@pytest.mark.parametrize("status", [200, 302, 401, 404, 503])
async def test_a_refusal_is_an_answer(status: int) -> None:
    """Status, fields in order and body are given; redirects are followed by nobody."""
    answer = (
        b"HTTP/1.1 %d Whatever\r\nLocation: /elsewhere\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
        b"transfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n" % status
    )
    async with raw_server(says(answer)) as server:
        refusal = await WebsocketsUpstream().connect(to(server.address))
        assert isinstance(refusal, WebSocketRefusal)
        assert (refusal.status, refusal.body) == (status, b"no")
        assert [value for name, value in refusal.headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", ErrorKind.PROTOCOL),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", ErrorKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", ErrorKind.PROTOCOL),
        (b"HTTP/1.1 200 OK\r\nx: \x00\r\n\r\n", ErrorKind.PROTOCOL),
        (b"SSH-2.0-OpenSSH\r\n", ErrorKind.PROTOCOL),
        (b"HTTP/1.1 101", ErrorKind.RESET),
        (b"", ErrorKind.RESET),
    ],
)
async def test_what_is_no_answer_fails(answer: bytes, kind: ErrorKind, eventually: Eventually) -> None:
    """Upgrades that are none, nonsense and silence are failures of a known kind, and leave no connection."""
    async with raw_server(says(answer, then=lambda writer: writer.close())) as server:
        with pytest.raises(UpstreamError) as caught:
            await WebsocketsUpstream().connect(to(server.address))
        assert caught.value.kind is kind
        await eventually(lambda: server.open == 0)


@pytest.mark.parametrize("fields", [b"Sec-WebSocket-Protocol: c\r\n", b"Sec-WebSocket-Extensions: x\r\n"])
async def test_what_was_not_offered_cannot_be_chosen(fields: bytes) -> None:
    """A sub-protocol or extension out of nowhere is a breach of the protocol."""
    async with raw_server(accepting(fields=fields)) as server:
        with pytest.raises(UpstreamError) as caught:
            await WebsocketsUpstream().connect(to(server.address))
        assert caught.value.kind is ErrorKind.PROTOCOL


async def test_a_reset_before_the_answer_is_a_reset() -> None:
    """The instance may be asked again elsewhere."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async with raw_server(handler) as server:
        with pytest.raises(UpstreamError) as caught:
            await WebsocketsUpstream().connect(to(server.address))
        assert caught.value.kind is ErrorKind.RESET


async def test_a_handshake_without_answer_ends(eventually: Eventually) -> None:
    """The instance gets `first_byte` seconds, and its connection is gone afterwards."""
    async with raw_server(accepting_nothing) as server:
        with pytest.raises(UpstreamError) as caught:
            await WebsocketsUpstream().connect(to(server.address, first_byte=0.05))
        assert caught.value.kind is ErrorKind.FIRST_BYTE_TIMEOUT
        await eventually(lambda: server.open == 0)


async def accepting_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await reader.read()


@pytest.mark.parametrize(
    ("address", "connect", "kind"),
    [
        (Address("http", "127.0.0.1", 1), 1.0, ErrorKind.CONNECT_REFUSED),
        (Address("http", "x" * 64, 80), 1.0, ErrorKind.CONNECT_REFUSED),
        (Address("http", "127.0.0.1", 1), 0.0, ErrorKind.CONNECT_TIMEOUT),
    ],
)
async def test_an_instance_that_is_not_there(address: Address, connect: float, kind: ErrorKind) -> None:
    """Nobody listening, no such name and no time are told apart."""
    with pytest.raises(UpstreamError) as caught:
        await WebsocketsUpstream().connect(to(address, connect=connect))
    assert caught.value.kind is kind
    assert address.host[:9] in str(caught.value)


async def test_tls_goes_to_the_pinned_address_under_the_announced_name() -> None:
    """The certificate is asked for by the host's name; an instance without TLS is a TLS failure."""
    names = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names.append(await reader.read(512))

    async with raw_server(handler) as server:
        address = Address("https", "orders.test", server.address.port, pinned="127.0.0.1")
        with pytest.raises(UpstreamError) as caught:
            await WebsocketsUpstream(tls=ssl.create_default_context()).connect(to(address))
    assert b"orders.test" in names[0]
    assert caught.value.kind in (ErrorKind.TLS, ErrorKind.CONNECT_REFUSED)


async def test_cancelling_at_any_moment_leaves_no_connection(eventually: Eventually) -> None:
    """A storm of cancelled handshakes and messages leaves neither a socket nor a task behind."""
    chance = random.Random(11)

    async def use(service: Service) -> None:
        connection = await WebsocketsUpstream().connect(to(service.address))
        assert not isinstance(connection, WebSocketRefusal)
        async with connection:
            for _ in range(3):
                await connection.send("x")
                await connection.receive()
            await connection.close(Close(1000))

    before = asyncio.all_tasks()
    async with websocket_service(echo) as service:
        for _ in range(150):
            task = asyncio.create_task(use(service))
            for _ in range(chance.randrange(25)):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await eventually(lambda: len(service.ends) == len(service.connections))
    await eventually(lambda: asyncio.all_tasks() == before)
