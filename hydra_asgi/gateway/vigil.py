"""Watches one request on its short way: that its client stays, and that it takes its answer."""

import asyncio
from typing import Any

from asgiref.typing import ASGIReceiveCallable

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.client_watch import ClientWatch
from hydra_asgi.gateway.lookout import Lookout

__all__ = ["Vigil"]


class Vigil:
    """What `ClientWatch` and `PatientSend` do, for a request that is nearly always over before anybody looks.

    While the instance works, a second look begins to wait for the client's leaving. While the client is answered, the
    looks measure how long it takes. Either may cancel the task; `meaning` says afterwards what a cancellation was.
    It is added to the lookout when the request's channel is free, and `end` is called at last.

    Attributes:
        receive: the request's channel.
        seconds: how long the client may take nothing of its answer; None waits for ever.
        lookout: looks.
        owner: the task that serves the request.
        cancelling: how often others had asked it to end when it began.
        watch: waits for the client's leaving; None as long as nobody had to.
        is_answering: the answer is being sent, to its end.
    """

    # Class attributes instead of slots: what nobody changes costs nothing when one is made.
    receive: ASGIReceiveCallable
    seconds: float | None
    lookout: Lookout
    owner: asyncio.Task[Any]
    watch: ClientWatch | None = None
    is_answering = False
    _was_seen = False
    _is_late = False
    _is_over = False
    _since: float | None = None
    cancelling = 0

    def begin(self) -> None:
        """Watch from now on, because the request's channel is free."""
        if not self._is_over:
            self.lookout.add(self)

    def end(self) -> None:
        """Watch no longer."""
        self._is_over = True
        self.lookout.discard(self)

    def look(self, now: float) -> None:
        """Be seen by the lookout."""
        if self.is_answering:
            self._measure(now)
        elif not self._was_seen:
            self._was_seen = True
        elif self.watch is None:
            self.watch = ClientWatch(self.receive)
            self.watch.enter(self.owner, self.cancelling)
            self.watch.begin()

    async def meaning(self, error: BaseException) -> BaseException:
        """What an error means that ended the work: a cancellation by this watch is taken back, and has a name."""
        self.end()
        if self.watch is not None:
            try:
                await self.watch.__aexit__(type(error), error, None)
            except Exception as found:
                return found
        if self._is_late and self.owner.uncancel() <= self.cancelling and isinstance(error, asyncio.CancelledError):
            detail = f"the client took nothing of its response for {self.seconds:g} s"
            return UpstreamError(ErrorKind.CLIENT_SLOW, detail)
        return error

    def _measure(self, now: float) -> None:
        if self._since is None:
            self._since = now
        elif self.seconds is not None and not self._is_late and now - self._since >= self.seconds:
            self._is_late = True
            self.owner.cancel()
