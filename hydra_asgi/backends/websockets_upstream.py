"""Opens WebSockets to instances with the `websockets` library.

Its connection class is used without its `connect` function, which would follow redirects, look for proxies in the
environment and build the request target and the `Host` field anew. The protocol below is told the exact request.
"""

import asyncio
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers as LibraryHeaders
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.uri import WebSocketURI

from hydra_asgi.backends.tls_trust import TlsTrust
from hydra_asgi.core.close_codes import WENT_AWAY, Close, to_pass_on
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers, Timeouts
from hydra_asgi.websocket_ports import Message, WebSocketRefusal, WebSocketRequest

__all__ = ["MAX_MESSAGE_BYTES", "WebsocketsConnection", "WebsocketsUpstream"]

MAX_MESSAGE_BYTES = 16 * 2**20
"""What uvicorn and hypercorn take of a client by default, so that both directions carry the same."""

QUIET_SECONDS = 20.0
"""After so much silence the instance is asked whether it lives, and given the same time to answer. Routers between two
machines forget connections after a minute or more; an instance that lost its power is noticed within 40 s."""

CLOSE_SECONDS = 1.0
"""How long the instance may take to answer a close frame, and to close after one: half of the 2 s in which both sides
of a forwarded WebSocket have to be gone."""

_MAX_QUEUED_FRAMES = 2
"""The library counts frames, not bytes, and each may be a whole message. Small ones arrive by the hundred in one read
anyway, so a longer queue would be no faster."""

_WRITE_LIMIT = 2**16
"""Bytes of unsent data above which `send` waits."""


