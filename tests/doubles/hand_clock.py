"""A clock and a sleep that are moved by hand, for loops that run in one task."""

import asyncio
from collections.abc import Callable

__all__ = ["HandClock"]


class HandClock:
    """Call it for the time; give `sleep` to the loop under test; `await tick()` to let it run to its next sleep.

    Args:
        on_time: told whenever the time moves.
    """

    def __init__(self, on_time: Callable[[float], None] = lambda time: None) -> None:
        self.time = 0.0
        self.naps: list[float] = []
        self._on_time = on_time
        self._asleep = asyncio.Event()
        self._wake = asyncio.Event()

    def __call__(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._wake.clear()
        self._asleep.set()
        await self._wake.wait()

    async def settle(self) -> None:
        """Wait until the loop sleeps."""
        async with asyncio.timeout(5):
            await self._asleep.wait()

    async def tick(self, times: int = 1) -> None:
        """Let the present sleep pass, and wait for the next one."""
        for _ in range(times):
            await self.settle()
            self._asleep.clear()
            self.time += self.naps[-1]
            self._on_time(self.time)
            self._wake.set()
            await self.settle()
