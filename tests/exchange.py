"""Raw ASGI for tests: run one request through an app, record every message, release the body when told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Exchange", "exchange", "http_scope"]


def http_scope(
    path: str = "/",
    *,
    method: str = "GET",
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"site.test"),),
    query: bytes = b"",
    raw_path: bytes | None = None,
    client: tuple[str, int] = ("127.0.0.1", 50000),
    server: tuple[str, int] = ("127.0.0.1", 8000),
    scheme: str = "http",
    root_path: str = "",
) -> dict[str, Any]:
    """A small HTTP scope."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode() if raw_path is None else raw_path,
        "query_string": query,
        "root_path": root_path,
        "headers": list(headers),
        "client": client,
        "server": server,
        "state": {},
    }


@dataclass
class Exchange:
    """What an app sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return next(int(m["status"]) for m in self.messages if m["type"] == "http.response.start")

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return next(list(m.get("headers", [])) for m in self.messages if m["type"] == "http.response.start")

    def header(self, name: bytes) -> bytes | None:
        """The first field of that name, any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: bytes) -> list[bytes]:
        """Every field of that name, any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")

    @property
    def complete(self) -> bool:
        """Whether the last body message said that nothing follows."""
        return any(m["type"] == "http.response.body" and not m.get("more_body", False) for m in self.messages)


async def exchange(
    app: Callable[..., Any],
    scope: dict[str, Any] | None = None,
    body: bytes | Iterable[bytes] | AsyncIterator[bytes] = b"",
    *,
    on_send: Callable[[dict[str, Any]], Any] | None = None,
) -> Exchange:
    """Run one request to its end. After the body, `receive` waits for ever, as a patient client does."""
    result = Exchange()

    async def pieces() -> AsyncIterator[bytes]:
        if isinstance(body, bytes):
            yield body
        elif isinstance(body, AsyncIterator):
            async for piece in body:
                yield piece
        else:
            for piece in body:
                yield piece

    source = pieces()
    pending: list[bytes] = []
    ended = False

    async def receive() -> dict[str, Any]:
        nonlocal ended
        if ended:
            await asyncio.Event().wait()
        if not pending:
            pending.append(await anext(source, b""))
        following = await anext(source, None)
        piece = pending.pop()
        if following is None:
            ended = True
        else:
            pending.append(following)
        return {"type": "http.request", "body": piece, "more_body": following is not None}

    async def send(message: dict[str, Any]) -> None:
        result.messages.append(message)
        if on_send is not None:
            waited = on_send(message)
            if waited is not None:
                await waited

    await app(scope or http_scope(), receive, send)
    return result
