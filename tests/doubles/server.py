"""A server that runs an app's lifespan around a block, as uvicorn does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["StartFailedError", "lifespan"]


class StartFailedError(Exception):
    """The app reported that it cannot start."""


@asynccontextmanager
async def lifespan(app: Callable[..., Any]) -> AsyncIterator[dict[str, Any]]:
    """Start the app, give its state, and shut it down."""
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    state: dict[str, Any] = {}

    async def send(message: dict[str, Any]) -> None:
        await answers.put(message)

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    running = asyncio.create_task(app(scope, events.get, send))
    await events.put({"type": "lifespan.startup"})
    answer = await answers.get()
    if answer["type"] != "lifespan.startup.complete":
        await asyncio.wait([running])
        raise StartFailedError(answer.get("message", "")) from running.exception()
    yield state
    await events.put({"type": "lifespan.shutdown"})
    assert (await answers.get())["type"] == "lifespan.shutdown.complete"
    await running
