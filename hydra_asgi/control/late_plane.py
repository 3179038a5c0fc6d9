"""The control plane of a node that may not run yet, as an app that any server takes."""

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["LatePlane"]


class LatePlane:
    """An ASGI app, in the form in which servers recognise one: a bound method is taken for ASGI 2 by some.

    Args:
        plane: gives the control plane of the running node, and starts the node where that has not been done.
    """

    def __init__(self, plane: Callable[[], Awaitable[Callable[[Any, Any, Any], Awaitable[None]]]]) -> None:
        self._plane = plane

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        plane = await self._plane()
        await plane(scope, receive, send)
