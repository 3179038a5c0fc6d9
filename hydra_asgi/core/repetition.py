"""Many equal news: the first is told at once, the others now and then as a number. Time is an argument."""

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Repetition"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Repetition(Generic[K, V]):
    """Decides which of many equal news are told.

    Args:
        seconds: between two tellings of what is equal.
        size: how many different news are told apart; what is new beyond that is taken for equal.
    """

    def __init__(self, *, seconds: float, size: int) -> None:
        self._seconds = seconds
        self._size = size
        self._known: dict[K | None, _Known[V]] = {}

    def hear(self, key: K, news: V, now: float) -> bool:
        """Take one piece of news. True: it is to be told now. False: it is counted, until it is `due`.

        Args:
            key: what makes news equal.
            news: the last of equal ones is the one that is told.
            now: seconds.
        """
        place = key if key in self._known or len(self._known) < self._size else None
        known = self._known.get(place)
        if known is None:
            self._known[place] = _Known(now, news)
            return True
        known.count += 1
        known.last = news
        return False

    def due(self, now: float) -> list[tuple[V, int]]:
        """What is to be told now of all that was counted: the last of it, and how often it came since it was told.

        What did not come again is forgotten.
        """
        told: list[tuple[V, int]] = []
        for key, known in list(self._known.items()):
            if now - known.told < self._seconds:
                continue
            if known.count:
                told.append((known.last, known.count))
                known.told, known.count = now, 0
            else:
                del self._known[key]
        return told

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)


class _Known(Generic[V]):
    __slots__ = ("count", "last", "told")

    def __init__(self, told: float, last: V) -> None:
        self.told = told
        self.last = last
        self.count = 0
