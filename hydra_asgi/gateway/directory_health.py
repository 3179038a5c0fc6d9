"""How well a node knows the directory, and since when."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hydra_asgi.ports import Clock

__all__ = ["DirectoryHealth", "Health"]

_logger = logging.getLogger("hydra_asgi.directory")


REFUSED_SECONDS = 10.0
"""How long a refused change is held against a store: three beats of every living service come within it."""


@dataclass(frozen=True, slots=True)
class Health:
    """How well the directory is known.

    Attributes:
        status: `starting` until every living service had the time to announce itself; `degraded` while what is known
            may be out of date.
        why: one sentence; empty when all is well.
        since: when this status began, in seconds on the directory's clock.
    """

    status: Literal["starting", "ok", "degraded"]
    why: str
    since: float


class DirectoryHealth:
    """Keeps account of good and bad polls.

    Args:
        clock: seconds that only move forward.
        first_load_seconds: how long after the start a service may still announce itself; 0 for no such time.
        on_change: called when trouble begins and when it ends. Must not raise.
    """

    def __init__(self, clock: Clock, first_load_seconds: float, on_change: Callable[[], None] = lambda: None) -> None:
        self._clock = clock
        self._on_change = on_change
        self._first_load_seconds = first_load_seconds
        self._created = clock()
        self._started: float | None = None
        self._loaded: float | None = None
        self._confirmed = clock()
        self._trouble: Health | None = None
        self._is_recalled = False
        self._is_whole = False
        self._refused: Health | None = None
        self._refused_until = 0.0

    def start(self) -> None:
        """The first poll begins now. Saying it again changes nothing."""
        if self._started is None:
            self._started = self._clock()

    def recall(self) -> None:
        """What was known before the start is known again, so routes need not be announced first."""
        self._is_recalled = True

    def note_whole(self) -> None:
        """What the store lists was kept while we were away, so pages need not wait for anybody to announce himself."""
        self._is_whole = True

    def fail(self, why: str) -> bool:
        """A poll failed, or its result is not the whole truth. True when this is the first one to say so."""
        known = self._trouble
        if known is not None and known.why == why:
            return False
        self._trouble = Health("degraded", why, self._clock() if known is None else known.since)
        _logger.warning("the directory may be out of date: %s", why)
        self._on_change()
        return True

    def heal(self) -> None:
        """A poll went well."""
        self._confirmed = self._clock()
        if self._loaded is None or self._trouble is not None:
            self._loaded = self._clock()
        if self._trouble is not None:
            _logger.info("the directory is up to date again after %.1f s", self._loaded - self._trouble.since)
            self._trouble = self._refused = None
            self._on_change()

    def note_change(self, why: str) -> None:
        """The store was given something to keep: a beat, or an instance.

        A store may answer every question and yet keep nothing, because it is full or has become a copy of another.

        Args:
            why: it did not keep it; empty: it did.
        """
        known = self._refusal
        if not why:
            self._refused = None
        else:
            self._refused = Health("degraded", why, self._clock() if known is None else known.since)
            self._refused_until = self._clock() + REFUSED_SECONDS
        if (known is None) is not (self._refused is None) and self._trouble is None:
            if why:
                _logger.warning("the store takes no changes: %s", why)
            else:
                _logger.info("the store takes changes again")
            self._on_change()

    @property
    def _refusal(self) -> Health | None:
        return self._refused if self._clock() < self._refused_until else None

    @property
    def age(self) -> float:
        """Seconds since a poll went well; since the start, before the first one."""
        return self._clock() - self._confirmed

    @property
    def lasts(self) -> float:
        """Seconds since the present status began."""
        return self._clock() - self.now.since

    @property
    def is_starting(self) -> bool:
        """A route that is not known may just not have been announced yet."""
        if not self._first_load_seconds:
            return False
        if self._started is None or (self._loaded is None and not self._is_recalled):
            return True
        return self._clock() - self._started < self._first_load_seconds

    @property
    def now(self) -> Health:
        """The present status. Trouble comes first: it is what an operator can do something about."""
        if self._trouble is not None:
            return self._trouble
        if (refusal := self._refusal) is not None:
            return refusal
        if self._loaded is None:
            return Health("starting", "the store has not answered yet", self._created)
        if self.is_starting and not self._is_whole:
            return Health("starting", "services may still be announcing themselves", self._created)
        return Health("ok", "", self._loaded)
