"""Looks now and then at everything that may take too long, with one timer for all of it.

A timer or a task of its own for each request would cost more than most of them take. What is over before anybody has
looked costs two operations on a set.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["PERIOD_SECONDS", "Lookout", "Watched"]

PERIOD_SECONDS: Final = 0.05
"""Between two looks: longer than a usual request takes, and too short to be noticed by anybody."""


class Watched(Protocol):
    """What may take too long."""

    def look(self, now: float) -> None:
        """See how it is; `now` is the loop's time. Must not raise."""
        ...


class Lookout:
    """Everything that is watched in one event loop at a time.

    Args:
        seconds: between two looks.

    Attributes:
        discard: looks at something no longer; nothing happens if nobody does.
    """

    def __init__(self, seconds: float = PERIOD_SECONDS) -> None:
        self._seconds = seconds
        self._watched: set[Watched] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.discard: Callable[[Watched], None] = self._watched.discard

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, watched: Watched) -> None:
        """Look at this, too, from now on."""
        self._watched.add(watched)
        # A loop that was closed took its timer with it.
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
            self._wait(self._loop)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(self._seconds, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for watched in tuple(self._watched):
            watched.look(now)
        if self._watched:
            self._wait(loop)
        else:
            self._loop = None
