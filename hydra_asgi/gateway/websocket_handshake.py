"""The opening handshake with an instance, in the shape of a request.

It is asked, asked again elsewhere, and held for or against an instance by the same rules as every other request, so
it wears the same port. What it really came to is in `came_to`.
"""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from hydra_asgi.ports import Headers, UpstreamRequest
from hydra_asgi.websocket_ports import WebSocketConnection, WebSocketRefusal, WebSocketRequest, WebSocketUpstream

__all__ = ["HandshakeAnswer", "HandshakeUpstream"]

_GOOD = 200
"""How an acceptance looks to whoever judges responses by their status; 101 would be out of place for a request."""


class HandshakeAnswer:
    """Implements `ports.UpstreamResponse`; leaving it cuts off a connection that is still open."""

    whole = None
    is_checked = False

    def __init__(self, came_to: WebSocketConnection | WebSocketRefusal) -> None:
        self.came_to = came_to
        self.headers: Headers = came_to.headers
        self.trailers: Headers = []
        self.status = came_to.status if isinstance(came_to, WebSocketRefusal) else _GOOD
        self._pieces = [came_to.body] if isinstance(came_to, WebSocketRefusal) and came_to.body else []

    def body(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(self.came_to, WebSocketRefusal):
            await self.came_to.__aexit__(kind, error, trace)


class HandshakeUpstream:
    """Implements `ports.Upstream` for the handshake of one client; a request's method and body mean nothing here.

    Args:
        upstream: opens WebSockets.

    Attributes:
        last: what the instance that was asked last has answered; None when it has not.
    """

    def __init__(self, upstream: WebSocketUpstream) -> None:
        self._upstream = upstream
        self.last: HandshakeAnswer | None = None

    async def send(self, request: UpstreamRequest) -> HandshakeAnswer:
        handshake = WebSocketRequest(request.address, request.target, request.headers, request.timeouts)
        self.last = None
        self.last = HandshakeAnswer(await self._upstream.connect(handshake))
        return self.last

    async def close(self) -> None:
        """Connections belong to whoever opened them."""
