"""The one thread that waits for the file, so that the event loop never does.

A process that is forked inherits neither the thread nor the right to use the connection (sqlite.org/howtocorrupt.html
section 2.6), so both are made by the first verb after the fork and never before.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from hydra_asgi.backends.sqlite_store.ledger import Ledger

__all__ = ["Worker"]

T = TypeVar("T")


class _Desk:
    """One thread with the ledger that it alone touches."""

    def __init__(self, make: Callable[[], Ledger]) -> None:
        self.process = os.getpid()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="hydra-sqlite")
        self._make = make
        self._ledger: Ledger | None = None

    def do(self, verb: Callable[[Ledger], T]) -> T:
        if self._ledger is None:
            self._ledger = self._make()
        return verb(self._ledger)


_inherited: list[_Desk] = []
"""What a fork left us and nobody may touch: even closing it would disturb the parent's locks."""


class Worker:
    """Runs verbs on a ledger, one after the other, in a thread.

    Args:
        make: makes the ledger; called in the thread.
    """

    def __init__(self, make: Callable[[], Ledger]) -> None:
        self._make = make
        self._desk: _Desk | None = None

    async def run(self, verb: Callable[[Ledger], T]) -> T:
        """Do something with the ledger, in the thread; any event loop may wait for it.

        A caller that is cancelled takes back a verb that has not begun, and leaves one that has to its end.
        """
        desk = self._here()
        return await asyncio.wrap_future(desk.thread.submit(desk.do, verb))

    async def close(self) -> None:
        """End the thread and give the file back. What is asked afterwards starts anew."""
        desk, self._desk = self._desk, None
        if desk is None:
            return
        if desk.process != os.getpid():
            _inherited.append(desk)
            return
        try:
            await asyncio.wrap_future(desk.thread.submit(desk.do, Ledger.close))
        finally:
            desk.thread.shutdown(wait=False)

    def _here(self) -> _Desk:
        if self._desk is not None and self._desk.process != os.getpid():
            _inherited.append(self._desk)
            self._desk = None
        if self._desk is None:
            self._desk = _Desk(self._make)
        return self._desk
