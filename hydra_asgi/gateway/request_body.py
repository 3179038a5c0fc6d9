"""A request's body on its way to an instance, read from the client only as fast as the instance takes it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from asgiref.typing import ASGIReceiveCallable

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.request_check import declared_length
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.patience import Patience

__all__ = ["EXPECTING_A_BODY", "MAX_EMPTY_PIECES", "RequestBody"]

EXPECTING_A_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose empty body is said with a length of 0 (RFC 9110 section 8.6)."""

MAX_EMPTY_PIECES = 16
"""Pieces without a byte that are passed over to see whether a stream has a body; servers send one or two."""


class RequestBody(Patience):
    """The body of one request.

    Args:
        scope: says by its framing fields whether there is a body, and how long it is.
        receive: the request's channel.
        on_end: called once when the channel is free again, because the body was read or given up.
        idle: seconds that the client may take for its next piece; None waits for ever.
        lookout: sees to that; by default one of its own.
        owner: the task that reads, where it is known already.

    Attributes:
        length: the declared length of a streamed body in bytes; None when it was not declared.
        is_touched: a piece was asked for, so the body cannot be sent a second time.
        taken: bytes of it that were read so far.
        is_streamed: it comes in pieces.
    """

    __slots__ = ("_first", "_is_open", "_is_read", "_on_end", "_receive", "_whole", "is_streamed", "is_touched",
                 "length", "taken")  # fmt: skip

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: ASGIReceiveCallable,
        on_end: Callable[[], None],
        idle: float | None = None,
        lookout: Lookout | None = None,
        owner: asyncio.Task[Any] | None = None,
    ) -> None:
        super().__init__(idle, Lookout() if lookout is None else lookout, owner)
        headers = scope["headers"]
        names = [name for name, _ in headers]
        self.length = declared_length(headers) if b"content-length" in names else None
        self.is_touched = False
        self.taken = 0
        self.is_streamed = bool(self.length) or b"transfer-encoding" in names
        self._whole = b"" if scope["method"] in EXPECTING_A_BODY or self.length == 0 else None
        self._is_open = self.length is None and not str(scope.get("http_version", "1.1")).startswith("1")
        self._receive = receive
        self._on_end = on_end
        self._first: Any = None
        self._is_read = False

    def call_on_end(self, on_end: Callable[[], None]) -> None:
        """Tell somebody else that the channel is free; at once where it is so already."""
        if self._is_read:
            on_end()
        else:
            self._on_end = on_end

    async def begin(self) -> None:
        """Find out whether there is a body. Only HTTP/2 and later need to look: a stream may end with its headers."""
        if not self.has_begun():
            await self._look()
            self.has_begun()

    async def look_ahead(self) -> None:
        """Wait for the first piece of a stream; one that is all of the body is sent as a whole, and can be sent again.

        Raises:
            UpstreamError: CLIENT_GONE or CLIENT_SLOW.
        """
        message = await self._next()
        piece = message.get("body", b"")
        if message.get("more_body", False) or len(piece) != self.length:
            self._first = message
            return
        self.is_streamed = False
        self._whole = piece
        self.taken = len(piece)
        self._end()

    def has_begun(self) -> bool:
        """Do what `begin` does where nothing has to be awaited for that; False: something has to."""
        if self._is_open:
            return False
        if not self.is_streamed:
            self._end()
        return True

    async def _look(self) -> None:
        self._is_open = False
        for _ in range(MAX_EMPTY_PIECES):
            message = await self._next()
            # Some servers tell of a stream's end in a message of its own, behind one that says nothing.
            if message.get("body") or not message.get("more_body", False):
                break
        if message.get("more_body", False):
            self._first = message
            self.is_streamed = True
        else:
            self._whole = message.get("body", b"") or self._whole

    @property
    def is_empty(self) -> bool:
        """There is nothing in it, so that the request may be sent again."""
        return not self.is_streamed and not self._whole

    def pieces(self) -> AsyncIterator[bytes] | bytes | None:
        """The body for one attempt: None for none, bytes for a whole one, else a stream.

        Raises:
            UpstreamError: CLIENT_GONE or CLIENT_SLOW while the stream is read.
        """
        return self._stream() if self.is_streamed else self._whole

    def handed_over(self) -> ASGIReceiveCallable:
        """The request's channel as if nothing had been read from it, for an app that takes the request instead.

        Only while `is_touched` is False and nobody else reads.
        """
        if self.is_streamed and self._first is None:
            return self._receive
        first: Any = self._first or {"type": "http.request", "body": self._whole or b"", "more_body": False}
        waiting = [first]

        async def receive() -> Any:
            return waiting.pop() if waiting else await self._receive()

        return receive

    async def _stream(self) -> AsyncIterator[bytes]:
        self.is_touched = True
        try:
            while True:
                message = self._first or await self._next()
                self._first = None
                if piece := message.get("body", b""):
                    self.taken += len(piece)
                    yield piece
                if not message.get("more_body", False):
                    break
        finally:
            self._end()

    def _end(self) -> None:
        self._is_read = True
        # Whoever is told mostly holds this body, and a circle of objects would be left to the garbage collector.
        on_end, self._on_end = self._on_end, _nothing
        on_end()

    async def _next(self) -> Any:
        if self._seconds is not None:
            self._begin()
        try:
            message: Any = await self._receive()
        except asyncio.CancelledError:
            if self._was_cut():
                detail = f"nothing of the request for {self._seconds:g} s"
                raise UpstreamError(ErrorKind.CLIENT_SLOW, detail) from None
            raise
        finally:
            self._lookout.discard(self)
        if message["type"] == "http.disconnect":
            raise UpstreamError(ErrorKind.CLIENT_GONE, "the client went away before the end of its request")
        return message


def _nothing() -> None:
    """Nobody waits for the request's channel any more."""
