"""The background work of a node in one event loop: it follows the directory and keeps the node registered."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from hydra_asgi.errors import HydraError
from hydra_asgi.node.parts import Parts
from hydra_asgi.node.stop_signals import StopSignals
from hydra_asgi.site.site_reload import ReloadSignal

__all__ = ["SETTLE_SECONDS", "Background"]

logger = logging.getLogger("hydra_asgi")

SETTLE_SECONDS = 1.0
"""How long other nodes may still send requests after we have left: a change is everywhere within a second."""

START_PATIENCE_SECONDS = 1.0
"""How long a start waits for the store, and with it the first request where there is no lifespan."""

CANCEL_AGAIN_SECONDS = 0.5
"""What a task may take to end in good order."""

_FAREWELL = "farewell to WebSockets"

CLOSE_SECONDS = 1.0
"""How long a store may take to give back its connections."""


async def _nothing() -> None:
    """There is nothing to do."""


class Background:
    """Starts and ends the tasks of a node.

    Args:
        loop: the running event loop; the node answers in no other.
        parts: the node.
        prepare: awaited once, before the directory is read.
        works: False reads the directory once and leaves it at that: nothing is followed, nothing is registered.
        drain: leaves the site, when the server is told to stop.
        grace: seconds that requests may go on after that.
        reload: reads the site file anew, on SIGHUP; None where there is no such file.

    Attributes:
        is_started: the directory was read and the tasks run.
        ongoing: what is served now.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: Parts,
        *,
        prepare: Callable[[], Awaitable[None]] = _nothing,
        works: bool = True,
        drain: Callable[[], Awaitable[None]] = _nothing,
        grace: float = 0.0,
        reload: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.loop = loop
        self.parts = parts
        self.is_started = False
        self.ongoing = parts.ongoing
        self._prepare = prepare
        self._works = works
        self._drain = drain
        self._grace = grace
        self._stop_signals = StopSignals(loop, self._leave_in_time, self._finish)
        self._reload_signal = None if reload is None else ReloadSignal(loop, reload)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def is_here(self) -> bool:
        """Whether it is started, and in the running loop.

        A thread without a loop is one of the app's own: frameworks run plain functions in a pool, and those ask for
        the overview too.
        """
        if not self.is_started or self.loop.is_closed():
            return False
        try:
            return asyncio.get_running_loop() is self.loop
        except RuntimeError:
            return True

    async def start(self) -> None:
        """Start, once; whoever calls meanwhile waits until it is done.

        Requests that arrive together in front of a node without lifespan all start it, and none of them may see a
        directory that was not read yet.
        """
        async with self._one_at_a_time:
            if self.is_started:
                return
            await self._prepare()
            await self._recall()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_PATIENCE_SECONDS):
                    await self._look_around()
            if self._works:
                self._begin_following()
                for number, registrar in enumerate(self.parts.registrars):
                    self._begin(f"registrar {number}", registrar.run)
                self._listen()
            self.is_started = True

    async def _recall(self) -> None:
        directory, kept = self.parts.directory, self.parts.last_known_good
        if directory is not None and kept is not None and (snapshot := await kept.recall()) is not None:
            await directory.recall(snapshot)

    async def _look_around(self) -> None:
        """Announce what registers nowhere, and read the directory: a node that starts knows the site at once."""
        if self._works and self.parts.statics is not None:
            await self.parts.statics.tend()
        if self.parts.directory is not None:
            await self.parts.directory.refresh()

    def _begin_following(self) -> None:
        if self.parts.statics is not None:
            self._begin("static instances", self.parts.statics.run)
        if (directory := self.parts.directory) is None:
            return
        self._begin("directory", directory.run)
        if self.parts.secret is not None:
            self._begin("secret of the site", self.parts.secret)
        if (kept := self.parts.last_known_good) is not None:
            self._begin("last known directory", partial(kept.follow, directory))

    async def leave(self) -> None:
        """Stop beating first: a beat after the farewell would register again."""
        await self._cancel([name for name in self._tasks if name.startswith("registrar")])
        await asyncio.gather(*(registrar.unregister() for registrar in self.parts.registrars))

    def dismiss_sockets(self) -> None:
        """Close WebSockets when the site knows that we have left: clients come back, to others then.

        Servers that are stopped without us give them no code that says so. Whoever drains says it again and again, for
        those that came meanwhile.
        """
        if (task := self._tasks.get(_FAREWELL)) is None or task.done():
            self._begin(_FAREWELL, self._dismiss_sockets)

    async def _dismiss_sockets(self) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        await self._close_sockets()

    async def end(self) -> None:
        """End what still runs, and close the connections."""
        await self._stop_signals.remove()
        if self._reload_signal is not None:
            await self._reload_signal.remove()
        await self._close_sockets()
        await self._cancel(list(self._tasks))
        if self.parts.statics is not None:
            await self.parts.statics.leave()
        await self.parts.upstream.close()
        await self._close_store()

    async def _close_store(self) -> None:
        if self.parts.store is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.parts.store.close()
        except (HydraError, TimeoutError) as error:
            logger.info("the store was left without a farewell: %s", str(error) or f"more than {CLOSE_SECONDS:g} s")

    def _listen(self) -> None:
        self._stop_signals.install()
        if self._reload_signal is not None:
            self._reload_signal.install()

    async def _leave_in_time(self, is_patient: bool) -> None:
        """Leave the site, and go on taking requests until the site knows."""
        was_listed = any(registrar.state.status == "registered" for registrar in self.parts.registrars)
        if not is_patient:
            await self._close_sockets()  # the server drops them soon, and then they get no code
        await self._drain()
        if is_patient and was_listed and self.parts.is_known_elsewhere:
            await asyncio.sleep(SETTLE_SECONDS)
        await self._close_sockets()

    async def _finish(self) -> None:
        """Let go on what was begun, for as long as there is grace."""
        await asyncio.sleep(self._grace)
        if count := self.ongoing.cut():
            logger.warning("%d requests were still going on %g s after the stop; they are cut off", count, self._grace)

    async def _close_sockets(self) -> None:
        self.parts.close_relays()
        await self.ongoing.close_sockets()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        # Called inside the task: a task that is cancelled before its first step would leave a coroutine behind.
        async def run() -> None:
            try:
                await work()
            except Exception:
                logger.exception("the %s ended; this node cannot be trusted any more", name)

        self._tasks[name] = self.loop.create_task(run(), name=f"hydra {name}")

    async def _cancel(self, names: list[str]) -> None:
        left = {self._tasks.pop(name) for name in names}
        # Said again until it is heard: `asyncio.wait_for` of Python 3.11, which libraries of stores use, loses a
        # cancellation that comes in the moment in which its call ends, and the task then goes on for ever.
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)
