"""A gateway that tells what it holds, in front of instances that register nowhere; uvicorn serves it.

INSTANCES   `service=url` of each, separated by blanks; a service serves everything under its name
PORT        where this process is served

`/gauge`, which no other service has, answers with a `Gauge` as JSON, and `/spans` with what passed in this process from
the start of each request to `/well/...` to its end, in seconds of processor time, since it was asked last.
"""

import asyncio
import functools
import gc
import json
import os
import time
from pathlib import Path
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.gateway.limits import ServiceLimits
from hydra_asgi.site.static_instance import StaticInstance


async def gauge(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what this process holds now."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    said: Any = held()
    if scope["path"] == "/spans":
        said = spans.copy()
        spans.clear()
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


def held() -> dict[str, Any]:
    """A `Gauge`."""
    status = Path("/proc/self/status").read_text()
    running = hydra.running
    assert running is not None
    assert isinstance(running.upstream, NativeUpstream)
    (limits,) = limits_here()
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")) - 1,
        "memory": _kibibytes(status, "VmRSS:") * 1024,
        "peak": _kibibytes(status, "VmHWM:") * 1024,
        "cpu": time.process_time(),
        "places": {name: limits.taken(name) for name in services()},
        "waiting": {name: limits.waiting(name) for name in services()},
        "connections": running.upstream.counts(),
        "served": len(running.ongoing),
        "pid": os.getpid(),
    }


@functools.cache
def limits_here() -> list[ServiceLimits]:
    """The places of the one node of this process; the package shows them to nobody, so they are looked for."""
    return [one for one in gc.get_objects() if isinstance(one, ServiceLimits)]


def services() -> list[str]:
    """The names of `INSTANCES`."""
    return [pair.split("=", 1)[0] for pair in os.environ["INSTANCES"].split()]


def _kibibytes(status: str, name: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def make() -> Hydra:
    """The gateway of this process."""
    pairs = [pair.split("=", 1) for pair in os.environ["INSTANCES"].split()]
    routes = ["/{service}/{rest:path}", "WEBSOCKET /{service}/ws"]
    instances = [
        StaticInstance(service=name, url=url, routes=[route.replace("{service}", name) for route in routes])
        for name, url in pairs
    ]
    return Hydra(
        service="desk",
        gateway=True,
        routes=["/gauge", "/spans"],
        address=int(os.environ["PORT"]),
        instances=instances,
        grace=1,
    )


hydra = make()
site = HydraMiddleware(gauge, hydra=hydra)
spans: list[float] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The gateway, which looks at the clock before and after each request to one service."""
    if scope["type"] != "http" or not scope["path"].startswith("/well/"):
        await site(scope, receive, send)
        return
    began = time.process_time()
    await site(scope, receive, send)
    spans.append(time.process_time() - began)
