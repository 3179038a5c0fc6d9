"""Places for requests: how many are forwarded at a time, and the short wait for those above it."""

import asyncio
import math
import sys
from collections.abc import Callable
from dataclasses import replace

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.health.concurrency import Limits, Places
from hydra_asgi.errors import UpstreamError

if sys.platform == "win32":  # pragma: no cover -- counts no files

    def _files() -> float:
        return math.inf

else:
    import resource

    def _files() -> float:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return math.inf if files == resource.RLIM_INFINITY else files


__all__ = ["ServiceLimits", "default_limits", "let_in"]

SPARE_FILES = 64
"""Files kept for listeners, the store, logs, and connections that only carry an answer of ours."""

FEWEST = 16
"""As many requests are forwarded at a time however few files there are."""


def default_limits() -> Limits:
    """`Limits` with no more places than there are files: a forwarded request needs one for the client, one for us."""
    usual = Limits()
    total = int(min(usual.total, max(FEWEST, (_files() - SPARE_FILES) / 2)))
    return replace(usual, total=total, service=min(usual.service, total))


class ServiceLimits:
    """Lets requests in, holds them for a moment, or sends them away.

    Args:
        limits: the sizes; by default as many as the process has files for.

    Attributes:
        take: takes a place of a service if there is one, which has to be given back by `leave`; False: `enter` waits
            for one.
        give_back: gives a place back; whoever calls it in the place of `leave` has to `let_in` whom it names.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = default_limits() if limits is None else limits
        self._places: Places[asyncio.Future[None]] = Places(self.limits)
        self.take: Callable[[str], bool] = self._places.take
        self.give_back: Callable[[str], asyncio.Future[None] | None] = self._places.leave

    def taken(self, service: str) -> int:
        """How many requests to a service are worked on now."""
        return self._places.taken(service)

    def waiting(self, service: str) -> int:
        """How many requests to a service wait for a place now."""
        return self._places.waiting(service)

    async def enter(self, service: str) -> None:
        """Take a place; it has to be given back by `leave`.

        Raises:
            UpstreamError: OVERLOADED, no place became free in time, or the queue is full.
        """
        if self._places.take(service):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._places.queue(service, turn):
            raise UpstreamError(ErrorKind.OVERLOADED, f"{self.limits.queue} requests wait for a place already")
        await self._wait(service, turn)

    def leave(self, service: str) -> None:
        """Give a place back."""
        let_in(self._places.leave(service))

    def settle(self, service: str) -> bool:
        """Give a place of a service back for a request that lasts, and is not over; `end_lasting` ends it then.

        A stream of events would else keep its place for as long as a page is open somewhere. False: there are too many
        such, and the request keeps its place.
        """
        if not self._places.can_settle:
            return False
        let_in(self._places.settle(service))
        return True

    def end_lasting(self) -> None:
        """A request that was settled is over."""
        let_in(self._places.end_lasting())

    async def _wait(self, service: str, turn: asyncio.Future[None]) -> None:
        seconds = self.limits.queue_seconds
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            # A place that came in the same moment is taken all the same.
            if self._places.give_up(service, turn):
                raise UpstreamError(ErrorKind.OVERLOADED, f"no place became free within {seconds:g} s") from None
        except BaseException:
            if not self._places.give_up(service, turn):
                self.leave(service)
            raise


def let_in(turn: asyncio.Future[None] | None) -> None:
    """Wake whoever has a place now, if somebody has."""
    if turn is not None and not turn.done():
        turn.set_result(None)
