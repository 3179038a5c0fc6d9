"""Reads the site file anew when somebody says so, and changes nothing when something in it is wrong."""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType

from hydra_asgi.errors import ConfigurationError
from hydra_asgi.site.site_file import SiteFile, load_site
from hydra_asgi.site.static_instance import StaticInstance

__all__ = ["ReloadSignal", "SiteReload"]

_logger = logging.getLogger("hydra_asgi.site")

Swap = Callable[[Sequence[StaticInstance]], Awaitable[None]]


class SiteReload:
    """Brings a running node in line with its file.

    Args:
        site: what the file said last.
        swap: takes instances in the place of all those before.
        beside: instances that are not in the file, and stay.
    """

    def __init__(self, site: SiteFile, swap: Swap, beside: Sequence[StaticInstance] = ()) -> None:
        self._site = site
        self._beside = tuple(beside)
        self._swap = swap
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> bool:
        """Read, check, swap; False when the file cannot be used."""
        async with self._one_at_a_time:
            try:
                site = await asyncio.to_thread(load_site, self._site.path)
            except ConfigurationError as error:
                for mistake in str(error).splitlines():
                    _logger.error("not taken over, nothing has changed: %s", mistake)
                return False
            if _values(site) != _values(self._site):
                _logger.warning("%s: [gateway] has changed; that takes effect with the next start", site.path)
            await self._swap((*site.instances, *self._beside))
            self._site = site
            _logger.info("%s is taken over: %d instances", site.path, len(site.instances))
            return True


class ReloadSignal:
    """Calls `reload` in the event loop whenever the process gets SIGHUP.

    Args:
        loop: the loop.
        reload: what to do.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reload: Callable[[], Awaitable[object]]) -> None:
        self._loop = loop
        self._reload = reload
        self._before: signal.Handlers | Callable[[int, FrameType | None], object] | int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def install(self) -> bool:
        """Listen; False where nobody can: outside of the main thread, and where there is no such signal."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
            return False
        self._before = signal.signal(signal.SIGHUP, self._hear)
        return True

    async def remove(self) -> None:
        """Listen no more, and end what is still going on."""
        if self._before is not None and signal.getsignal(signal.SIGHUP) == self._hear:
            signal.signal(signal.SIGHUP, self._before)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        task = self._loop.create_task(self._run(), name="hydra reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        try:
            await self._reload()
        except Exception:
            _logger.exception("taking over the site file failed")


def _values(site: SiteFile) -> dict[str, object]:
    return {name: value for name, (value, _) in site.options.items()}
