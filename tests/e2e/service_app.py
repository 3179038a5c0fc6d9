"""A service without our middleware, for tests that start processes; any ASGI server may serve it.

PORT       where this process is served, which it answers with

GET /{any}                 the port
POST /{any}                the body that came
GET /{any}/page            a small page
GET /{any}/nap?{seconds}   the same after so many seconds
GET /{any}/big?{bytes}     so many bytes, in pieces of 64 KiB
POST /{any}/sink           how many bytes came
GET /{any}/stream?{pause}  1 KiB every so many seconds (0.2) until the client goes
GET /{any}/open            an `Open` as JSON
WEBSOCKET /{any}/ws        echo
"""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

from tests.bare_asgi import body_of, echo, gone

__all__ = ["Open", "app"]

PIECE = bytes(65536)


@dataclass
class Open:
    """What goes on in the process.

    Attributes:
        streams: are open.
        ended: when the last stream ended, on the monotonic clock.
        naps: have begun so far.
    """

    streams: int = 0
    ended: float = 0.0
    naps: int = 0


now = Open()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request; see the module."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    if scope["type"] != "http":
        return
    what, said = scope["path"].strip("/").partition("/")[2], scope["query_string"]
    if what == "big":
        await big(send, int(said))
    elif what == "stream":
        await stream(receive, send, float(said or b"0.2"))
    else:
        await answer(send, await words(what, said, receive))


async def words(what: str, said: bytes, receive: Any) -> bytes:
    """What a small answer says."""
    if what == "sink":
        return b"%d" % await sink(receive)
    if what == "open":
        return json.dumps(asdict(now)).encode()
    if what == "nap":
        now.naps += 1
        await asyncio.sleep(float(said))
    if what:
        return b"page " * 200
    return await body_of(receive) or os.environ.get("PORT", "").encode()


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def big(send: Any, size: int) -> None:
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while size > 0:
        await send({"type": "http.response.body", "body": PIECE[:size], "more_body": size > len(PIECE)})
        size -= len(PIECE)


async def sink(receive: Any) -> int:
    count, more = 0, True
    while more:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    return count


async def stream(receive: Any, send: Any, pause: float) -> None:
    client = asyncio.create_task(gone(receive))
    now.streams += 1
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    while not client.done():
        await send({"type": "http.response.body", "body": b"tick\n".ljust(1024), "more_body": True})
        await asyncio.wait([client], timeout=pause)
    now.streams -= 1
    now.ended = time.monotonic()
