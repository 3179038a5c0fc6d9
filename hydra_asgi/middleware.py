"""Mounts a node in an ASGI app: pure ASGI, so it neither buffers nor hides disconnects."""

from typing import Any, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from hydra_asgi.hydra import Hydra
from hydra_asgi.lifespan import run_lifespan

__all__ = ["HydraMiddleware"]


class HydraMiddleware:
    """Makes an app a part of the site.

    Works with `app.add_middleware(HydraMiddleware, hydra=hydra)` in FastAPI and Starlette,
    `quart_app.asgi_app = HydraMiddleware(quart_app.asgi_app, hydra=hydra)` in Quart, and as
    `HydraMiddleware(app, hydra=hydra)` around any ASGI callable.

    Args:
        app: the app, or what is left of it inside its other middleware.
        hydra: the node; one node mounts one app.
    """

    def __init__(self, app: ASGI3Application, *, hydra: Hydra) -> None:
        self.app = app
        self.hydra = hydra
        hydra.mount(app)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one scope."""
        hydra = self.hydra
        if not hydra.options.enabled:
            await self.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            hydra.learn(cast("dict[str, Any]", scope))
            await run_lifespan(self.app, scope, receive, send, start=hydra.start, stop=hydra.stop)
        elif scope["type"] == "http" or scope["type"] == "websocket":
            await hydra.serve(scope, receive, send)
        else:
            await self.app(scope, receive, send)
