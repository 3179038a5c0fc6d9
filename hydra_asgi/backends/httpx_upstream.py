"""Sends requests to instances through any httpx-shaped asynchronous transport.

The default is a transport of `httpx2`. A user may hand in one of their own, of `httpx2` or of `httpx`: to reach
instances through a proxy, over HTTP/2, over a UNIX socket, or in a test. The transport is called, not a client: clients
keep cookies, follow redirects and decode bodies, and nothing of that may happen between two apps.
"""

import asyncio
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import ModuleType, TracebackType
from typing import Any, Final, Self

import httpcore2  # noqa: F401 -- httpx2 loads it when the first transport is made, which may be inside an event loop
import httpx2

from hydra_asgi.backends.httpx_errors import Translation
from hydra_asgi.backends.tls_trust import TlsTrust
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.event_stream import is_event_stream
from hydra_asgi.errors import ConfigurationError, UpstreamError
from hydra_asgi.ports import Headers, Timeouts, UpstreamRequest

__all__ = ["HttpxResponse", "HttpxUpstream"]

MAX_CONNECTIONS = 512
"""Twice what one process forwards at a time under load; below the usual limit of 1024 files."""

MAX_IDLE_CONNECTIONS = 128
"""Enough for some ten services with a dozen connections each."""

IDLE_SECONDS = 4.0
"""Below the 5 s after which uvicorn closes an idle connection, so that we close first and never write into a close."""


