"""Both ends of a forwarded WebSocket, for tests: instances with prepared answers, and a client that speaks ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from types import TracebackType
from typing import Any, Self

from hydra_asgi.core.close_codes import Close
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers
from hydra_asgi.websocket_ports import Message, WebSocketRefusal, WebSocketRequest

__all__ = ["FakeConnection", "FakeWebSocketUpstream", "SocketClient", "socket_scope"]


class FakeConnection:
    """An instance that says what it is told, in order.

    Attributes:
        taken: how many messages were received of it.
        sent: the messages it got.
        closes: how it was closed.
        is_open: it was handed out and not left.
        reads: while cleared, the instance takes no messages.
        answers_close: while cleared, it does not answer a close.
    """

    def __init__(
        self, *messages: Message | Close, subprotocol: str | None = None, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self.subprotocol = subprotocol
        self.headers: Headers = list(headers)
        self._says: asyncio.Queue[Message | Close] = asyncio.Queue()
        for message in messages:
            self.say(message)
        self.taken = 0
        self.sent: list[Message] = []
        self.closes: list[Close] = []
        self.is_open = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.answers_close = asyncio.Event()
        self.answers_close.set()

    def say(self, message: Message | Close) -> None:
        self._says.put_nowait(message)

    async def receive(self) -> Message | Close:
        message = await self._says.get()
        self.taken += 1
        return message

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)

    async def close(self, close: Close) -> None:
        self.closes.append(close)
        await self.answers_close.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_open = False


Answer = FakeConnection | WebSocketRefusal
Prepared = Answer | UpstreamError | Callable[[WebSocketRequest], Answer | Awaitable[Answer]]


class FakeWebSocketUpstream:
    """Answers handshakes from a list, in order; the last entry answers all that follow."""

    def __init__(self, *answers: Prepared) -> None:
        self._answers = list(answers)
        self.requests: list[WebSocketRequest] = []
        self.connections: list[FakeConnection] = []

    @property
    def open_connections(self) -> int:
        return sum(connection.is_open for connection in self.connections)

    async def connect(self, request: WebSocketRequest) -> Answer:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, UpstreamError):
            raise answer
        if not isinstance(answer, FakeConnection | WebSocketRefusal):
            decided = answer(request)
            answer = await decided if isawaitable(decided) else decided
        if isinstance(answer, FakeConnection):
            answer.is_open = True
            self.connections.append(answer)
        return answer


def socket_scope(
    path: str = "/socket",
    *,
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"site.test"),),
    query: bytes = b"",
    scheme: str = "ws",
    client: Any = ("127.0.0.1", 50000),
    extensions: Sequence[str] = ("websocket.http.response",),
    subprotocols: Sequence[str] = (),
) -> dict[str, Any]:
    """A small WebSocket scope."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": client,
        "server": ("127.0.0.1", 8000),
        "subprotocols": list(subprotocols),
        "extensions": {name: {} for name in extensions},
        "state": {},
    }


class SocketClient:
    """A client as its server shows it to an app.

    Attributes:
        messages: what it was sent.
        reads: while cleared, it takes nothing.
        is_gone: sending to it fails.
    """

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self._events.put_nowait({"type": "websocket.connect"})
        for event in events:
            self._events.put_nowait(event)
        self.messages: list[dict[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.is_gone = False

    def say(self, message: Message) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self._events.put_nowait({"type": "websocket.receive", kind: message})

    def leave(self, code: int | None = 1000, reason: str | None = "") -> None:
        self._events.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def fail(self, error: Exception) -> None:
        self._events.put_nowait(error)

    async def receive(self) -> dict[str, Any]:
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        if self.is_gone:
            raise OSError("the client is gone")
        self.messages.append(message)

    @property
    def heard(self) -> list[Message]:
        """The messages of the other side."""
        sent = (message for message in self.messages if message["type"] == "websocket.send")
        return [message["bytes"] if message.get("text") is None else message["text"] for message in sent]

    @property
    def closed(self) -> tuple[int, str] | None:
        """How it was closed."""
        last = self.messages[-1] if self.messages else {"type": ""}
        return (last["code"], last["reason"]) if last["type"] == "websocket.close" else None

    @property
    def is_accepted(self) -> bool:
        return any(message["type"] == "websocket.accept" for message in self.messages)

    @property
    def status(self) -> int:
        """The status of the response it was denied with."""
        start = next(message for message in self.messages if message["type"] == "websocket.http.response.start")
        return int(start["status"])

    def header(self, name: bytes) -> list[bytes]:
        """The fields of that name in what answered the handshake."""
        return [value for key, value in self.messages[0]["headers"] if key == name]

    @property
    def body(self) -> bytes:
        """The body of the response it was denied with."""
        return b"".join(m["body"] for m in self.messages if m["type"] == "websocket.http.response.body")
