"""What we need from a WebSocket client, as few verbs as possible; `ports` says how ports are meant."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from hydra_asgi.core.close_codes import Close
from hydra_asgi.core.instance import Address
from hydra_asgi.ports import Headers, Timeouts

__all__ = ["Message", "WebSocketConnection", "WebSocketRefusal", "WebSocketRequest", "WebSocketUpstream"]

Message = str | bytes
"""A whole message: text or binary, never a fragment."""


@dataclass(frozen=True, slots=True)
class WebSocketRequest:
    """One opening handshake with one instance.

    Attributes:
        address: who is asked; connections go to `address.pinned` when it is set.
        target: the exact request target, base path included, visible ASCII only; never decoded or re-encoded.
        headers: sent in this order. Must hold `host`; the fields of the upgrade itself are added and may not be here.
        timeouts: `connect`, and `first_byte` until the answer to the handshake.
    """

    address: Address
    target: bytes
    headers: Headers
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class WebSocketRefusal:
    """The instance answered the handshake with a response, which is whole: status 200 to 599, fields, body."""

    status: int
    headers: Headers
    body: bytes = b""


class WebSocketConnection(Protocol):
    """An open WebSocket. Leave it as a context manager: what is still open then is cut off."""

    subprotocol: str | None
    headers: Headers
    """The fields with which the instance accepted."""

    async def receive(self) -> Message | Close:
        """The next message, or how the connection ended: a close frame, a break or a breach of the protocol.

        What is not received makes the instance wait. After the end it returns the end again.
        """
        ...

    async def send(self, message: Message) -> None:
        """Send a message, waiting while the instance does not take it. After the end it is dropped in silence."""
        ...

    async def close(self, close: Close) -> None:
        """Close, and wait a short time for the instance's answer. After the end it does nothing."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WebSocketUpstream(Protocol):
    """Opens WebSockets to instances. Follows no redirects, keeps no cookies, retries nothing."""

    async def connect(self, request: WebSocketRequest) -> WebSocketConnection | WebSocketRefusal:
        """Connect, and return when the instance has answered.

        Raises:
            UpstreamError: there was no answer that could be used: one of the kinds up to the first byte.
        """
        ...
