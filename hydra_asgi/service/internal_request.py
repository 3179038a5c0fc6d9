"""One GET request to our own app without a network: its scope, and a recorder for what the app sends."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from hydra_asgi.core.headers.page_origin import split_origin
from hydra_asgi.core.routing.template import Segment, SegmentKind, parse_template

__all__ = ["PathError", "ResponseRecorder", "filled_path", "internal_scope"]


class PathError(ValueError):
    """A route's path cannot be written with the values at hand."""


def filled_path(template: str, values: Mapping[str, object]) -> str:
    """Write a path by putting values into a template, decoded as `scope["path"]` is.

    Raises:
        PathError: a value is missing, or would change which route is meant (`/`, `..`, controls).
    """
    return "".join(f"/{_filled(template, segment, values)}" for segment in parse_template(template).segments)


def _filled(template: str, segment: Segment, values: Mapping[str, object]) -> str:
    if segment.kind is SegmentKind.LITERAL:
        return segment.text
    if segment.text not in values:
        raise PathError(f"the route {template[:80]!r} needs {segment.text!r} and it was not imported")
    text = str(values[segment.text])
    pieces = text.split("/") if segment.kind is SegmentKind.REST else [text]
    if not text.isprintable() or any(piece in {"", ".", ".."} or "/" in piece for piece in pieces):
        raise PathError(f"{text[:80]!r} cannot be {segment.text!r} in the path of the route {template[:80]!r}")
    return text


def internal_scope(
    path: str,
    *,
    headers: Sequence[tuple[bytes, bytes]],
    origin: str,
    root_path: str = "",
    base: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The scope of a GET request for HTML.

    Args:
        path: inside the app, decoded.
        headers: what the core page lends.
        origin: of the core page, so that absolute links lead to the site.
        root_path: where the app is mounted; `scope["path"]` includes it, as the ASGI specification has it.
        base: what every scope of the app carries, `app` and the lifespan's `state` above all; state is copied, as
            servers do.
    """
    base = base or {}
    scheme, host = split_origin(origin)
    whole = root_path + path
    return {
        "http_version": "1.1",
        "scheme": scheme,
        "server": None,
        **base,
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": whole,
        "raw_path": quote(whole, safe="/:@!$&'()*+,;=-._~").encode("ascii"),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", host), (b"accept", b"text/html"), *_without(headers, b"host", b"accept")],
        # Nobody's address: an app that trusts its own machine must not take a page's visitor for that.
        "client": None,
        "state": dict(base.get("state") or {}),
        "extensions": {},
    }


def _without(headers: Sequence[tuple[bytes, bytes]], *names: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name not in names]


class ResponseRecorder:
    """The client's end of an internal request.

    Args:
        limit: the most bytes of body to keep.

    Attributes:
        status: 0 until the response has started.
        headers: of the response.
        ended: set when the body is complete, or when it is larger than the limit.
        is_too_large: it is larger than the limit; what is kept is cut.
    """

    def __init__(self, limit: int) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.ended = asyncio.Event()
        self.is_too_large = False
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []
        self._asked = False

    @property
    def body(self) -> bytes:
        """The raw body."""
        return b"".join(self._pieces)

    async def receive(self) -> dict[str, Any]:
        """An empty request body, then nothing until the response has ended."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take one message of the app; what is neither start nor body is of no use here."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
        elif message["type"] == "http.response.body" and not self.ended.is_set():
            self._take(message.get("body", b""))
            if self.is_too_large or not message.get("more_body", False):
                self.ended.set()

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        self.is_too_large = self._size > self._limit
        if not self.is_too_large:
            self._pieces.append(piece)
