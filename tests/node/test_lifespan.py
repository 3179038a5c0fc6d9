"""Our start and stop around the lifespan of the mounted app."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette

from hydra_asgi.errors import ConfigurationError
from hydra_asgi.node.lifespan import run_lifespan


class Server:
    """The server's side of one lifespan."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.started = asyncio.Event()
        self._shutdown = asyncio.Event()
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        await self._shutdown.wait()
        return {"type": "lifespan.shutdown"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self.started.set()

    async def start(self) -> None:
        self.log.append("start")

    async def stop(self) -> None:
        self.log.append("stop")

    async def run(self, app: Callable[..., Any], *, start: Callable[..., Any] | None = None) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                run_lifespan(
                    app,  # type: ignore[arg-type]  # the tests use plain dicts
                    {"type": "lifespan", "asgi": {}, "state": {}},  # type: ignore[arg-type, typeddict-item]  # same
                    self.receive,  # type: ignore[arg-type]  # same
                    self.send,  # type: ignore[arg-type]  # same
                    start=start or self.start,
                    stop=self.stop,
                )
            )
            await self.started.wait()
            self.log.append("serving")
            self._shutdown.set()

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]


def starlette_app(log: list[str]) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        log.append("app up")
        yield
        log.append("app down")

    return Starlette(lifespan=lifespan)


async def test_order_around_an_app() -> None:
    """We start after the app and stop before it."""
    server = Server()
    await server.run(starlette_app(server.log))
    assert server.log == ["app up", "start", "serving", "stop", "app down"]
    assert server.types == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("consume", [True, False])
@pytest.mark.parametrize("how", ["raise", "return"])
async def test_app_without_lifespan(consume: bool, how: str) -> None:
    """An app that raises or returns at once still gets our start and stop, and the server a whole lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if consume:
            await receive()
        if how == "raise":
            raise AssertionError("http only")

    server = Server()
    await server.run(app)
    assert server.log == ["start", "serving", "stop"]
    assert server.types == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_first_requests_meet_no_full_collection() -> None:
    """What start-up left to the garbage collector is done before the server takes requests."""
    server = Server()

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            server.log.append("collected")

    gc.callbacks.append(note)
    try:
        await server.run(Starlette())
    finally:
        gc.callbacks.remove(note)
    assert server.log.index("start") < server.log.index("collected") < server.log.index("serving")


async def test_start_failure_is_reported_once_and_raised() -> None:
    """A node that cannot start stops the server's start-up with its own message, once."""

    async def start() -> None:
        raise ConfigurationError("HYDRA_KEY='a b' is not a path segment")

    server = Server()
    with pytest.raises(ExceptionGroup) as raised:
        await server.run(starlette_app(server.log), start=start)
    assert raised.group_contains(ConfigurationError)
    assert server.types == ["lifespan.startup.failed"]
    assert "HYDRA_KEY" in server.sent[0]["message"]
    assert "stop" not in server.log


async def test_app_start_failure_passes() -> None:
    """When the app itself fails to start, the server hears that and we never start."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        raise RuntimeError("no database")
        yield

    server = Server()
    with pytest.raises(ExceptionGroup) as raised:
        await server.run(Starlette(lifespan=lifespan))
    assert raised.group_contains(RuntimeError)
    assert server.types == ["lifespan.startup.failed"]
    assert "start" not in server.log


async def test_app_that_dies_later_stops_us() -> None:
    """An app whose lifespan breaks after start-up takes our background work down with it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise RuntimeError("lost")

    server = Server()
    with pytest.raises(ExceptionGroup) as raised:
        await server.run(app)
    assert raised.group_contains(RuntimeError)
    assert server.log[0] == "start"
    assert "stop" in server.log
