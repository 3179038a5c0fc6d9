"""A forwarder as one writes it by hand: an ASGI app on aiohttp that streams both ways and no more."""

import os
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

_ORIGIN = f"http://127.0.0.1:{os.environ['BENCH_ORIGIN']}"
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"))
_sessions: list[ClientSession] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one scope."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    names = {name for name, _ in scope["headers"]}
    has_body = b"content-length" in names or b"transfer-encoding" in names
    async with _sessions[0].request(
        scope["method"],
        URL(f"{_ORIGIN}{scope['raw_path'].decode()}?{scope['query_string'].decode()}".rstrip("?"), encoded=True),
        headers=[(name.decode(), value.decode()) for name, value in scope["headers"] if name not in _HOP_BY_HOP],
        data=_body(receive) if has_body else None,
        allow_redirects=False,
    ) as response:
        headers = [pair for pair in response.raw_headers if pair[0].lower() not in _HOP_BY_HOP]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for piece in response.content.iter_any():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _body(receive: Any) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _live(receive: Any, send: Any) -> None:
    await receive()
    connector, timeout = TCPConnector(limit=0, keepalive_timeout=60), ClientTimeout(total=None)
    async with ClientSession(
        connector=connector, timeout=timeout, cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as session:
        _sessions.append(session)
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})