class WebsocketsUpstream:
    """Implements `websocket_ports.WebSocketUpstream`.

    Args:
        tls: how certificates of `https` instances are checked; None trusts what the system trusts, read when the
            first `https` instance is asked.
        max_message: bytes of the largest message taken of an instance; a larger one closes with 1009.
        quiet: seconds, see `QUIET_SECONDS`.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        max_message: int = MAX_MESSAGE_BYTES,
        quiet: float = QUIET_SECONDS,
    ) -> None:
        self._trust = TlsTrust(tls)
        self._max_message = max_message
        self._quiet = quiet

    async def connect(self, request: WebSocketRequest) -> "WebsocketsConnection | WebSocketRefusal":
        """Connect, and return when the instance has answered."""
        if request.address.scheme == "https":
            await self._trust.ready()
        protocol = _Handshake(request, self._max_message)
        link = await _open(lambda: _Link(protocol, self._quiet), request, self._trust.context)
        try:
            return await _shake_hands(link, request.timeouts, request.address.netloc)
        except BaseException:
            link.transport.abort()
            raise


class WebsocketsConnection:
    """Implements `websocket_ports.WebSocketConnection`."""

    __slots__ = ("_link", "headers", "subprotocol")

    def __init__(self, link: "_Link", response: Response) -> None:
        self._link = link
        self.subprotocol: str | None = link.subprotocol
        self.headers: Headers = _pairs(response)

    async def receive(self) -> Message | Close:
        try:
            return await self._link.recv()
        except ConnectionClosed as closed:
            return _end(closed)

    async def send(self, message: Message) -> None:
        try:
            await self._link.send(message)
        except ConnectionClosed:
            return  # `receive` says how it ended

    async def close(self, close: Close) -> None:
        await self._link.close(close.code, close.reason)  # type: ignore[arg-type]  # None is a frame without code

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.transport.abort()


class _Handshake(ClientProtocol):
    """Sends the request it is given and nothing else."""

    def __init__(self, request: WebSocketRequest, max_message: int) -> None:
        address = request.address
        uri = WebSocketURI(address.scheme == "https", address.host, address.port, "/", "", None, None)
        super().__init__(uri, subprotocols=_offered(request.headers), max_size=max_message)  # type: ignore[arg-type]  # NewType of str
        self._request = request

    def connect(self) -> Request:
        headers = LibraryHeaders()
        for name, value in self._request.headers:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Key"] = self.key
        headers["Sec-WebSocket-Version"] = "13"
        return Request(self._request.target.decode("ascii"), headers)


class _Link(ClientConnection):
    """The library's connection with two guards of its own, each one timer and no task.

    The library notices a silent instance only by pinging all the time, and waits for ever in `recv` for an instance
    that sends or gets a close frame and then keeps its connection open.
    """

    def __init__(self, protocol: ClientProtocol, quiet: float) -> None:
        super().__init__(
            protocol,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS,
            max_queue=_MAX_QUEUED_FRAMES,
            write_limit=_WRITE_LIMIT,
        )
        self._quiet = quiet
        self._heard = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._is_ending = False

    def watch(self) -> None:
        """Begin to look after the instance; the handshake is over."""
        if not self._is_ending:
            self._timer = self.loop.call_later(self._quiet, self._look)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        super().data_received(data)
        if not self._is_ending and self.protocol.close_expected():
            self._is_ending = True
            self._schedule(CLOSE_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ending = True
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        if self.recv_messages.paused:  # it is us who do not listen
            self._heard = self.loop.time()
        silent = self.loop.time() - self._heard
        if silent >= 2 * self._quiet:
            self.transport.abort()
        elif silent < self._quiet:
            self._schedule(self._quiet - silent, self._look)
        elif self.protocol.state is OPEN:
            self.protocol.send_ping(b"")
            self.send_data()
            self._schedule(self._quiet, self._look)

    def _schedule(self, seconds: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, action)


async def _open(link: Callable[[], _Link], request: WebSocketRequest, tls: ssl.SSLContext) -> _Link:
    address = request.address
    is_secure = address.scheme == "https"
    try:
        async with asyncio.timeout(request.timeouts.connect):
            _, connection = await asyncio.get_running_loop().create_connection(
                link,
                address.pinned or address.host,
                address.port,
                ssl=tls if is_secure else None,
                server_hostname=address.host if is_secure else None,
            )
    except (OSError, UnicodeError) as error:  # a name that is no name raises UnicodeError
        raise UpstreamError(_connect_kind(error), f"{address.netloc}: {_words(error)}") from error
    return connection


async def _shake_hands(link: _Link, timeouts: Timeouts, where: str) -> WebsocketsConnection | WebSocketRefusal:
    try:
        async with asyncio.timeout(timeouts.first_byte):
            await link.handshake(user_agent_header=None)
    except InvalidStatus as refusal:
        return _refusal(link, refusal.response, where)
    except (InvalidHandshake, ConnectionClosed, OSError) as error:
        raise UpstreamError(_handshake_kind(error), f"{where}: {_words(error)}") from error
    if link.response is None:
        raise AssertionError("a handshake that did not fail has a response")
    link.watch()
    return WebsocketsConnection(link, link.response)


def _refusal(link: _Link, response: Response, where: str) -> WebSocketRefusal:
    link.transport.abort()
    if response.status_code < 200:
        raise UpstreamError(ErrorKind.PROTOCOL, f"{where} answered a handshake with status {response.status_code}")
    return WebSocketRefusal(response.status_code, _pairs(response), bytes(response.body))


def _offered(headers: Headers) -> list[str]:
    """The sub-protocols among which the instance may choose."""
    values = (value.decode("latin-1") for name, value in headers if name.lower() == b"sec-websocket-protocol")
    return [offered for value in values for part in value.split(",") if (offered := part.strip())]


def _pairs(response: Response) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.raw_items()]


def _end(closed: ConnectionClosed) -> Close:
    if closed.rcvd is not None and closed.rcvd_then_sent is not False:
        return to_pass_on(closed.rcvd.code, closed.rcvd.reason)
    if closed.sent is not None:  # the instance broke a rule: a message too large, text that is no text, a wrong code
        return to_pass_on(closed.sent.code, closed.sent.reason)
    return WENT_AWAY


def _connect_kind(error: Exception) -> ErrorKind:
    if isinstance(error, TimeoutError):
        return ErrorKind.CONNECT_TIMEOUT
    return ErrorKind.TLS if isinstance(error, ssl.SSLError) else ErrorKind.CONNECT_REFUSED


def _handshake_kind(error: Exception) -> ErrorKind:
    if isinstance(error, TimeoutError):
        return ErrorKind.FIRST_BYTE_TIMEOUT
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError):
        return ErrorKind.RESET
    return ErrorKind.PROTOCOL if isinstance(error, InvalidHandshake) else ErrorKind.RESET


def _words(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__
