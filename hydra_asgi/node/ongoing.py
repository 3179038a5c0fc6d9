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

_STOPPED = {"type": "websocket.disconnect", "code": 1012, "reason": ""}

App = Callable[[Any, Any, Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Ongoing:
    """The requests and WebSockets of one node in one event loop.

    Attributes:
        tasks: those that serve; to be written to by whoever serves without `serve`, too.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self._sockets: set[_Socket] = set()

    def __len__(self) -> int:
        return len(self.tasks)

    async def serve(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request or WebSocket, and know about it meanwhile."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - servers call an app in a task
        is_outermost = task not in self.tasks
        self.tasks.add(task)
        try:
            if scope["type"] == "websocket":
                await self._serve_socket(app, scope, receive, send)
            else:
                await app(scope, receive, send)
        finally:
            if is_outermost:
                self.tasks.discard(task)

    async def close_sockets(self) -> None:
        """Close every WebSocket with 1012: not all servers tell their clients that they stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(socket.close() for socket in self._sockets), return_exceptions=True)

    def cut(self) -> int:
        """End what still goes on; how much that was. Servers break the connection of a response without its end."""
        for task in self.tasks:
            task.cancel("the time for requests to end is over")
        return len(self.tasks)

    async def _serve_socket(self, app: App, scope: Any, receive: Any, send: Any) -> None:
        socket = _Socket(receive, send)
        self._sockets.add(socket)
        try:
            await app(scope, socket.receive, socket.send)
        finally:
            self._sockets.discard(socket)
            await socket.is_settled.wait()


class _Socket:
    """A WebSocket that two may want to close: its app, and the node when it stops.

    Granian closes in a thread of its own. There a close waits for ever while somebody receives, and is lost when the
    app returns before it is done. So the app's `receive` is ended first, and its return waits for the close.

    Attributes:
        is_settled: set while no close of the node is on its way.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_closed = False
        self._is_stopped = False
        self._receiver: asyncio.Task[Any] | None = None
        self.is_settled = asyncio.Event()
        self.is_settled.set()

    async def receive(self) -> Any:
        if self._is_stopped:
            return _STOPPED
        self._receiver = receiver = asyncio.current_task()
        try:
            return await self._receive()
        except asyncio.CancelledError:
            # As `asyncio.timeout` does: what is left after our own cancellation was meant for the app.
            if receiver is None or not self._was_stopped() or receiver.uncancel():
                raise
            return _STOPPED
        finally:
            self._receiver = None

    def _was_stopped(self) -> bool:
        return self._is_stopped  # which has changed while `receive` waited

    async def send(self, message: Any) -> None:
        if self._is_closed:
            return
        self._is_closed = message["type"] == "websocket.close"
        await self._send(message)

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_stopped = True
        if self._receiver is not None:
            self._receiver.cancel("the node stops")
        self.is_settled.clear()
        try:
            await self.send(_RESTARTING)
        finally:
            self.is_settled.set()
