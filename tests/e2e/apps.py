"""The example apps in either role, for any ASGI server: the environment says which app and which role.

APP       shop (FastAPI) or orders (Quart)
GATEWAY   the gateway's URL; absent: this app is the gateway
ADDRESS   where this app is reached, for a service
SLEEP_MS  how long the checkout fragment takes, to see what a page does meanwhile
"""

import asyncio
import os
from typing import Any

from examples.fastapi_app.app import create_app as create_shop
from examples.quart_app.app import create_app as create_orders


def role() -> dict[str, Any]:
    gateway = os.environ.get("GATEWAY")
    if gateway is None:
        return {"gateway": True, "store": "memory://"}
    return {"gateways": [gateway], "address": os.environ["ADDRESS"]}


def slowed(app: Any, seconds: float) -> Any:
    """The app with a pause before everything its checkout fragment answers."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path", "").endswith("/requestFragment"):
            await asyncio.sleep(seconds)
        await app(scope, receive, send)

    return slow


app: Any = create_shop(**role()) if os.environ["APP"] == "shop" else create_orders(version=1, **role())
if "SLEEP_MS" in os.environ:
    app = slowed(app, int(os.environ["SLEEP_MS"]) / 1000)
