"""Several nodes with one store: services behind several gateways, and apps that are both at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse, PlainTextResponse

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.testing import AsgiUpstream
from tests.doubles.gateway import MoodyStore
from tests.doubles.prober import FakeProber
from tests.doubles.site import KEY, SECRET
from tests.exchange import Exchange, exchange, http_scope

Eventually = Callable[..., Any]
G1, G2, ORDERS, SHOP, V1, V2 = (f"127.0.0.1:{port}" for port in range(9001, 9007))
V1_PAGE, V2_PAGE = f"orders 1 at {V1}".encode(), f"orders 2 at {V2}".encode()
USERS = [f"user-{number:011d}" for number in range(400)]


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which services may still announce themselves is over."""
    monkeypatch.setattr("hydra_asgi.node.assembly.BEAT_SECONDS", 0.0)


class FleetStore(MoodyStore):
    """A memory store that can go away in all its verbs, and counts who waits for it."""

    waiting = 0

    async def _mood(self) -> None:
        self.waiting += 1
        try:
            await super()._mood()
        finally:
            self.waiting -= 1

    async def revision(self) -> Any:
        await self._mood()
        return await super().revision()

    async def snapshot(self) -> Any:
        await self._mood()
        return await super().snapshot()


class Fleet:
    """Apps by `host:port` that reach each other, with one store for those that open it."""

    def __init__(self) -> None:
        self.store = FleetStore()
        self.apps: dict[str, Any] = {}
        self.nodes: dict[str, Hydra] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Fleet":
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.store.is_away = self.store.hangs = False
        await self._stack.aclose()

    async def gateway(self, host: str) -> Hydra:
        """A gateway that is nothing else."""
        return await self._start(host, HydraMiddleware(None, hydra=self._hydra(store=self.store)))

    async def service(self, host: str, *gateways: str, **options: Any) -> Hydra:
        """An app that registers with gateways."""
        given = {"gateways": [f"http://{gateway}" for gateway in gateways], "address": f"http://{host}", **options}
        return await self._start(host, page_app(self._hydra(**given), host))

    async def member(self, host: str, **options: Any) -> Hydra:
        """An app that opens the store itself."""
        given = {"address": f"http://{host}", "store": self.store, **options}
        return await self._start(host, page_app(self._hydra(**given), host))

    async def get(self, host: str, path: str, key: str = "", more: Sequence[tuple[bytes, bytes]] = ()) -> Exchange:
        headers = [(b"host", b"site.test"), *([(b"hydra-key", key.encode())] if key else []), *more]
        return await exchange(self.apps[host], http_scope(path, headers=headers))

    async def talk(self, host: str, path: str) -> list[str]:
        """The kinds of messages that a WebSocket's client gets."""
        scope = {**http_scope(path, headers=[(b"host", b"site.test")], scheme="ws"), "type": "websocket"}
        sent: list[str] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["type"])

        await self.apps[host]({**scope, "subprotocols": []}, receive, send)
        return sent

    async def sees(self, eventually: Eventually, host: str, count: int) -> None:
        """Wait until a node knows so many instances."""
        directory = directory_of(self.nodes[host])
        await eventually(lambda: len(directory.state.snapshot.instances) == count)

    def _hydra(self, **options: Any) -> Hydra:
        defaults = {"key": KEY, "secret": SECRET, "upstream": AsgiUpstream(self.apps), "prober": FakeProber()}
        return Hydra(**{**defaults, "allow_addresses": "127.0.0.1", **options})

    async def _start(self, host: str, app: Any) -> Hydra:
        hydra: Hydra = app.hydra if isinstance(app, HydraMiddleware) else app.state.hydra
        self.apps[host], self.nodes[host] = app, hydra
        await hydra.start(None if isinstance(app, HydraMiddleware) else app)
        self._stack.push_async_callback(hydra.stop)
        return hydra


def directory_of(hydra: Hydra) -> Directory:
    """What a running gateway knows."""
    assert hydra.running is not None
    assert hydra.running.directory is not None
    return hydra.running.directory


