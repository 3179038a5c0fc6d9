"""A service without our middleware, for long and heavy work; uvicorn serves it.

GET /{any}/page            a small page
GET /{any}/nap             the same after the seconds that `PUT /{any}/nap` was told last
GET /{any}/big?{bytes}     so many bytes, in pieces of 64 KiB
POST /{any}/sink           how many bytes came
GET /{any}/stream          pieces of 1 KiB until the client goes
GET /{any}/open            how many streams are open, and the seconds on the monotonic clock when the last one ended
WEBSOCKET /{any}/ws        echo
"""

import asyncio
import time
from typing import Any

PIECE = bytes(65536)

streams: set[asyncio.Task[None]] = set()
ended = [0.0]
nap = [0.0]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve one request; see the module."""
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    if scope["type"] != "http":
        return
    what = scope["path"].rpartition("/")[2]
    if what == "big":
        await big(send, int(scope["query_string"]))
    elif what == "stream":
        await stream(receive, send)
    else:
        await answer(send, await words(scope["method"], what, receive))


async def words(method: str, what: str, receive: Any) -> bytes:
    """What a small answer says."""
    if what == "sink":
        return b"%d" % await sink(receive)
    if what == "open":
        return f"{len(streams)} {ended[0]}".encode()
    if what == "nap" and method == "PUT":
        nap[0] = float((await receive())["body"])
    elif what == "nap":
        await asyncio.sleep(nap[0])
    return b"page " * 200


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


async def stream(receive: Any, send: Any) -> None:
    client = asyncio.create_task(gone(receive))
    streams.add(client)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    while not client.done():
        await send({"type": "http.response.body", "body": PIECE[:1024], "more_body": True})
        await asyncio.wait([client], timeout=0.2)
    streams.discard(client)
    ended[0] = time.monotonic()


async def gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
