"""What a node is busy with."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hydra_asgi.node import ongoing
from hydra_asgi.node.ongoing import Ongoing

Eventually = Callable[..., Any]

HTTP = {"type": "http"}
SOCKET = {"type": "websocket"}


class App:
    """Serves until it is let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.is_cut = False
        self.send: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.send = send
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.is_cut = True
            raise


class Client:
    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.is_gone = False
        self.reads = asyncio.Event()
        self.reads.set()

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if self.is_gone:
            raise OSError("gone")
        self.messages.append(message)


async def test_counting(eventually: Eventually) -> None:
    """A request counts while it is served, however it ends; served by one node twice, it counts once."""
    busy, app = Ongoing(), App()

    async def twice(scope: Any, receive: Any, send: Any) -> None:
        await busy.serve(app, scope, receive, send)
        assert len(busy) == 1

    task = asyncio.create_task(busy.serve(twice, HTTP, None, None))
    await eventually(lambda: app.send is None and len(busy) == 1)
    app.gate.set()
    await task
    assert len(busy) == 0

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await busy.serve(fail, HTTP, None, None)
    assert len(busy) == 0


async def test_cutting(eventually: Eventually) -> None:
    """What still goes on is cancelled, so that the server breaks its connection."""
    busy, app = Ongoing(), App()
    task = asyncio.create_task(busy.serve(app, HTTP, None, None))
    await eventually(lambda: len(busy))
    assert busy.cut() == 1
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.is_cut
    assert busy.cut() == 0


async def test_closing_sockets(eventually: Eventually) -> None:
    """Every WebSocket is closed with 1012, once; what its app still says is dropped."""
    busy, app, client = Ongoing(), App(), Client()
    task = asyncio.create_task(busy.serve(app, SOCKET, None, client.send))
    await eventually(lambda: app.send)
    await app.send({"type": "websocket.accept"})
    await busy.close_sockets()
    await busy.close_sockets()
    await app.send({"type": "websocket.send", "text": "x"})
    await app.send({"type": "websocket.close", "code": 1000})
    assert client.messages == [
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 1012, "reason": ""},
    ]
    app.gate.set()
    await task
    await busy.close_sockets()
    assert len(client.messages) == 2


class Listening:
    """An app that waits for its client, and ends when that is gone."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.waits = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while not self.heard or self.heard[-1]["type"] == "websocket.receive":
            self.waits.set()
            self.heard.append(await receive())
        self.heard.append(await receive())


async def test_an_app_that_receives(eventually: Eventually) -> None:
    """It hears that the node closes its WebSocket before the server is asked to: granian could not otherwise."""
    busy, app, client = Ongoing(), Listening(), Client()
    messages: asyncio.Queue[Any] = asyncio.Queue()
    messages.put_nowait({"type": "websocket.receive", "text": "x"})
    task = asyncio.create_task(busy.serve(app, SOCKET, messages.get, client.send))
    await eventually(lambda: app.heard)
    await busy.close_sockets()
    await task
    stopped = {"type": "websocket.disconnect", "code": 1012, "reason": ""}
    assert app.heard == [{"type": "websocket.receive", "text": "x"}, stopped, stopped]
    assert client.messages == [{"type": "websocket.close", "code": 1012, "reason": ""}]
    assert task.cancelling() == 0


@pytest.mark.parametrize("stops", [False, True])
async def test_an_app_that_is_cancelled_while_it_receives(stops: bool) -> None:
    """A cancellation from outside stays one, even where the node stops in the same moment."""
    busy, app, client = Ongoing(), Listening(), Client()
    task = asyncio.create_task(busy.serve(app, SOCKET, asyncio.Queue[Any]().get, client.send))
    await app.waits.wait()
    task.cancel()
    if stops:
        await busy.close_sockets()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.heard == []


async def test_an_app_that_ends_while_its_socket_is_closed(eventually: Eventually) -> None:
    """The server learns that the app has ended only after the close: granian forgets the code otherwise."""
    busy, app, client = Ongoing(), App(), Client()
    task = asyncio.create_task(busy.serve(app, SOCKET, None, client.send))
    await eventually(lambda: app.send)
    client.reads.clear()
    closing = asyncio.create_task(busy.close_sockets())
    await asyncio.sleep(0)
    app.gate.set()
    done, _ = await asyncio.wait([task, closing], timeout=0.05)
    assert done == set()
    client.reads.set()
    await task
    await closing
    assert client.messages == [{"type": "websocket.close", "code": 1012, "reason": ""}]


async def test_sockets_that_are_closed_already(eventually: Eventually) -> None:
    """A WebSocket that its app has closed is left alone."""
    busy, app, client = Ongoing(), App(), Client()
    task = asyncio.create_task(busy.serve(app, SOCKET, None, client.send))
    await eventually(lambda: app.send)
    await app.send({"type": "websocket.close", "code": 1000})
    await busy.close_sockets()
    assert client.messages == [{"type": "websocket.close", "code": 1000}]
    app.gate.set()
    await task


async def test_clients_that_do_not_listen(eventually: Eventually, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has gone, or does not read, keeps nobody from being closed, nor the node from stopping."""
    monkeypatch.setattr(ongoing, "CLOSE_SECONDS", 0.01)
    busy = Ongoing()
    apps, clients = [App(), App(), App()], [Client(), Client(), Client()]
    clients[0].is_gone = True
    clients[1].reads.clear()
    tasks = [
        asyncio.create_task(busy.serve(app, SOCKET, None, client.send))
        for app, client in zip(apps, clients, strict=True)
    ]
    await eventually(lambda: all(app.send for app in apps))
    await busy.close_sockets()
    assert [len(client.messages) for client in clients] == [0, 0, 1]
    for app in apps:
        app.gate.set()
    await asyncio.gather(*tasks)
