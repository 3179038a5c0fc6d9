"""A memory that is bounded and forgets by itself: nonces, counters, buckets. Time is an argument."""

from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values that are worth knowing for a while after they were last put.

    The dict is kept in the order of the last `put`, so what has to go is always in front.

    Args:
        seconds: how long a value is remembered.
        size: how many values at most.
    """

    __slots__ = ("_entries", "seconds", "size")

    def __init__(self, *, seconds: float, size: int) -> None:
        self.seconds = seconds
        self.size = size
        self._entries: dict[K, tuple[float, V]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K, now: float) -> V | None:
        """The value put last, None when there is none or it is too old."""
        entry = self._entries.get(key)
        return None if entry is None or entry[0] <= now else entry[1]

    def is_full(self, now: float) -> bool:
        """Whether nothing more fits without forgetting something that is still worth knowing."""
        self._forget_old(now)
        return len(self._entries) >= self.size

    def put(self, key: K, value: V, now: float) -> None:
        """Remember a value from now on; when there is no room, the one put longest ago goes."""
        self._entries.pop(key, None)
        self._forget_old(now)
        while len(self._entries) >= self.size:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (now + self.seconds, value)

    def discard(self, key: K) -> None:
        """Forget a value now."""
        self._entries.pop(key, None)

    def _forget_old(self, now: float) -> None:
        while self._entries:
            oldest = next(iter(self._entries))
            if self._entries[oldest][0] > now:
                return
            del self._entries[oldest]
