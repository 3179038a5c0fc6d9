"""Runs one ASGI app under each supported server, inside the running loop, on a free port of loopback."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

__all__ = ["SERVERS", "SOCKET_SERVERS", "serving"]

App = Callable[[Any, Any, Any], Any]

SERVERS = ("uvicorn-httptools", "uvicorn-h11", "hypercorn", "granian")

SOCKET_SERVERS = ("uvicorn-httptools-websockets", "uvicorn-h11-wsproto", "hypercorn", "granian-websockets")
"""The same with WebSockets, by either library."""


@contextlib.asynccontextmanager
async def serving(server: str, app: App) -> AsyncIterator[int]:
    """Serve an app without lifespan; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if server.startswith("granian"):  # binds for itself
            listener.close()
        running = await _start(server, app, listener, port)
        try:
            yield port
        finally:
            await running()


async def _start(server: str, app: App, listener: socket.socket, port: int) -> Callable[[], Any]:
    match server.split("-"):
        case ["uvicorn", parser, *sockets]:
            return await _uvicorn(app, listener, parser, "wsproto" if sockets == ["wsproto"] else "auto")
        case ["hypercorn"]:
            return await _hypercorn(app, listener)
        case ["granian", *sockets]:
            return await _granian(app, port, websockets=bool(sockets))
        case _:
            raise AssertionError(f"{server} is none of {(*SERVERS, *SOCKET_SERVERS)}")


async def _uvicorn(app: App, listener: socket.socket, parser: str, sockets: str) -> Callable[[], Any]:
    import uvicorn

    config = uvicorn.Config(
        app,
        http=parser,  # type: ignore[arg-type]  # a name from SERVERS
        ws=sockets,  # type: ignore[arg-type]  # as above
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # older releases look for it
    task = asyncio.create_task(server._serve(sockets=[listener]))
    await _answering(listener.getsockname()[1])

    async def stop() -> None:
        server.should_exit = True
        await task

    return stop


async def _hypercorn(app: App, listener: socket.socket) -> Callable[[], Any]:
    import hypercorn.asyncio
    import hypercorn.config

    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 0.1
    config.errorlog = None
    ending = asyncio.Event()
    serve: Any = hypercorn.asyncio.serve
    task = asyncio.create_task(serve(app, config, shutdown_trigger=ending.wait))
    await asyncio.sleep(0)

    async def stop() -> None:
        ending.set()
        await task

    return stop


async def _granian(app: App, port: int, *, websockets: bool) -> Callable[[], Any]:
    import granian.constants
    import granian.server.embed

    server = granian.server.embed.Server(
        app, port=port, interface=granian.constants.Interfaces.ASGINL, log_enabled=False, websockets=websockets
    )
    task = asyncio.create_task(server.serve())
    await _answering(port)

    async def stop() -> None:
        server.stop()
        await task

    return stop


async def _answering(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(ConnectionError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)
