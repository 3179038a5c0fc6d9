"""Serves a request by the mounted app after all, where it was to be forwarded and its turn has come."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.gateway.observation import Progress

__all__ = ["OwnInstance", "serve_here", "serve_socket_here"]

_SAID = {"websocket.accept": 101, "websocket.close": 403}
"""What an app says to a handshake, as a status."""


class OwnInstance(NamedTuple):
    """The node's own instance.

    Attributes:
        instance: it.
        serve: serves a request by it without the network.
    """

    instance: ServiceInstance
    serve: Callable[[Any, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


async def serve_here(
    own: OwnInstance,
    scope: Mapping[str, Any],
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    progress: Progress,
) -> None:
    """Serve an HTTP request, of which nothing was read.

    Args:
        own: who serves it.
        scope: of the request.
        receive: its channel.
        send: its channel.
        progress: is told what the app answers.
    """
    progress.is_local = True

    async def send_noted(message: Any) -> None:
        if message["type"] == "http.response.start":
            progress.status = message["status"]
        progress.response_bytes += len(message.get("body", b""))
        await send(message)

    try:
        await own.serve(scope, receive, send_noted)
    except Exception:
        progress.status = progress.status or 500  # what the server makes of it
        raise


async def serve_socket_here(
    own: OwnInstance,
    scope: Mapping[str, Any],
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    progress: Progress,
) -> None:
    """Serve a WebSocket, of which only the wish to connect was read; arguments as for `serve_here`."""
    progress.is_local = True
    unread: list[Any] = [{"type": "websocket.connect"}]

    async def receive_again() -> Any:
        return unread.pop() if unread else await receive()

    async def send_noted(message: Any) -> None:
        if not progress.status:
            progress.status = message.get("status") or _SAID.get(message["type"], 0)
        await send(message)

    await own.serve(scope, receive_again, send_noted)
