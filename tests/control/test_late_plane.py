"""The control plane of a node that may not run yet."""

import inspect
from typing import Any

from hydra_asgi.control.late_plane import LatePlane


async def test_it_asks_for_the_plane_each_time() -> None:
    """The node may be another one, or be started, with each request."""
    served: list[Any] = []

    async def plane(scope: Any, receive: Any, send: Any) -> None:
        served.append((scope, receive, send))

    async def find() -> Any:
        return plane

    await LatePlane(find)("scope", "receive", "send")
    assert served == [("scope", "receive", "send")]


def test_servers_recognise_it() -> None:
    """Uvicorn tells ASGI 3 from ASGI 2 by whether calling the object makes a coroutine."""
    assert inspect.iscoroutinefunction(LatePlane(lambda: None).__call__)  # type: ignore[arg-type, return-value]  # not called
