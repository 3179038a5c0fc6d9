"""A gateway that tells what it holds, in front of instances that register nowhere; uvicorn serves it.

INSTANCES   `service=url` of each, separated by blanks; a service serves everything under its name
PORT        where this process is served

`/gauge`, which no other service has, answers with a `Gauge` as JSON.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.site.static_instance import StaticInstance


async def gauge(scope: Any, receive: Any, send: Any) -> None:
    """What this process holds now: tasks, open files, bytes of memory now and at most."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(held()).encode()})


def held() -> dict[str, int]:
    status = Path("/proc/self/status").read_text()
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")) - 1,
        "memory": _kibibytes(status, "VmRSS:") * 1024,
        "peak": _kibibytes(status, "VmHWM:") * 1024,
    }


def _kibibytes(status: str, name: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def make() -> HydraMiddleware:
    """The gateway of this process."""
    pairs = [pair.split("=", 1) for pair in os.environ["INSTANCES"].split()]
    routes = ["/{service}/{rest:path}", "WEBSOCKET /{service}/ws"]
    instances = [
        StaticInstance(service=name, url=url, routes=[route.replace("{service}", name) for route in routes])
        for name, url in pairs
    ]
    hydra = Hydra(
        service="desk", gateway=True, routes=["/gauge"], address=int(os.environ["PORT"]), instances=instances, grace=1
    )
    return HydraMiddleware(gauge, hydra=hydra)


app = make()
