"""Carries messages between a client's WebSocket and an instance's until one side ends, and then ends the other.

Two tasks, one per direction, and no queue: a message is taken when the one before it was handed on, so each side waits
for the other. The side that ends first decides; whatever is on its way to it is dropped.

What servers tell of a client's end differs. Uvicorn says code and reason, but 1005 for a client that vanished;
hypercorn says 1006 for every end; granian says the code and no reason, and 1005 for a client that vanished. None of
them notices a client that leaves while nobody receives.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent

from hydra_asgi.core.close_codes import RESTARTING, TOO_LARGE, WENT_AWAY, Close, to_pass_on
from hydra_asgi.websocket_ports import Message, WebSocketConnection

__all__ = ["CLOSE_SECONDS", "MAX_MESSAGE_BYTES", "WebSocketRelay"]

MAX_MESSAGE_BYTES = 16 * 2**20
"""What uvicorn and hypercorn take by default; granian takes more, so the limit is kept here too."""

CLOSE_SECONDS = 1.0
"""How long each side may take to be closed; both together stay below 2 s."""


@dataclass(frozen=True, slots=True)
class _End:
    """What is left to do when one direction has ended: how to close each side, None for one that is closed."""

    client: Close | None
    service: Close | None


class WebSocketRelay:
    """One forwarded WebSocket, both sides of which have accepted.

    Args:
        receive: the client's channel.
        send: the client's channel.
        connection: the instance's side.
        max_message: bytes of the largest message taken of a client.
    """

    def __init__(
        self,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        connection: WebSocketConnection,
        *,
        max_message: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._receive = receive
        self._send = send
        self._connection = connection
        self._max_message = max_message
        self._directions: tuple[asyncio.Task[_End], ...] = ()

    async def run(self) -> None:
        """Carry messages until both sides are closed."""
        end = await self._first_end()
        if end.client is not None:
            await self._within_bounds(self._close_client(end.client))
        if end.service is not None:
            await self._within_bounds(self._connection.close(end.service))

    def stop(self) -> None:
        """Let `run` close both sides now, with 1012."""
        for direction in self._directions:
            direction.cancel()

    async def _first_end(self) -> _End:
        try:
            async with asyncio.TaskGroup() as tasks:
                to_client = tasks.create_task(self._to_client())
                to_service = tasks.create_task(self._to_service())
                to_client.add_done_callback(lambda _: to_service.cancel())
                to_service.add_done_callback(lambda _: to_client.cancel())
                self._directions = (to_client, to_service)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        ended = (direction.result() for direction in self._directions if not direction.cancelled())
        return next(ended, _End(RESTARTING, RESTARTING))

    async def _to_client(self) -> _End:
        while not isinstance(message := await self._connection.receive(), Close):
            try:
                await self._send(_send_event(message))
            except OSError:  # ASGI 2.4: `send` raises it when the client is gone; `receive` knows how it went
                await asyncio.sleep(CLOSE_SECONDS)
                return _End(None, WENT_AWAY)
        return _End(message, None)

    async def _to_service(self) -> _End:
        while True:
            event: Any = await self._receive()
            if event["type"] == "websocket.disconnect":
                return _End(None, to_pass_on(event.get("code"), event.get("reason")))
            text = event.get("text")
            message: Message = (event.get("bytes") or b"") if text is None else text
            if _is_larger(message, self._max_message):
                return _End(TOO_LARGE, TOO_LARGE)
            await self._connection.send(message)

    async def _close_client(self, close: Close) -> None:
        await self._send({"type": "websocket.close", "code": close.asgi_code, "reason": close.reason})

    @staticmethod
    async def _within_bounds(closing: Any) -> None:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await closing


def _send_event(message: Message) -> ASGISendEvent:
    if isinstance(message, str):
        return {"type": "websocket.send", "text": message, "bytes": None}
    return {"type": "websocket.send", "bytes": message, "text": None}


def _is_larger(message: Message, limit: int) -> bool:
    if isinstance(message, bytes) or len(message) > limit or 4 * len(message) <= limit:
        return len(message) > limit
    return len(message.encode("utf-8", "surrogatepass")) > limit
