"""Our background work around the mounted app's lifespan, whatever the app makes of lifespan.

Ours starts after the app's start-up and stops before the app's shutdown, so a node never announces an app that is not
there. An app that knows no lifespan (it raises or returns at once) is left alone, as servers do, and the node answers
the server itself: otherwise nobody would deregister it on shutdown.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    LifespanScope,
)

__all__ = ["run_lifespan"]

logger = logging.getLogger("hydra_asgi.node.lifespan")


class _StartFailedError(Exception):
    """Carries the reason out of the mounted app, whose lifespan is then over."""


async def run_lifespan(
    app: ASGI3Application,
    scope: LifespanScope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
    *,
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
) -> None:
    """Run one lifespan: the app's, with `start` before start-up is reported and `stop` when shutdown is asked for.

    An error from `start` is reported to the server as a failed start-up and raised.
    """
    lifespan = _Lifespan(receive, send, start, stop)
    try:
        await app(scope, lifespan.receive, lifespan.send)
    except _StartFailedError as failure:
        raise failure.__cause__ or failure from None
    except Exception:
        if lifespan.answered:
            await lifespan.stop_once()
            raise
        logger.debug("the mounted app raised on lifespan; running without its lifespan", exc_info=True)
    if not lifespan.answered:
        await lifespan.serve_alone()
    await lifespan.stop_once()


class _Lifespan:
    def __init__(
        self,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._send = send
        self._start = start
        self._stop = stop
        self._received_startup = False
        self._running = False
        self._failed = False
        self.answered = False

    async def receive(self) -> ASGIReceiveEvent:
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            self._received_startup = True
        elif message["type"] == "lifespan.shutdown":
            await self.stop_once()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        if self._failed:  # the server knows already; the app may still report the error it saw
            return
        if message["type"] == "lifespan.startup.complete":
            await self._start_or_fail()
            # What was imported so far makes a full collection due, and that takes 30 to 100 ms. Better now, before the
            # first request, than while a few hundred instances register. The app's own settings stay as they are.
            gc.collect()
        self.answered = True
        await self._send(message)

    async def serve_alone(self) -> None:
        if not self._received_startup:
            await self._receive()
        await self.send(cast("ASGISendEvent", {"type": "lifespan.startup.complete"}))
        while (await self.receive())["type"] != "lifespan.shutdown":
            pass
        await self._send(cast("ASGISendEvent", {"type": "lifespan.shutdown.complete"}))

    async def stop_once(self) -> None:
        if self._running:
            self._running = False
            await asyncio.shield(self._stop())

    async def _start_or_fail(self) -> None:
        try:
            await self._start()
        except Exception as error:
            self.answered = self._failed = True
            await self._send(cast("ASGISendEvent", {"type": "lifespan.startup.failed", "message": str(error)}))
            raise _StartFailedError(str(error)) from error
        self._running = True
