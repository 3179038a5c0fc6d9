"""Hears that the server is told to stop before the server does, so that the node can leave the site first.

Servers close their listeners when they are told to stop, and only then tell the app. But as long as gateways know the
node they go on to send requests, and those then find nobody. So SIGTERM first lets the node leave, and is handed to the
server when the site knows. Uvicorn installs its handlers with `signal.signal` before the lifespan starts, which lets us
step in front of them. Granian and hypercorn install theirs at the event loop, where they cannot be held back: there we
are told at the same time, and have to hurry, as the server drops its WebSockets.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType

__all__ = ["StopSignals"]

_logger = logging.getLogger("hydra_asgi")

Handler = Callable[[int, FrameType | None], object]

_LOOPS = ("asyncio", "uvloop")


class StopSignals:
    """Stands in front of the server's handlers of SIGTERM and SIGINT.

    Args:
        loop: in which `leave` runs.
        leave: awaited before the server is told, with whether there is time: SIGTERM comes from whoever replaces this
            process and can wait a moment, SIGINT from somebody at a keyboard; a server that listens at the event loop
            waits for nobody.
        finish: awaited when the server was told.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        leave: Callable[[bool], Awaitable[None]],
        finish: Callable[[], Awaitable[None]],
    ) -> None:
        self._loop = loop
        self._leave = leave
        self._finish = finish
        self._before: dict[int, Handler] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_removed = False

    def install(self) -> bool:
        """Step in front; False where there is no server's handler to step in front of, or not from here."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if not callable(signal.getsignal(signal.SIGTERM)):
            return False  # nobody but a server handles it: this is a test or a script, which ends as it likes
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before):
                self._before[number] = before
                signal.signal(number, self._hear)
        return True

    async def remove(self) -> None:
        """Step back, unless somebody else stands in front by now, and forget what is still to be done."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._hear:
                signal.signal(number, before)
        self._is_removed = True  # somebody who stands in front may still hand on to us
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _hear(self, number: int, frame: FrameType | None) -> None:
        """Called by Python between two instructions of the main thread, so it does next to nothing itself."""
        before = self._before[number]
        # Whoever says it twice means it.
        if self._task is not None or self._is_removed or self._loop.is_closed():
            before(number, frame)
            return
        is_patient = number == signal.SIGTERM and not _is_the_loops(before)
        self._loop.call_soon_threadsafe(self._begin, is_patient, lambda: before(number, frame))
        if not is_patient:
            before(number, frame)

    def _begin(self, is_patient: bool, hand_on: Callable[[], object]) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._run(is_patient, hand_on), name="hydra leaves")

    async def _run(self, is_patient: bool, hand_on: Callable[[], object]) -> None:
        try:
            await self._leave(is_patient)
        except Exception:
            _logger.exception("leaving the site failed")
        finally:
            if is_patient:
                hand_on()
        await self._finish()


def _is_the_loops(handler: Handler) -> bool:
    """Whether a handler only stands there because somebody listens for the signal at the event loop."""
    return str(getattr(handler, "__module__", "")).partition(".")[0] in _LOOPS
