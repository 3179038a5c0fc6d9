"""A client that takes nothing of its response does not keep its place for ever."""

import asyncio
from types import TracebackType
from typing import Self

from asgiref.typing import ASGISendCallable, HTTPResponseBodyEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError

__all__ = ["PatientSend"]


class PatientSend:
    """A `send` for pieces of a body that fails with `UpstreamError(CLIENT_SLOW)` when one takes too long; a context.

    Servers let `send` wait while the client's side of the connection is full. Only that time counts, not the time
    between two pieces. One timer serves a whole response and looks now and then how long the present piece has taken,
    so a piece costs two assignments.

    Args:
        send: the request's channel.
        seconds: how long a piece may take at least; it is noticed after twice that at most. None waits for ever.
    """

    __slots__ = ("_cancelling", "_is_late", "_loop", "_owner", "_seconds", "_send", "_since", "_timer")

    def __init__(self, send: ASGISendCallable, seconds: float | None) -> None:
        self._send = send
        self._seconds = seconds
        self._is_late = False
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def __call__(self, piece: bytes, *, more: bool = True) -> None:
        """Send one piece; `more` says whether another one follows."""
        message: HTTPResponseBodyEvent = {"type": "http.response.body", "body": piece, "more_body": more}
        if self._timer is None:
            if self._seconds is None:
                return await self._send(message)
            self._begin(self._seconds)
        self._since = self._loop.time()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            if self._is_late and self._owner.uncancel() <= self._cancelling:
                detail = f"the client took nothing of its response for {self._seconds:g} s"
                raise UpstreamError(ErrorKind.CLIENT_SLOW, detail) from None
            raise
        self._since = None
        return None

    def _begin(self, seconds: float) -> None:
        owner = asyncio.current_task()
        if owner is None:
            raise AssertionError("coroutines of asyncio run in tasks")
        self._owner = owner
        self._cancelling = owner.cancelling()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self._look, seconds)

    def _look(self, seconds: float) -> None:
        if self._since is not None and self._loop.time() - self._since >= seconds:
            self._is_late = True
            self._owner.cancel()
        else:
            self._timer = self._loop.call_later(seconds, self._look, seconds)
