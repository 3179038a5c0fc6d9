"""The app of every process in a fault scenario; its options come from `HYDRA_*`, see `fleet`.

As a service called `orders` it publishes

    GET /orders/page/{n}      lines that name the service, the version, the port and n: a wrong byte is seen
    POST /orders/echo         the body
    GET /orders/events        server-sent events with rising numbers, four a second, until the client goes
    WEBSOCKET /orders/ws      echo

Without a service the process is a gateway with no pages of its own. `EVENTS` names a file to which the process writes,
for each change of its directory, the time on the system-wide monotonic clock and how many instances it knows. `SCHEMA`
and `READS` make it write the documents of a later version of this package.
"""

import asyncio
import os
import time
from typing import Any

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.core.events import DirectoryRecord, Event
from hydra_asgi.wire import stored_document
from tests.bare_asgi import body_of, echo, gone

SERVICE = os.environ.get("HYDRA_SERVICE", "")
LINES = 20


def page(number: str) -> bytes:
    """What `/page/{n}` answers."""
    return f"{SERVICE} {os.environ.get('HYDRA_VERSION', '0')} {os.environ['PORT']} {number}\n".encode() * LINES


async def service(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request; see the module."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    if scope["type"] != "http":
        return
    head, _, tail = scope["path"].rpartition("/")
    if head.endswith("/page"):
        await answer(send, page(tail))
    elif tail == "echo":
        await answer(send, await body_of(receive))
    elif tail == "events":
        await tell_events(receive, send)
    else:
        await answer(send, b"not here", 404)


async def answer(send: Any, body: bytes, status: int = 200) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def tell_events(receive: Any, send: Any) -> None:
    client = asyncio.create_task(gone(receive))
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    number = 0
    while not client.done():
        number += 1
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.wait([client], timeout=0.25)


def note(event: Event, /) -> None:
    """Write down how many instances are known from now on."""
    if isinstance(event, DirectoryRecord):
        line = f"{time.monotonic()} {event.instances} {event.active} {event.revision} {event.status}\n"
        with open(os.environ["EVENTS"], "a") as file:
            file.write(line)


def make() -> HydraMiddleware:
    """The middleware of this process."""
    stored_document.SCHEMA = int(os.environ.get("SCHEMA", stored_document.SCHEMA))
    stored_document.READS = int(os.environ.get("READS", stored_document.READS))
    on_event = note if "EVENTS" in os.environ else None
    if not SERVICE:
        return HydraMiddleware(None, hydra=Hydra(gateway=True, on_event=on_event))
    kinds = [
        f"GET /{SERVICE}/page/{{n}}",
        f"POST /{SERVICE}/echo",
        f"GET /{SERVICE}/events",
        f"WEBSOCKET /{SERVICE}/ws",
    ]
    return HydraMiddleware(service, hydra=Hydra(routes=kinds, on_event=on_event))


app = make()
