"""A client that takes nothing of its response does not keep its place for ever."""

import asyncio
from types import TracebackType
from typing import Any, Self

from asgiref.typing import ASGISendCallable, HTTPResponseBodyEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.lookout import Lookout

__all__ = ["PatientSend"]


class PatientSend:
    """A `send` for pieces of a body that fails with `UpstreamError(CLIENT_SLOW)` when one takes too long; a context.

    Servers let `send` wait while the client's side of the connection is full. Only that time counts, not the time
    between two pieces. The lookout sees now and then how long the present piece has taken, so a piece costs two
    assignments.

    Args:
        send: the request's channel.
        seconds: how long a piece may take at least; it is noticed when the lookout looks next. None waits for ever.
        lookout: looks.
        owner: the task that sends, where it is known already.
    """

    __slots__ = (
        "_cancelling",
        "_has_begun",
        "_is_late",
        "_is_sending",
        "_lookout",
        "_owner",
        "_seconds",
        "_send",
        "_since",
    )

    def __init__(
        self,
        send: ASGISendCallable,
        seconds: float | None,
        lookout: Lookout,
        owner: asyncio.Task[Any] | None = None,
    ) -> None:
        self._send = send
        self._seconds = seconds
        self._lookout = lookout
        self._is_late = self._is_sending = False
        self._since: float | None = None
        self._has_begun = False
        self._owner = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._has_begun:
            self._lookout.discard(self)

    async def __call__(self, piece: bytes, *, more: bool = True) -> None:
        """Send one piece; `more` says whether another one follows."""
        message: HTTPResponseBodyEvent = {"type": "http.response.body", "body": piece, "more_body": more}
        if not self._has_begun:
            if self._seconds is None:
                return await self._send(message)
            self._begin()
        self._since = None
        self._is_sending = True
        try:
            await self._send(message)
        except asyncio.CancelledError:
            if self._was_cut():
                detail = f"the client took nothing of its response for {self._seconds:g} s"
                raise UpstreamError(ErrorKind.CLIENT_SLOW, detail) from None
            raise
        self._is_sending = False
        return None

    def look(self, now: float) -> None:
        """Be seen by the lookout: end a piece that takes too long."""
        if not self._is_sending or self._is_late or self._owner is None or self._seconds is None:
            return
        if self._since is None:
            self._since = now
        elif now - self._since >= self._seconds:
            self._is_late = True
            self._owner.cancel()

    def _begin(self) -> None:
        owner = self._owner or asyncio.current_task()
        if owner is None:
            raise AssertionError("coroutines of asyncio run in tasks")
        self._has_begun = True
        self._owner = owner
        self._cancelling = owner.cancelling()
        self._lookout.add(self)

    def _was_cut(self) -> bool:
        """Whether a cancellation is ours; it is taken back then."""
        return self._is_late and self._owner is not None and self._owner.uncancel() <= self._cancelling
