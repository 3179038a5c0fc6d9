"""Lines about what may happen thousands of times a second: the first at once, then now and then how often."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from hydra_asgi.core.repetition import Repetition

__all__ = ["RepeatedLog"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RepeatedLog(Generic[K, V]):
    """Writes about equal news once, and while they go on, every few seconds about the last of them and their number.

    Args:
        write: writes one line: the news, and how often they came since the line before.
        seconds: between two lines about the same.
        size: how many different news have lines of their own; see `Repetition`.
    """

    def __init__(self, write: Callable[[V, int], None], *, seconds: float, size: int) -> None:
        self._write = write
        self._seconds = seconds
        self._news: Repetition[K, V] = Repetition(seconds=seconds, size=size)
        self._loop: asyncio.AbstractEventLoop | None = None

    def hear(self, key: K, news: V) -> None:
        """Take one piece of news, in a running loop; `key` is what makes it equal to others."""
        loop = asyncio.get_running_loop()
        if self._news.hear(key, news, loop.time()):
            self._write(news, 1)
        # A loop that was closed took its timer with it.
        if self._loop is None or self._loop.is_closed():
            self._wait(loop)

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.call_later(self._seconds, self._repeat, loop)

    def _repeat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = None
        for news, times in self._news.due(loop.time()):
            self._write(news, times)
        if len(self._news):
            self._wait(loop)
