"""Hears of changes through Redis' own publishing, and wakes who waits for them.

What is published may be lost, and a connection may hang without a sign. Nothing depends on it: who is not woken finds
the change with the next poll.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from redis.asyncio.client import PubSub

from hydra_asgi.backends.redis_store.link import Link
from hydra_asgi.errors import StoreError

__all__ = ["Wakes", "call"]

_logger = logging.getLogger("hydra_asgi.store")

PING_SECONDS = 3.0
"""After so much silence the server is asked for a sign of life."""

RETRY_SECONDS = 0.5, 5.0
"""How long to wait before subscribing again: the first time, and at most."""


class Wakes:
    """One subscription for all who want to be woken. It lasts while there is somebody.

    Args:
        link: the way to Redis.
        channel: where changes are published.
    """

    def __init__(self, link: Link, channel: str) -> None:
        self._link = link
        self._channel = channel
        self._wakes: dict[object, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._was_subscribed = False
        self._pause = RETRY_SECONDS[0]

    def add(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each change from now on, until the call that is returned here."""
        subscription = object()
        self._wakes[subscription] = wake
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="hydra-redis-wakes")

        def end() -> None:
            self._wakes.pop(subscription, None)
            if not self._wakes and self._task is not None:
                self._task.cancel()

        return end

    async def close(self) -> None:
        """End the subscription, whoever still waits."""
        self._wakes.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        while True:
            try:
                listener = await self._link.listen(self._channel)
                try:
                    await self._hear(listener)
                finally:
                    await listener.aclose()  # type: ignore[no-untyped-call]  # untyped there
            except StoreError as error:
                _logger.debug("changes are not heard of for now: %s", error)
            except Exception:
                _logger.exception("listening for changes failed; it is tried again")
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311  # nobody gains by guessing it
            self._pause = min(RETRY_SECONDS[1], 2 * self._pause)

    async def _hear(self, listener: PubSub) -> None:
        """Wake for each message, until the connection is lost or gives no sign of life."""
        asked = False
        while True:
            patience = self._link.target.timeout * 4 if asked else PING_SECONDS
            message = await self._link.hear(partial(listener.get_message, timeout=patience))
            if message is None:
                if asked:
                    raise StoreError(f"{self._link.target} gives no sign of life to its subscriber")
                await self._link.hear(listener.ping)
            elif message["type"] == "message" or (message["type"] == "subscribe" and self._was_subscribed):
                self._wake()  # also where a subscription was lost: what was published meanwhile is lost, too
            if message is not None and message["type"] == "subscribe":
                self._was_subscribed, self._pause = True, RETRY_SECONDS[0]
            asked = message is None

    def _wake(self) -> None:
        for wake in tuple(self._wakes.values()):
            call(wake)


def call(callback: Callable[[], None]) -> None:
    """Call somebody else's code; what it does wrong is its own trouble."""
    try:
        callback()
    except Exception:
        _logger.exception("a callback of the store failed: %r", callback)
