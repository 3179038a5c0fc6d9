"""A client that takes nothing of its response does not keep its place for ever."""

import asyncio
from types import TracebackType
from typing import Any, Self

from asgiref.typing import ASGISendCallable, HTTPResponseBodyEvent

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.lookout import Lookout
from hydra_asgi.gateway.patience import Patience

__all__ = ["PatientSend"]


class PatientSend(Patience):
    """A `send` for pieces of a body that fails with `UpstreamError(CLIENT_SLOW)` when one takes too long; a context.

    Servers let `send` wait while the client's side of the connection is full. Only that time counts, not the time
    between two pieces. It is watched from the first piece to the end, so that a piece costs two assignments.

    Args:
        send: the request's channel.
        seconds: how long a piece may take at least; see `Patience`.
        lookout: looks.
        owner: the task that sends, where it is known already.
    """

    __slots__ = ("_has_begun", "_is_sending", "_send")

    def __init__(
        self,
        send: ASGISendCallable,
        seconds: float | None,
        lookout: Lookout,
        owner: asyncio.Task[Any] | None = None,
    ) -> None:
        super().__init__(seconds, lookout, owner)
        self._send = send
        self._is_sending = False
        self._has_begun = False

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
            self._has_begun = True
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
        if self._is_sending:
            super().look(now)
