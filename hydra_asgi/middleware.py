"""Mounts a node in an ASGI app: pure ASGI, so it neither buffers nor hides disconnects."""

from collections.abc import Mapping
from typing import Any

from hydra_asgi.discovery.discover import is_framework
from hydra_asgi.discovery.peek import peek
from hydra_asgi.discovery.unwrap import framework_apps, wrapped_by
from hydra_asgi.gateway.no_app import no_app
from hydra_asgi.hydra import Hydra
from hydra_asgi.node.lifespan import run_lifespan
from hydra_asgi.service.calling import ASGIApp

__all__ = ["HydraMiddleware", "node_of"]

_REQUESTS = frozenset({"http", "websocket"})
"""Whatever else a server may come up with, but a lifespan, is the app's own business."""


class HydraMiddleware:
    """Makes an app a part of the site.

    Works with `app.add_middleware(HydraMiddleware, hydra=hydra)` in FastAPI and Starlette,
    `quart_app.asgi_app = HydraMiddleware(quart_app.asgi_app, hydra=hydra)` in Quart, and as
    `HydraMiddleware(app, hydra=hydra)` around any ASGI callable.

    Args:
        app: the app, or what is left of it inside its other middleware. None: there is none, and the node is a gateway
            and nothing else.
        hydra: the node; one node mounts one app.
    """

    # The types of ASGI are not the same in asgiref, Starlette and Hypercorn (which Quart uses), so whoever is to be
    # mounted in all of them can name none.
    def __init__(self, app: ASGIApp | None, *, hydra: Hydra) -> None:
        self.app: ASGIApp = no_app if app is None else app
        self.hydra = hydra
        self._serve = hydra.node.serve
        hydra.node.own.mount(self.app, is_absent=app is None)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] in _REQUESTS:
            await self._serve(scope, receive, send)
            return
        hydra = self.hydra
        if scope["type"] == "lifespan" and hydra.options.enabled:
            hydra.node.own.learn(scope)
            await run_lifespan(self.app, scope, receive, send, start=hydra.start, stop=hydra.stop)
        else:
            await self.app(scope, receive, send)


def node_of(app: object) -> Hydra | None:
    """The node that is mounted on an app: around it, inside it, or in the framework's own list of middleware."""
    for wrapper in (*wrapped_by(app), *framework_apps(app, is_framework)):
        if isinstance(wrapper, HydraMiddleware):
            return wrapper.hydra
        entries = peek(wrapper, "user_middleware")
        for entry in entries if isinstance(entries, list) else ():
            options = peek(entry, "kwargs")
            if isinstance(options, Mapping) and isinstance(options.get("hydra"), Hydra):
                given: Hydra = options["hydra"]
                return given
    return None
