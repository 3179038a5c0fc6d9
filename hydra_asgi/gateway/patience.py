"""How long a client may take for one step: to give a piece of its request, or to take one of its answer."""

import asyncio
from typing import Any

from hydra_asgi.gateway.lookout import Lookout

__all__ = ["Patience"]


class Patience:
    """Ends a step of a client that takes too long, by cancelling the task that waits for it.

    Whoever inherits calls `_begin` when a step begins, tells the lookout to `discard` it when nobody waits any more,
    and asks `_was_cut` what a cancellation meant. Only the time of steps counts, and a timer of the loop for each of
    them would cost more than most of them take.

    Args:
        seconds: how long a step may take at least; it is noticed when the lookout looks next. None waits for ever.
        lookout: looks.
        owner: the task that waits; where nobody says, it is the one that begins the first step.
    """

    __slots__ = ("_cancelling", "_is_late", "_lookout", "_owner", "_seconds", "_since")

    def __init__(self, seconds: float | None, lookout: Lookout, owner: asyncio.Task[Any] | None = None) -> None:
        self._seconds = seconds
        self._lookout = lookout
        self._owner = owner
        self._is_late = False
        self._since: float | None = None
        self._cancelling = 0

    def look(self, now: float) -> None:
        """Be seen by the lookout: end a step that takes too long."""
        if self._is_late or self._owner is None or self._seconds is None:
            return
        if self._since is None:
            self._since = now
        elif now - self._since >= self._seconds:
            self._is_late = True
            self._owner.cancel()

    def _begin(self) -> None:
        """A step begins, in the present task."""
        owner = self._owner or asyncio.current_task()
        if owner is None:
            raise AssertionError("coroutines of asyncio run in tasks")
        self._owner = owner
        self._cancelling = owner.cancelling()
        self._since = None
        self._lookout.add(self)

    def _was_cut(self) -> bool:
        """Whether a cancellation is ours; it is taken back then."""
        return self._is_late and self._owner is not None and self._owner.uncancel() <= self._cancelling
