"""A gateway for servers that run it in several worker processes: each answer says which of them it came from."""

import os
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware
from tests.e2e.lifecycle_app import KEY, SECRET

site = HydraMiddleware(None, hydra=Hydra(gateway=True, key=KEY, secret=SECRET))


async def app(scope: Any, receive: Any, send: Any) -> None:
    async def told(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-worker", b"%d" % os.getpid())]}
        await send(message)

    await site(scope, receive, told)
