"""A node of a site for tests that start and stop processes: the service of `service_app`, or a gateway.

GATEWAY   the gateway's URL; absent: this is a gateway with no pages of its own
PORT      where this process is served
GRACE     seconds for what goes on after a stop
"""

import os
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware
from tests.e2e.service_app import app as service

__all__ = ["KEY", "SECRET", "app"]

KEY = "site"
SECRET = "the secret of this site"


def make() -> HydraMiddleware:
    """The node of this process; `/orders/open` is not published."""
    shared: dict[str, Any] = {"key": KEY, "secret": SECRET, "grace": float(os.environ.get("GRACE", "2"))}
    if "GATEWAY" not in os.environ:
        return HydraMiddleware(None, hydra=Hydra(gateway=True, **shared))
    hydra = Hydra(
        service="orders",
        gateways=[os.environ["GATEWAY"]],
        address=f"http://127.0.0.1:{os.environ['PORT']}",
        routes=["/orders", "/orders/nap", "/orders/stream", "WEBSOCKET /orders/ws"],
        **shared,
    )
    return HydraMiddleware(service, hydra=hydra)


app = make()
