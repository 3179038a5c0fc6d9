"""A bounded memory of nonces that were used. Time is an argument, in seconds."""

from heapq import heappop, heappush

__all__ = ["MAX_NONCES", "Nonces"]

MAX_NONCES = 100_000
"""A thousand instances that beat every three seconds use a third of it within the two minutes a signature is good."""


class Nonces:
    """Remembers each nonce for as long as a copy of its call would be believed.

    Args:
        size: how many at most. Beyond that the one that would be forgotten first is forgotten early: only who can
            sign gets this far, and a nonce is remembered at the node that took it as well.
    """

    __slots__ = ("_by_end", "_ends", "_size")

    def __init__(self, *, size: int = MAX_NONCES) -> None:
        self._size = size
        self._ends: dict[str, float] = {}
        self._by_end: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._ends)

    def first_use(self, nonce: str, seconds: float, now: float) -> bool:
        """Remember a nonce for so many seconds from now. False: it is remembered already, for as long as before."""
        while self._by_end and self._by_end[0][0] <= now:
            self._forget_first()
        if nonce in self._ends:
            return False
        if len(self._ends) >= self._size:
            self._forget_first()
        self._ends[nonce] = now + seconds
        heappush(self._by_end, (now + seconds, nonce))
        return True

    def _forget_first(self) -> None:
        _, nonce = heappop(self._by_end)
        del self._ends[nonce]
