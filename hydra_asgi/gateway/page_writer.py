"""Sends the pieces of a page in document order, as soon as each is there, and holds back no more than a bound.

One task sends; the app waits for it. So there is never a second sender, order is the queue's, and the server's
back-pressure reaches the app.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from hydra_asgi.gateway.fragment_slot import FragmentSlot, Piece

__all__ = ["END", "Message", "PageWriter", "Send", "body_message"]

Message = dict[str, Any]
Send = Callable[[Any], Awaitable[None]]

_MESSAGE_BYTES: Final = 65536
"""Pieces that are ready together leave in one message, up to about this size."""


END: Final[Message] = {"type": "http.response.body", "body": b"", "more_body": False}
"""Queued behind the last piece; leaves together with what is ready in front of it."""


def body_message(pieces: Iterable[bytes], *, more: bool) -> Message:
    """One message for these pieces."""
    return {"type": "http.response.body", "body": b"".join(pieces), "more_body": more}


class PageWriter:
    """The way out for one page that has fragments.

    Args:
        send: the server's.
        max_held: how many bytes may wait behind an open fragment before the app has to wait too.
        group: owns the sending task.
        on_failure: called when the server's `send` has raised.
    """

    def __init__(self, send: Send, *, max_held: int, group: asyncio.TaskGroup, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._send = send
        self._max_held = max_held
        self._queue: deque[Piece | Message] = deque()
        self._held = 0
        self._work = asyncio.Event()
        self._moved = asyncio.Event()
        self._sending = False
        self._failure: Exception | None = None
        self._gone = False
        self._task = group.create_task(self._run())

    async def write(self, pieces: Iterable[Piece | Message], *, flush: bool = False) -> None:
        """Queue pieces; returns when the page may go on: what is ready is sent, what waits is within the bound.

        Args:
            pieces: in document order; a whole message goes out in its place.
            flush: wait until everything is sent.

        Raises:
            Exception: whatever the server's `send` raised, unchanged.
        """
        for piece in pieces:
            self._queue.append(piece)
            self._held += len(piece) if isinstance(piece, bytes) else 0
        self._work.set()
        while not self._gone and self._failure is None and self._must_wait(flush=flush):
            self._moved.clear()
            await self._moved.wait()
        if self._failure is not None:
            raise self._failure

    def changed(self) -> None:
        """A slot got its pieces: perhaps there is something to send."""
        self._work.set()

    def stop(self) -> None:
        """Send nothing more."""
        self._gone = True
        self._queue.clear()
        self._task.cancel()
        self._moved.set()

    def _must_wait(self, *, flush: bool) -> bool:
        if self._sending or self._work.is_set():
            return True
        return bool(self._queue) if flush else self._held > self._max_held

    async def _run(self) -> None:
        try:
            while True:
                await self._work.wait()
                self._work.clear()
                self._sending = True
                while (message := self._next()) is not None:
                    await self._send(message)
                self._sending = False
                self._moved.set()
        except Exception as error:
            self._failure = error
            self._on_failure()
            self._moved.set()

    def _next(self) -> Message | None:
        """The next message that can leave, made of everything that is ready."""
        ready: list[bytes] = []
        size = 0
        while self._queue and size < _MESSAGE_BYTES:
            piece = self._queue[0]
            if isinstance(piece, FragmentSlot):
                if piece.pieces is None:
                    break
                self._fill(piece.pieces)
            elif isinstance(piece, bytes):
                ready.append(piece)
                size += len(piece)
                self._queue.popleft()
            elif size and piece is not END:
                break
            else:
                self._held -= size
                self._queue.popleft()
                return body_message(ready, more=False) if piece is END else piece
        self._held -= size
        return body_message(ready, more=True) if size else None

    def _fill(self, pieces: list[Piece]) -> None:
        self._queue.popleft()
        self._queue.extendleft(reversed(pieces))
        self._held += sum(len(piece) for piece in pieces if isinstance(piece, bytes))
