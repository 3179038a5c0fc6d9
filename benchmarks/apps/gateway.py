"""A gateway of ours around an app that has nothing to say: what is measured is the forwarding."""

import os
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer 404; its lifespan is left to the middleware."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"not here"})


app = HydraMiddleware(
    nothing,
    hydra=Hydra(gateway=True, store="memory://", key=os.environ["BENCH_KEY"], secret=os.environ["BENCH_SECRET"]),
)
