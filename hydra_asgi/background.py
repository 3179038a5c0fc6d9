"""The background work of a node in one event loop: it follows the directory and keeps the node registered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hydra_asgi.assembly import Parts

__all__ = ["Background"]

logger = logging.getLogger("hydra_asgi")


async def _nothing() -> None:
    """There is nothing to prepare."""


class Background:
    """Starts and ends the tasks of a node.

    Args:
        loop: the running event loop; the node answers in no other.
        parts: the node.
        prepare: awaited once, before the directory is read.
        works: False reads the directory once and leaves it at that: nothing is followed, nothing is registered.

    Attributes:
        is_started: the directory was read and the tasks run.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: Parts,
        *,
        prepare: Callable[[], Awaitable[None]] = _nothing,
        works: bool = True,
    ) -> None:
        self.loop = loop
        self.parts = parts
        self.is_started = False
        self._prepare = prepare
        self._works = works
        self._one_at_a_time = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Start, once; whoever calls meanwhile waits until it is done.

        Requests that arrive together in front of a node without lifespan all start it, and none of them may see a
        directory that was not read yet.
        """
        async with self._one_at_a_time:
            if self.is_started:
                return
            await self._prepare()
            if (directory := self.parts.directory) is not None:
                await directory.refresh()
                if self._works:
                    self._begin("directory", directory.run)
            if self._works:
                for number, registrar in enumerate(self.parts.registrars):
                    self._begin(f"registrar {number}", registrar.run)
            self.is_started = True

    async def leave(self) -> None:
        """Stop beating first: a beat after the farewell would register again."""
        await self._cancel([name for name in self._tasks if name.startswith("registrar")])
        await asyncio.gather(*(registrar.unregister() for registrar in self.parts.registrars))

    async def end(self) -> None:
        """End what still runs, and close the connections."""
        await self._cancel(list(self._tasks))
        await self.parts.upstream.close()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        # Called inside the task: a task that is cancelled before its first step would leave a coroutine behind.
        async def run() -> None:
            try:
                await work()
            except Exception:
                logger.exception("the %s ended; this node cannot be trusted any more", name)

        self._tasks[name] = self.loop.create_task(run(), name=f"hydra {name}")

    async def _cancel(self, names: list[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
