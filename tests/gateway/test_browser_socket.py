"""The WebSocket of a Medusa page, as recorded between a browser and an unmodified Medusa, through a whole node."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Dialect, Route, RouteKind, ServiceInstance
from hydra_asgi.ports import LeaseState
from tests.doubles.websocket_service import Service, websocket_service
from tests.gateway.servers import SOCKET_SERVERS, serving

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("server", SOCKET_SERVERS)]

LINES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "recordings/medusa-0.9.5/browser-socket.jsonl").read_text().splitlines()
]
FRAMES = [(line["from"], line["opcode"], bytes.fromhex(line["hex"])) for line in LINES if "opcode" in line]
CLOSE = 8


def browser_fields() -> Iterator[tuple[str, str]]:
    """What the browser sent besides the fields that belong to one connection."""
    for line in LINES[0]["http"].split("\r\n")[1:]:
        name, separator, value = line.partition(": ")
        own = ("host", "connection", "upgrade", "user-agent", "origin")
        if separator and name.lower() not in own and not name.lower().startswith("sec-websocket"):
            yield name, value


async def medusa(connection: ServerConnection) -> None:
    """Plays the service's part, and insists on the browser's."""
    for sender, opcode, payload in FRAMES:
        if opcode == CLOSE:
            break
        if sender == "service":
            await connection.send(payload)
        else:
            assert await connection.recv() == payload
    await connection.wait_closed()


async def node_before(service: Service) -> tuple[HydraMiddleware, ServiceInstance]:
    store = MemoryStore(lambda: 1000.0, epoch="e")
    chat = Route("/chat", kind=RouteKind.WEBSOCKET)
    instance = ServiceInstance("one", service.address, routes=(chat,), dialect=Dialect.MEDUSA)
    listed = await store.register(instance, LeaseState("lease", "one", signed=True))

    async def own(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1000, "reason": ""})

    hydra = Hydra(key="site", secret="the secret of the site", store=store, gateway=True, routes=["GET /own"])
    return HydraMiddleware(own, hydra=hydra), listed


async def test_the_recorded_conversation_passes(server: str) -> None:
    """`/{token}/socket` reaches `/socket` of that instance: every frame in order, no sub-protocol, the close code."""
    async with websocket_service(medusa) as service:
        app, listed = await node_before(service)
        async with serving(server, app) as port:
            url = f"ws://127.0.0.1:{port}/{listed.token}/socket"
            async with connect(
                url,
                origin="http://localhost:8080",  # type: ignore[arg-type]  # NewType of str
                additional_headers=list(browser_fields()),
            ) as browser:
                assert browser.subprotocol is None
                for sender, opcode, payload in FRAMES:
                    if opcode == CLOSE:
                        await browser.close(int.from_bytes(payload[:2]))
                        break
                    if sender == "browser":
                        await browser.send(payload)
                    else:
                        assert await browser.recv() == payload
            with pytest.raises(ConnectionClosed):
                await service.connections[0].recv()
        await app.hydra.stop()
    request = service.connections[0].request
    assert request is not None
    assert request.path == "/socket"
    assert request.headers["hydra-path"] == str(listed.token)
    assert request.headers["origin"] == "http://localhost:8080"
    assert request.headers["cookie"] == "Referer=/static/websocket.js; Referer=/one"
    assert "sec-websocket-protocol" not in request.headers
    assert "sec-websocket-extensions" not in request.headers
    assert service.ends == [(1011 if server == "hypercorn" else 1001, "")]


async def test_a_published_socket_is_found_by_its_route(server: str) -> None:
    """A WebSocket route of a service is forwarded under its own path, with the query as it was sent."""

    async def chat(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send(connection.request.path)

    async with websocket_service(chat) as service:
        app, _ = await node_before(service)
        async with serving(server, app) as port, connect(f"ws://127.0.0.1:{port}/chat?x=%zz&&") as client:
            assert await client.recv() == "/chat?x=%zz&&"
        await app.hydra.stop()


@pytest.mark.parametrize(
    ("path", "status"), [("{token}/none.js", 404), ("unknown", 403), ("chat", 503), ("a/%2e%2e/{token}/socket", 400)]
)
async def test_other_addresses_are_refused(server: str, path: str, status: int) -> None:
    """A Medusa has no other socket; what nobody published is the app's to refuse; who is gone is unavailable."""
    async with websocket_service(medusa) as service:
        app, listed = await node_before(service)
        async with serving(server, app) as port:
            if status == 503:
                await app.hydra.start()
                await app.hydra.store.release("lease", "one")
                assert app.hydra.running is not None
                assert app.hydra.running.directory is not None
                await app.hydra.running.directory.refresh()
            with pytest.raises(InvalidStatus) as caught:
                await connect(f"ws://127.0.0.1:{port}/" + path.format(token=listed.token))
            assert caught.value.response.status_code == status
        await app.hydra.stop()
    assert service.connections == []
