"""A real WebSocket service on loopback, for tests that want a wire."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from hydra_asgi.core.instance import Address

__all__ = ["ServerConnection", "Service", "websocket_service"]

Handler = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Service:
    """What a service saw: its address, its connections, and how each of them ended."""

    address: Address
    connections: list[ServerConnection] = field(default_factory=list)
    ends: list[tuple[int | None, str]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def websocket_service(handler: Handler, **options: Any) -> AsyncIterator[Service]:
    """Serve on a free port; `options` are those of the library. The handler's connection is closed when it returns."""
    seen = Service(Address("http", "127.0.0.1", 1))

    async def accept(connection: ServerConnection) -> None:
        seen.connections.append(connection)
        try:
            with contextlib.suppress(ConnectionClosed):
                await handler(connection)
            await connection.wait_closed() if connection.close_code else await connection.close()
        finally:
            received = connection.protocol.close_rcvd
            seen.ends.append((1006, "") if received is None else (received.code, received.reason))

    async with serve(accept, "127.0.0.1", 0, ping_interval=None, **{"close_timeout": 1, **options}) as server:
        seen.address = Address("http", "127.0.0.1", next(iter(server.sockets)).getsockname()[1])
        try:
            yield seen
        finally:
            for connection in seen.connections:
                connection.transport.abort()
            await asyncio.sleep(0)
