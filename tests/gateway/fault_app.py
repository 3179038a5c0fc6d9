"""Apps for processes that are killed, stopped and starved: an instance, and a gateway in front of one.

INSTANCE   the port of the instance; present: this process is the gateway before it
SLEEP_MS   how long an instance takes
"""

import asyncio
import os
from typing import Any

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.gateway.forward import Forwarder
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms


async def instance(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(int(os.environ.get("SLEEP_MS", "0")) / 1000)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Gateway:
    def __init__(self, port: int) -> None:
        terms = ForwardingTerms(pseudonym="gateway", trusted=lambda ip: False, vouch=lambda token: None)
        self._forward = Forwarder(NativeUpstream(), terms)
        self._group = Group.build([ServiceInstance("orders", Address("http", "127.0.0.1", port), token=1234567890)])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._forward(scope, receive, send, group=self._group, key="", target=scope["raw_path"])


app: Any = Gateway(int(os.environ["INSTANCE"])) if "INSTANCE" in os.environ else instance
