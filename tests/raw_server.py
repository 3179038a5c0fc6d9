"""Servers for tests that say exactly the bytes they are told, on loopback, and never outlive their test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from hydra_asgi.core.instance import Address

__all__ = ["RawServer", "raw_server", "read_head", "reset", "says"]

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """What a server saw: its address, how many connections came and how many are open."""

    address: Address
    heads: list[bytes] = field(default_factory=list)
    accepted: int = 0
    open: int = 0


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """A request's head, empty lines included; empty when the client closed instead."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the peer sees a reset, not an end of stream."""
    writer.get_extra_info("socket").setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER, zero seconds
    writer.transport.abort()


def says(*pieces: bytes, then: Callable[[asyncio.StreamWriter], None] | None = None) -> Handler:
    """A handler that reads a head and answers with these pieces, for every request on the connection.

    `then` ends the connection after the first answer in its own way; without it the connection is kept.
    """

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if then is not None:
                then(writer)
                return

    return handler


@contextlib.asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[RawServer]:
    """Serve on a free port of loopback; connections still open at the end are aborted."""
    tasks: set[asyncio.Task[None]] = set()
    seen = RawServer(Address("http", "127.0.0.1", 1))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.accepted += 1
        seen.open += 1
        try:
            with contextlib.suppress(ConnectionError):
                await handler(reader, writer)
        finally:
            seen.open -= 1
            writer.transport.abort() if writer.is_closing() else writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    seen.address = Address("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield seen
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