class HttpxUpstream:
    """Implements `ports.Upstream`.

    Args:
        transport: None for one of our own; an object with `handle_async_request`; or an `AsyncClient`, of which only
            the transports are used (its proxies and mounts work, its cookies, hooks and redirects do not).
        tls: how certificates of `https` instances are checked, for our own transport only; None trusts what the
            system trusts, read when the first `https` instance is asked.

    Raises:
        ConfigurationError: the transport is none of these.
    """

    def __init__(self, transport: Any = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._trust = TlsTrust(tls)
        self._is_ours = transport is None
        if transport is None:
            transport = _own_transport(self._trust.context)
        self._transport = transport
        self._transport_for = _transport_choice(transport)
        self._library = _library_of(transport)
        self._translation = Translation(self._library)
        self._stream = type("_UploadStream", (_Upload, self._library.AsyncByteStream), {})
        self._closings: set[asyncio.Task[None]] = set()

    async def send(self, request: UpstreamRequest) -> "HttpxResponse":
        """Send, and return when the response's head has arrived."""
        where = request.address.netloc
        if request.address.scheme == "https":
            await self._trust.ready()
        try:
            first_byte = asyncio.timeout(None)
            upload = self._stream(request, first_byte)
            outgoing = self._outgoing(request, upload)
            async with first_byte:
                response = await self._transport_for(outgoing.url).handle_async_request(outgoing)
        except self._translation.foreign as error:
            if error is upload.failure:
                raise
            if first_byte.expired():
                seconds = request.timeouts.first_byte
                raise UpstreamError(ErrorKind.FIRST_BYTE_TIMEOUT, f"{where}: silent for {seconds} s") from None
            raise self._translation.before_head(error, where) from error
        idle = request.timeouts.idle
        if is_event_stream(response.headers.raw):
            idle = outgoing.extensions["timeout"]["read"] = None  # looked up when the body is first read
        return HttpxResponse(response, idle, self._translation, where, self._abandon)

    async def close(self) -> None:
        """Close every connection of our own transport; a user's is theirs to close."""
        await asyncio.gather(*self._closings)
        if self._is_ours:
            await self._transport.aclose()

    def _outgoing(self, request: UpstreamRequest, upload: "_Upload") -> Any:
        address = request.address
        url = self._library.URL(
            scheme=address.scheme,
            host=address.pinned or address.host,
            port=address.port,
            raw_path=request.target,
        )
        # The URL folds dot segments and re-encodes; the target goes on the wire as it is.
        extensions: dict[str, Any] = {"target": request.target, "timeout": _transport_timeouts(request.timeouts)}
        if address.pinned and address.scheme == "https":
            extensions["sni_hostname"] = address.host
        return self._library.Request(
            request.method,
            url,
            headers=[*request.headers, *_framing(request)],
            stream=upload,
            extensions=extensions,
        )

    async def _abandon(self, response: Any, pieces: AsyncIterator[bytes]) -> None:
        """Close in a task of its own: a second cancellation must not leave a connection behind half closed."""
        closing = asyncio.get_running_loop().create_task(_close_unread(response, pieces))
        self._closings.add(closing)
        closing.add_done_callback(self._closings.discard)
        await asyncio.shield(closing)


class HttpxResponse:
    """Implements `ports.UpstreamResponse` over a response of the library, whose body is still to be read."""

    __slots__ = ("_abandon", "_idle", "_pieces", "_response", "_translation", "_where", "_whole", "headers", "status")

    whole: Final = None
    is_checked: Final = False
    """Every library checks other things."""

    def __init__(
        self,
        response: Any,
        idle: float | None,
        translation: Translation,
        where: str,
        abandon: Callable[[Any, AsyncIterator[bytes]], Awaitable[None]],
    ) -> None:
        self.status: int = response.status_code
        self.headers: Headers = response.headers.raw
        self._response = response
        self._idle = idle
        self._translation = translation
        self._where = where
        self._abandon = abandon
        # Not `aiter_raw()`, which refuses responses that a mock has filled already; both give the bytes as they came.
        self._pieces: AsyncIterator[bytes] = aiter(response.stream)
        self._whole = False

    @property
    def trailers(self) -> Headers:
        """None: these libraries read them and keep them to themselves."""
        return []

    def body(self) -> AsyncIterator[bytes]:
        """The body's raw bytes, content coding untouched; only once."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle):
                return await anext(self._pieces)
        except StopAsyncIteration:
            self._whole = True
            if _has_leftovers(self._response):
                await self._response.extensions["network_stream"].aclose()
            await self._response.aclose()
            raise
        except TimeoutError:
            raise UpstreamError(ErrorKind.IDLE_TIMEOUT, f"{self._where}: silent for {self._idle} s") from None
        except self._translation.foreign as error:
            raise self._translation.in_body(error, self._where) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._whole:  # reading to the end has given the connection back
            await self._abandon(self._response, self._pieces)


class _Upload:
    """A request's body in the form the library wants; remembers whose fault a failure was."""

    def __init__(self, request: UpstreamRequest, first_byte: asyncio.Timeout) -> None:
        self.failure: Exception | None = None
        self._request = request
        self._first_byte = first_byte

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = self._request.body
        if isinstance(body, bytes):
            yield body
        elif body is not None:
            try:
                async for piece in self._measured(body):
                    yield piece
            except Exception as error:
                self.failure = error
                raise
        self._request_is_out()

    async def _measured(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A body that does not keep its declared length must abort: the rest would be read as the next request."""
        length = self._request.length
        sent = 0
        async for piece in body:
            sent += len(piece)
            if length is not None and sent > length:
                break
            yield piece
        if length is not None and sent != length:
            raise UpstreamError(ErrorKind.PROTOCOL, f"a request body of {length} bytes that had {sent} so far")

    def _request_is_out(self) -> None:
        seconds = self._request.timeouts.first_byte
        if seconds is not None:
            self._first_byte.reschedule(asyncio.get_running_loop().time() + seconds)


def _has_leftovers(response: Any) -> bool:
    """Whether the instance sent more than its response: the next request on the connection would be answered by it.

    Only h11 knows, and nothing public leads to it; transports that are built otherwise look after this themselves.
    """
    stream = getattr(response.stream, "_httpcore_stream", None)
    connection = getattr(getattr(stream, "_stream", None), "_connection", None)
    parser = getattr(connection, "_h11_state", None)
    return parser is not None and bool(parser.trailing_data[0])


async def _close_unread(response: Any, pieces: AsyncIterator[bytes]) -> None:
    if isinstance(pieces, AsyncGenerator):
        await pieces.aclose()
    await response.aclose()


def _own_transport(tls: ssl.SSLContext) -> httpx2.AsyncHTTPTransport:
    limits = httpx2.Limits(
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_IDLE_CONNECTIONS,
        keepalive_expiry=IDLE_SECONDS,
    )
    return httpx2.AsyncHTTPTransport(verify=tls, limits=limits, trust_env=False, http2=False, retries=0)


def _transport_choice(transport: Any) -> Callable[[Any], Any]:
    if hasattr(transport, "handle_async_request"):
        return lambda url: transport
    choose: Callable[[Any], Any] | None = getattr(transport, "_transport_for_url", None)
    if choose is None or not hasattr(transport, "aclose"):
        raise ConfigurationError(
            f"transport={transport!r:.200} is no asynchronous httpx transport; give an object with "
            "handle_async_request, such as httpx2.AsyncHTTPTransport(), or an httpx2.AsyncClient"
        )
    return choose


def _library_of(transport: Any) -> ModuleType:
    """The library whose request and response classes a transport speaks; a class that inherits nothing gets httpx2."""
    for base in type(transport).__mro__:
        library = base.__module__.partition(".")[0]
        if library in {"httpx", "httpx2"}:
            return sys.modules[library]  # loaded, or the transport could not have been made
    return httpx2


def _transport_timeouts(timeouts: Timeouts) -> dict[str, float | None]:
    # How long to wait for bytes is bounded here, per head and per piece; the transport's own limit on reads only
    # matters where it stopped reading our body early.
    reads = (timeouts.first_byte, timeouts.idle)
    read = None if None in reads else max(seconds for seconds in reads if seconds is not None)
    return {"connect": timeouts.connect, "pool": timeouts.connect, "write": timeouts.idle, "read": read}


def _framing(request: UpstreamRequest) -> Headers:
    """RFC 9112 section 6: a body has a length or is chunked; no body has neither."""
    if request.body is None:
        return []
    length = len(request.body) if isinstance(request.body, bytes) else request.length
    return [(b"transfer-encoding", b"chunked")] if length is None else [(b"content-length", b"%d" % length)]
