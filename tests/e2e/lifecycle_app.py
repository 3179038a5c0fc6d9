"""A small service, or a gateway, for tests that start and stop processes; any ASGI server may serve it.

GATEWAY   the gateway's URL; absent: this is a gateway with no pages of its own
PORT      where this process is served
VERSION   of the service
GRACE     seconds for what goes on after a stop
"""

import asyncio
import os
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware

KEY = "site"
SECRET = "the secret of this site"

waiting: list[Any] = []
streaming: set[asyncio.Task[None]] = set()


async def service(scope: Any, receive: Any, send: Any) -> None:
    """`/orders` echoes, `/orders/stream` ends only with its client, `/orders/slow` takes a second, `/orders/ws` echoes.

    `/orders/waiting` says how many slow requests have come, `/orders/streaming` how many streams are open; neither is
    published.
    """
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["path"] == "/orders/stream":
        await start(send)
        await stream(receive, send)
    else:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/orders/slow":
            waiting.append(scope)
            await asyncio.sleep(1)
        if scope["path"] == "/orders/waiting":
            body = b"%d" % len(waiting)
        if scope["path"] == "/orders/streaming":
            body = b"%d" % len(streaming)
        await start(send)
        await send({"type": "http.response.body", "body": body or os.environ["PORT"].encode()})


async def stream(receive: Any, send: Any) -> None:
    client = asyncio.create_task(gone(receive))
    streaming.add(client)
    while not client.done():
        await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
        await asyncio.wait([client], timeout=0.05)
    streaming.discard(client)


async def gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def start(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})


def make() -> HydraMiddleware:
    shared: dict[str, Any] = {"key": KEY, "secret": SECRET, "grace": float(os.environ.get("GRACE", "2"))}
    if "GATEWAY" not in os.environ:
        return HydraMiddleware(None, hydra=Hydra(gateway=True, **shared))
    hydra = Hydra(
        service="orders",
        gateways=[os.environ["GATEWAY"]],
        address=f"http://127.0.0.1:{os.environ['PORT']}",
        routes=["/orders", "/orders/slow", "/orders/stream", "WEBSOCKET /orders/ws"],
        **shared,
    )
    return HydraMiddleware(service, hydra=hydra)


app = make()
