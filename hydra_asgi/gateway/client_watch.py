"""Notices that a client has gone away while its request is being worked on."""

import asyncio
from types import TracebackType
from typing import Any, Self

from asgiref.typing import ASGIReceiveCallable

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.lookout import Lookout

__all__ = ["ClientWatch"]

_LEAVINGS = frozenset({"http.disconnect", "websocket.disconnect"})


class ClientWatch:
    """A context that ends with `UpstreamError(CLIENT_GONE)` when the client goes away inside it.

    A server tells of a client's leaving through `receive` only, so somebody has to wait there; and nobody else may, so
    the watch begins when the request's body has been read. Whatever the context awaits is cancelled, as by
    `asyncio.timeout`. When the context is left, nothing of the watch is left.

    Args:
        receive: the request's channel.
        lookout: lets the watch begin a moment later, when it has looked twice: nearly every request is over by then,
            and spares the task that would have to wait.
    """

    __slots__ = ("_cancelling", "_failure", "_is_gone", "_is_over", "_lookout", "_owner", "_receive", "_was_seen",
                 "_watcher")  # fmt: skip

    def __init__(self, receive: ASGIReceiveCallable, lookout: Lookout | None = None) -> None:
        self._receive = receive
        self._lookout = lookout
        self._was_seen = False
        self._owner: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._is_over = False
        self._is_gone = False
        self._failure: Exception | None = None

    def begin(self) -> None:
        """Start to wait for the client's leaving; body messages that come are dropped. Only once."""
        if self._watcher is not None or self._is_over:
            return
        if self._lookout is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
        else:
            self._lookout.add(self)

    def look(self, now: float) -> None:
        """Be seen by the lookout."""
        if self._was_seen:
            self._let_go()
            self.begin()
        self._was_seen = True

    def end(self) -> None:
        """Stop to wait, because the last message is about to be sent: servers call that a leaving, too."""
        self._is_over = True
        self._let_go()
        if self._watcher is not None:
            self._watcher.cancel()

    @property
    def owner(self) -> asyncio.Task[Any] | None:
        """The task that entered the context."""
        return self._owner

    def enter(self, owner: asyncio.Task[Any], cancelling: int) -> None:
        """Enter the context for a task.

        Args:
            owner: the task, which is cancelled when the client leaves.
            cancelling: how often others had asked it to end when its work began.
        """
        self._owner = owner
        self._cancelling = cancelling

    async def __aenter__(self) -> Self:
        owner = asyncio.current_task()
        if owner is None:
            raise AssertionError("coroutines of asyncio run in tasks")
        self.enter(owner, owner.cancelling())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        if self._watcher is not None:
            await _until_done(self._watcher)
        was_cancelled_by_us = self._is_gone and self._owner is not None and self._owner.uncancel() <= self._cancelling
        if was_cancelled_by_us and kind is asyncio.CancelledError:
            raise self._failure or UpstreamError(ErrorKind.CLIENT_GONE, "the client went away") from None

    def _let_go(self) -> None:
        lookout, self._lookout = self._lookout, None
        if lookout is not None:
            lookout.discard(self)

    async def _watch(self) -> None:
        try:
            while (await self._receive())["type"] not in _LEAVINGS:
                pass
        except Exception as failure:
            self._failure = failure
        self._end_the_work()

    def _end_the_work(self) -> None:
        if not self._is_over and self._owner is not None:
            self._is_gone = True
            self._owner.cancel()


async def _until_done(cancelled: asyncio.Task[None]) -> None:
    if cancelled.done():
        return
    await asyncio.sleep(0)  # in nearly every case the cancellation needs one turn of the loop, which is cheap
    if not cancelled.done():
        await asyncio.wait((cancelled,))
