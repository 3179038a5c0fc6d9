"""An `Upstream` that calls ASGI apps in the same process, streaming: for tests that want services without sockets."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import unquote_to_bytes

from asgiref.typing import ASGIReceiveEvent, ASGISendEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers, UpstreamRequest

__all__ = ["AsgiUpstream"]

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI app of any framework; their types of it are not the same."""

logger = logging.getLogger("hydra_asgi.testing")


class AsgiUpstream:
    """Sends each request to the app that stands for its address.

    Args:
        apps: `host:port` -> ASGI app. An address that is missing refuses connections, as a stopped service does. The
            mapping is read at each request, so a test may take a service away and bring it back.
    """

    def __init__(self, apps: Mapping[str, App]) -> None:
        self._apps = apps

    async def send(self, request: UpstreamRequest) -> "_Response":
        app = self._apps.get(request.address.netloc)
        if app is None:
            raise UpstreamError(ErrorKind.CONNECT_REFUSED, f"no app stands for {request.address.netloc}")
        response = _Response(request)
        await response.start(app)
        return response

    async def close(self) -> None:
        """Nothing to close."""


class _Response:
    def __init__(self, request: UpstreamRequest) -> None:
        self.status = 0
        self.headers: Headers = []
        self.trailers: Headers = []
        self.whole: bytes | None = None
        self.is_checked = False
        self._request = request
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=4)
        self._gone = asyncio.Event()
        self._body = _pieces(request.body)
        self._body_ended = False
        self._error: BaseException | None = None

    async def start(self, app: App) -> None:
        self._task = asyncio.create_task(self._run(app))
        try:
            async with asyncio.timeout(self._request.timeouts.first_byte):
                head = await self._messages.get()
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise UpstreamError(ErrorKind.FIRST_BYTE_TIMEOUT, "the app did not answer") from None
            raise
        if head is None:
            await self.close()
            raise UpstreamError(ErrorKind.RESET, f"the app failed: {self._error!r}")
        self.status = head["status"]
        self.headers = [(bytes(name), bytes(value)) for name, value in head.get("headers", [])]

    async def body(self) -> AsyncIterator[bytes]:
        while (message := await self._messages.get()) is not None:
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                return
        raise UpstreamError(ErrorKind.TRUNCATED, f"the app failed: {self._error!r}")

    async def close(self) -> None:
        self._gone.set()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, app: App) -> None:
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception as error:
            # Whoever asked sees a status at most; the test's author wants the place in their app.
            logger.exception("the app that stands for %s failed", self._request.address.netloc)
            self._error = error
        await self._messages.put(None)

    def _scope(self) -> dict[str, Any]:
        raw_path, _, query = self._request.target.partition(b"?")
        address = self._request.address
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": address.scheme,
            "path": _unquote(raw_path),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [*((name.lower(), value) for name, value in self._request.headers), *_framing(self._request)],
            "client": ("127.0.0.1", 1),
            "server": (address.host, address.port),
            "state": {},
            "extensions": {},
        }

    async def _receive(self) -> ASGIReceiveEvent:
        if self._body_ended:
            await self._gone.wait()
            return cast("ASGIReceiveEvent", {"type": "http.disconnect"})
        piece = await anext(self._body, None)
        self._body_ended = piece is None
        event = {"type": "http.request", "body": piece or b"", "more_body": piece is not None}
        return cast("ASGIReceiveEvent", event)

    async def _send(self, message: ASGISendEvent) -> None:
        await self._messages.put(cast("dict[str, Any]", message))


def _framing(request: UpstreamRequest) -> Headers:
    """How long the body is, as a client library would say (RFC 9112 section 6)."""
    length = len(request.body) if isinstance(request.body, bytes) else request.length
    if request.body is None:
        return []
    return [(b"transfer-encoding", b"chunked")] if length is None else [(b"content-length", b"%d" % length)]


async def _pieces(body: bytes | AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
    elif body is not None:
        async for piece in body:
            yield piece


def _unquote(raw_path: bytes) -> str:
    return unquote_to_bytes(raw_path).decode("utf-8", "replace")
