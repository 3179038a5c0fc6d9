"""uvicorn's head and body go out together, and nothing else changes."""

import asyncio
import socket
from typing import Any

import pytest

from hydra_asgi.gateway.one_write import MAX_JOINED, OneWrite

uvicorn = pytest.importorskip("uvicorn")

from uvicorn.protocols.http.h11_impl import RequestResponseCycle as H11Cycle  # noqa: E402 -- behind the check
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle as HttptoolsCycle  # noqa: E402


class Transport:
    """Notes what is written at a time."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_shut = False

    def write(self, data: bytes) -> None:
        self.writes.append(bytes(data))

    def writelines(self, pieces: Any) -> None:
        self.writes.append(b"".join(pieces))

    def is_closing(self) -> bool:
        return self.is_shut

    def close(self) -> None:
        self.is_shut = True


def cycle_of(kind: Any) -> tuple[Any, Transport]:
    """One of uvicorn's cycles, with its `send`, over a transport of ours."""
    cycle, transport = kind.__new__(kind), Transport()
    cycle.transport = transport
    return cycle, transport


@pytest.mark.parametrize("kind", [HttptoolsCycle, H11Cycle])
@pytest.mark.parametrize("size", [0, 5, MAX_JOINED + 1])
def test_head_and_body_are_one_write(kind: type, size: int) -> None:
    """Whatever the size of the body, and the transport is the server's again."""
    cycle, transport = cycle_of(kind)
    gathered = OneWrite.of(cycle.send)
    assert gathered is not None
    cycle.transport.write(b"head ")
    assert transport.writes == []
    cycle.transport.write(b"x" * size)
    assert transport.writes == [b"head " + b"x" * size]
    assert cycle.transport is transport
    gathered.end()
    assert len(transport.writes) == 1


def test_a_head_alone_goes_out_at_the_end() -> None:
    """The answer to a HEAD has no body that the server would write."""
    cycle, transport = cycle_of(HttptoolsCycle)
    gathered = OneWrite.of(cycle.send)
    assert gathered is not None
    cycle.transport.write(b"head")
    gathered.end()
    assert (transport.writes, cycle.transport) == ([b"head"], transport)


def test_closing_comes_after_the_head() -> None:
    """A server that closes behind a head closes the real transport, behind what was written."""
    cycle, transport = cycle_of(HttptoolsCycle)
    gathered = OneWrite.of(cycle.send)
    cycle.transport.write(b"head")
    cycle.transport.close()
    assert (transport.writes, transport.is_shut, cycle.transport) == ([b"head"], True, transport)
    assert gathered is not None
    gathered.end()
    assert transport.writes == [b"head"]


def test_nothing_is_written_to_a_closed_transport() -> None:
    """The client has gone between the two."""
    cycle, transport = cycle_of(HttptoolsCycle)
    gathered = OneWrite.of(cycle.send)
    assert gathered is not None
    cycle.transport.write(b"head")
    transport.close()
    gathered.end()
    assert (transport.writes, cycle.transport) == ([], transport)


def test_nothing_was_said() -> None:
    """A server that was told nothing, because its client has gone, writes nothing."""
    cycle, transport = cycle_of(HttptoolsCycle)
    gathered = OneWrite.of(cycle.send)
    assert gathered is not None
    gathered.end()
    assert (transport.writes, cycle.transport) == ([], transport)


async def test_other_channels_are_left_alone() -> None:
    """Functions, methods of other objects, and channels that somebody has wrapped."""

    class Cycle:
        transport = Transport()

        async def send(self, message: Any) -> None:
            """Send."""

    async def send(message: Any) -> None:
        """Send."""

    assert [OneWrite.of(one) for one in (send, Cycle().send, asyncio.Queue[Any]().put, None)] == [None] * 4


async def test_a_real_server_sends_both_at_once() -> None:
    """One read of the client has all of a small answer."""
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        gathered = OneWrite.of(send)
        assert gathered is not None
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
        gathered.end()

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            piece = await asyncio.wait_for(reader.read(4096), 20)
            seen.append(piece.count(b"\r\n\r\nhello"))
    finally:
        writer.close()
        server.should_exit = True
        await asyncio.wait_for(serving, 20)
        listener.close()
    assert seen == [1, 1, 1]
