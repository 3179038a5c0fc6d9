"""What a node is busy with, so that it can end in good order: WebSockets are told, streams are cut at last."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Ongoing"]

CLOSE_SECONDS = 1.0
"""How long all WebSockets together may take to be closed."""

_RESTARTING = {"type": "websocket.close", "code": 1012, "reason": ""}
"""Service restart: clients take it as a call to come back."""

App = Callable[[Any, Any, Any], Awaitable[None]]
Send = Callable[[Any], Awaitable[None]]


class Ongoing:
    """The requests and WebSockets of one node in one event loop."""

    def __init__(self) -> None:
        self._requests: set[asyncio.Task[Any]] = set()
        self._sockets: set[_Socket] = set()

    def __len__(self) -> int:
        return len(self._requests)

    async def serve(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request or WebSocket, and know about it meanwhile."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - servers call an app in a task
        is_outermost = task not in self._requests
        self._requests.add(task)
        try:
            if scope["type"] == "websocket":
                await self._serve_socket(app, scope, receive, send)
            else:
                await app(scope, receive, send)
        finally:
            if is_outermost:
                self._requests.discard(task)

    async def close_sockets(self) -> None:
        """Close every WebSocket with 1012: not all servers tell their clients that they stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(socket.close() for socket in self._sockets), return_exceptions=True)

    def cut(self) -> int:
        """End what still goes on; how much that was. Servers break the connection of a response without its end."""
        for task in self._requests:
            task.cancel("the time for requests to end is over")
        return len(self._requests)

    async def _serve_socket(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        socket = _Socket(send)
        self._sockets.add(socket)
        try:
            await app(scope, receive, socket.send)
        finally:
            self._sockets.discard(socket)


class _Socket:
    """The sending half of a WebSocket, which two may want to close."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_closed = False

    async def send(self, message: Any) -> None:
        if self._is_closed:
            return
        self._is_closed = message["type"] == "websocket.close"
        await self._send(message)

    async def close(self) -> None:
        await self.send(_RESTARTING)