def page_app(hydra: Hydra, host: str) -> FastAPI:
    """An app whose pages say which instance they come from."""
    app = FastAPI()
    app.state.hydra = hydra
    name = hydra.options.service

    @app.get(f"/{name}")
    async def page() -> PlainTextResponse:
        return PlainTextResponse(f"{name} {hydra.options.version} at {host}")

    @app.get(f"/{name}/composed", response_class=HTMLResponse)
    async def composed() -> str:
        return '<m:fragment service="orders" ref="checkout">closed</m:fragment>'

    @app.get("/fragments/checkout", response_class=HTMLResponse)
    @hydra.fragment("checkout")
    async def checkout() -> str:
        return f"checkout at {host}"

    @app.websocket(f"/{name}/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(name)
        await socket.close()

    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


@asynccontextmanager
async def hub(eventually: Eventually) -> AsyncIterator[Fleet]:
    """Two gateways; `orders` is registered at one of them, `shop` at the other."""
    async with Fleet() as fleet:
        for host in (G1, G2):
            await fleet.gateway(host)
        await fleet.service(ORDERS, G1, service="orders")
        await fleet.service(SHOP, G2, service="shop")
        for host in (G1, G2):
            await fleet.sees(eventually, host, 2)
        yield fleet


async def test_a_hub(eventually: Eventually) -> None:
    """What is registered at one gateway is served by all, pages and their fragments."""
    async with hub(eventually) as fleet:
        for gateway in (G1, G2):
            assert (await fleet.get(gateway, "/orders")).body == b"orders 0 at " + ORDERS.encode()
            assert (await fleet.get(gateway, "/shop")).body == b"shop 0 at " + SHOP.encode()
            assert (await fleet.get(gateway, "/shop/composed")).body == b"checkout at " + ORDERS.encode()


async def test_leaving_a_hub(eventually: Eventually) -> None:
    """A service that leaves by one gateway is gone from all of them."""
    async with hub(eventually) as fleet:
        await fleet.nodes[ORDERS].stop()
        for gateway in (G1, G2):
            await fleet.sees(eventually, gateway, 1)
            assert (await fleet.get(gateway, "/orders")).status == 503


async def mesh(fleet: Fleet, eventually: Eventually) -> None:
    """Version 1 of `orders` with nine tenths of the users, version 2 with the rest, and a shop."""
    await fleet.member(V1, service="orders", version=1, weight=90)
    await fleet.member(V2, service="orders", version=2, weight=10)
    await fleet.member(SHOP, service="shop")
    for host in (V1, V2, SHOP):
        await fleet.sees(eventually, host, 3)


async def test_a_mesh(eventually: Eventually) -> None:
    """Apps that open the same store are one site: each serves the pages of all, and nobody registers over HTTP."""
    calls: list[str] = []
    async with Fleet() as fleet:
        await mesh(fleet, eventually)
        for host, app in list(fleet.apps.items()):

            async def noting(scope: Any, receive: Any, send: Any, app: Any = app) -> None:
                calls.append(scope["path"])
                await app(scope, receive, send)

            fleet.apps[host] = noting
        for host in (V1, V2, SHOP):
            assert (await fleet.get(host, "/shop")).body == b"shop 0 at " + SHOP.encode()
            assert (await fleet.get(host, "/shop/composed", USERS[0])).body.startswith(b"checkout at 127.0.0.1:900")
            assert fleet.nodes[host].state == "registered"
        assert not any(path.endswith(("registration", "alive")) for path in calls)


async def test_canary_shares_in_a_mesh(eventually: Eventually) -> None:
    """Every node gives a user the same version, also the nodes that own the route; a tenth of them sees the new one."""
    async with Fleet() as fleet:
        await mesh(fleet, eventually)
        seen = {host: [(await fleet.get(host, "/orders", key)).body for key in USERS] for host in fleet.apps}
        assert seen[V1] == seen[V2] == seen[SHOP]
        share = sum(body.startswith(b"orders 2") for body in seen[V1]) / len(USERS)
        assert 0.05 < share < 0.15


async def test_nobody_chooses_a_second_time(eventually: Eventually) -> None:
    """What a node has sent to an instance is served there, even where that one would send it elsewhere."""
    async with Fleet() as fleet:
        await mesh(fleet, eventually)
        own = directory_of(fleet.nodes[V2]).state.own
        assert own is not None
        chosen = [(b"hydra-path", b"%d" % own.token)]
        bodies = {(await fleet.get(V2, "/orders", key)).body for key in USERS[:20]}
        assert V1_PAGE in bodies
        for key in USERS[:20]:
            assert (await fleet.get(V2, "/orders", key, chosen)).body == V2_PAGE
            assert (await fleet.get(V1, "/orders", key, chosen)).body in {V1_PAGE, V2_PAGE}
        assert (await fleet.get(V2, "/shop", USERS[0], chosen)).body == b"shop 0 at " + SHOP.encode()


@pytest.mark.parametrize("mood", ["is_away", "hangs"])
async def test_no_request_notices_the_store(eventually: Eventually, mood: str) -> None:
    """Pages, forwarded pages, their fragments and WebSockets are served while the store fails or never answers."""
    async with Fleet() as fleet:
        await mesh(fleet, eventually)
        setattr(fleet.store, mood, True)
        for node in fleet.nodes.values():
            directory_of(node)._wake.set()
        for key in USERS[:50]:
            async with asyncio.timeout(5):
                assert (await fleet.get(SHOP, "/orders", key)).status == 200
                assert await fleet.talk(SHOP, "/shop/live") == ["websocket.accept", "websocket.send", "websocket.close"]
                assert (await fleet.get(V1, "/shop/composed", key)).body.startswith(b"checkout at 127.0.0.1:900")
        assert fleet.store.waiting <= 2 * len(fleet.nodes)


async def test_health_while_the_store_is_away(eventually: Eventually) -> None:
    """A node says that its store is away, why and since when, goes on, and says when all is well."""
    async with Fleet() as fleet:
        await fleet.member(SHOP, service="shop")
        await fleet.sees(eventually, SHOP, 1)
        fleet.store.is_away = True
        directory = directory_of(fleet.nodes[SHOP])
        await eventually(lambda: directory.health.status == "degraded")
        body = json.loads((await fleet.get(SHOP, "/h/ready")).body)
        assert (body["status"], body["why"]) == ("degraded", "the store failed: the store is away")
        assert (await fleet.get(SHOP, "/shop")).status == 200
        fleet.store.is_away = False
        await eventually(lambda: directory.health.status == "ok")
