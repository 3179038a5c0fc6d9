"""One timer of the loop for all deadlines of a connection, one after another.

Setting a deadline only writes down a time as long as the loop's timer rings earlier; when it rings too early it is set
again. A connection that serves thousands of requests a second so touches the loop's timers a few times a minute.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

__all__ = ["Deadline"]

_TICK: Final = 0.002
"""uvloop keeps its time in whole milliseconds and may ring that much too early."""


class Deadline:
    """What happens when time runs out; at most one thing at a time.

    Attributes:
        expires: when, by the loop's clock. Setting it to infinity is the cheap way of calling nothing.
    """

    __slots__ = ("_act", "_handle", "_loop", "_rings", "expires")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._rings = inf
        self.expires = inf
        self._act: Callable[[], None] = _nothing

    def set(self, seconds: float | None, act: Callable[[], None]) -> None:
        """Call `act` in so many seconds, in the place of what was set before; None: never."""
        if seconds is None:
            self.expires = inf
            return
        self._act = act
        self.expires = expires = self._loop.time() + seconds
        if expires < self._rings:
            self._ring_at(expires)

    def close(self) -> None:
        """Call nothing, and let go of everything."""
        self.expires = self._rings = inf
        self._act = _nothing
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring_at(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._rings = when
        self._handle = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._rings = inf
        if self.expires > self._loop.time() + _TICK:
            if self.expires != inf:
                self._ring_at(self.expires)
            return
        self.expires = inf
        self._act()


def _nothing() -> None:
    """What happens when nothing was set."""
