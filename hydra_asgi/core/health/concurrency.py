"""How many requests are worked on at a time, for each service and for all, and who waits for a place.

Decisions only: the caller holds the clocks and wakes whoever is let in. A service that is slow fills its own places
and its own queue and nobody else's, as the bulkheads of a ship keep the water in one room. Waiting is first come,
first served within a service; services whose turn a freed place is take it by turns.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Limits", "Places"]

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes.

    Attributes:
        total: requests at a time, of all services together.
        service: requests at a time, of one service.
        queue: requests that may wait for a place, of one service.
        queue_seconds: how long each of them may wait.
    """

    total: int = 4000
    service: int = 1000
    queue: int = 100
    queue_seconds: float = 1.0


class Places(Generic[T]):
    """The places and the queues. A ticket names a request that waits.

    Args:
        limits: the sizes.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken_by_all = 0
        self._lasting = 0
        self._taken: dict[str, int] = {}
        # A dict is a queue from whose middle one can leave. Services in the order of their turn, none empty.
        self._queues: dict[str, dict[T, None]] = {}

    def taken(self, service: str) -> int:
        """How many places a service has now."""
        return self._taken.get(service, 0)

    def waiting(self, service: str) -> int:
        """How many of its requests wait."""
        return len(self._queues.get(service, ()))

    def take(self, service: str) -> bool:
        """Take a place if there is one."""
        # Nobody can be waiting for it: whoever could have had it would have been let in when it became free.
        if self._taken_by_all >= self._limits.total:
            return False
        taken = self._taken.get(service, 0)
        if taken >= self._limits.service:
            return False
        self._taken_by_all += 1
        self._taken[service] = taken + 1
        return True

    def queue(self, service: str, ticket: T) -> bool:
        """Wait for a place until `leave` names the ticket; False when too many wait already."""
        queue = self._queues.get(service, {})
        if len(queue) >= self._limits.queue:
            return False
        queue[ticket] = None
        self._queues[service] = queue
        return True

    def leave(self, service: str) -> T | None:
        """Give a place back. Returns the ticket that has it now: one free place lets in one at most."""
        self._taken_by_all -= 1
        left = self._taken[service] - 1
        if left:
            self._taken[service] = left
        else:
            del self._taken[service]
        return self._follow() if self._queues else None

    @property
    def can_settle(self) -> bool:
        """Whether one more request may be settled: what lasts may take half of all places."""
        return 2 * self._lasting < self._limits.total

    def settle(self, service: str) -> T | None:
        """Let a request that lasts count among all, and for its service no longer, until `end_lasting`.

        Returns the ticket that has its service's place now.
        """
        self._lasting += 1
        self._taken_by_all += 1  # instead of the one that is given back
        return self.leave(service)

    def end_lasting(self) -> T | None:
        """A request that had been settled is over. Returns the ticket that gets in now."""
        self._lasting -= 1
        self._taken_by_all -= 1
        return self._follow() if self._queues else None

    def _follow(self) -> T | None:
        # The first that gets a place has it already when it is let in.
        following = next((name for name in self._queues if self.take(name)), None)
        return None if following is None else self._let_in(following)

    def give_up(self, service: str, ticket: T) -> bool:
        """Stop waiting. False: the ticket was let in already, and its place has to be given back."""
        queue = self._queues.get(service)
        if queue is None or ticket not in queue:
            return False
        del queue[ticket]
        if not queue:
            del self._queues[service]
        return True

    def _let_in(self, service: str) -> T:
        queue = self._queues.pop(service)
        ticket = next(iter(queue))
        del queue[ticket]
        if queue:
            self._queues[service] = queue  # behind the others: its turn was now
        return ticket
