"""Refuses request bodies that are larger than the operator allows, before they are carried to anybody."""

from collections.abc import Awaitable, Callable
from typing import Any

from hydra_asgi.core.headers.header_fields import field_values
from hydra_asgi.gateway.answers import answer

__all__ = ["BodyLimit"]

App = Callable[[Any, Any, Any], Awaitable[None]]


class BodyLimit:
    """Stands around an ASGI app.

    Args:
        app: what serves the requests.
        limit: the most bytes a body may have.
    """

    def __init__(self, app: App, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif any(value.isdigit() and int(value) > self._limit for value in _lengths(scope)):
            await self._refuse(scope, send)
        else:
            await self._count(scope, receive, send)

    async def _count(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a body that declares no length, or is as long as it says: servers see to that."""
        left = self._limit
        is_begun = False

        async def receive_counted() -> Any:
            nonlocal left
            if left < 0:
                return {"type": "http.disconnect"}
            message = await receive()
            left -= len(message.get("body", b""))
            # To the app it looks as if the client had gone; so nobody gets a part of a body for the whole.
            return {"type": "http.disconnect"} if left < 0 else message

        async def send_noted(message: Any) -> None:
            nonlocal is_begun
            is_begun = is_begun or message["type"] == "http.response.start"  # a hint may come before
            await send(message)

        await self._app(scope, receive_counted, send_noted)
        if left < 0 and not is_begun:
            await self._refuse(scope, send)

    async def _refuse(self, scope: Any, send: Any) -> None:
        detail = f"At most {self._limit} bytes may be sent here in one request."
        await answer(send, 413, "Too large", detail, scope=scope, close=True)


def _lengths(scope: Any) -> list[bytes]:
    # More digits than any length has are none: the front refuses them.
    return [value for value in field_values(scope["headers"], b"content-length") if len(value) < 20]
