"""Ctrl-C and SIGTERM, for the site and for each of its processes: the usual way to end, so no error."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any

__all__ = ["run_until_stopped"]


def run_until_stopped(main: Coroutine[Any, Any, int]) -> int:
    """Run `main` to its end or until a signal cancels it; returns the exit code, 0 after a signal.

    A second signal cancels what `main` does to end in good order.
    """
    try:
        return asyncio.run(_cancelled_by_signals(main))
    except asyncio.CancelledError:
        return 0


async def _cancelled_by_signals(main: Coroutine[Any, Any, int]) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in one

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)

    # Not only when the signals have their default effect: a shell starts background jobs with SIGINT ignored.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return await main
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
