"""Nodes on a real shared store: what they find there, and what they do when they start without it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.backends.sqlite_store import SqliteStore
from hydra_asgi.core.instance import Address, Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.node.last_known_good import LastKnownGood
from hydra_asgi.ports import LeaseState
from hydra_asgi.testing import AsgiUpstream
from tests.doubles.gateway import MoodyStore
from tests.doubles.prober import FakeProber
from tests.doubles.site import Echo
from tests.exchange import Exchange, exchange, http_scope

Eventually = Callable[..., Any]
SHOP, ORDERS = "127.0.0.1:9001", "127.0.0.1:9002"
TOKEN = 1_234_567_890
SECONDS = 20.0
"""A file is polled every 0.8 s, by nodes on a machine that is busy."""


class Pair:
    """A shop whose page shows a fragment of the order service; both open the same file and are told nothing else."""

    def __init__(self, store: str, **options: Any) -> None:
        self.apps: dict[str, Any] = {}
        self.nodes: dict[str, Hydra] = {}
        for host, name in ((SHOP, "shop"), (ORDERS, "orders")):
            given = {"service": name, "address": f"http://{host}", "store": store, **options}
            hydra = Hydra(**given, upstream=AsgiUpstream(self.apps), prober=FakeProber())
            self.nodes[host], self.apps[host] = hydra, page_app(hydra, name)

    async def start(self, *hosts: str) -> None:
        for host in hosts:
            await self.nodes[host].start(self.apps[host])

    async def stop(self) -> None:
        for hydra in self.nodes.values():
            await hydra.stop()

    async def get(self, host: str, path: str) -> Exchange:
        return await exchange(self.apps[host], http_scope(path))

    async def shows(self, eventually: Eventually, body: bytes) -> None:
        """Wait until the page is this."""
        seen = [b""]

        async def look() -> None:
            while seen[0] != body:
                seen[0] = (await self.get(SHOP, "/shop")).body
                await asyncio.sleep(0.02)

        looking = asyncio.create_task(look())
        try:
            await eventually(looking.done, SECONDS)
        finally:
            looking.cancel()
            await asyncio.wait([looking])
        assert seen == [body]


def page_app(hydra: Hydra, name: str) -> FastAPI:
    app = FastAPI()

    @app.get(f"/{name}", response_class=HTMLResponse)
    async def page() -> str:
        return '<m:fragment service="orders" ref="checkout">closed</m:fragment>'

    @app.get("/fragments/checkout", response_class=HTMLResponse)
    @hydra.fragment("checkout")
    async def checkout() -> str:
        return "checkout"

    app.add_middleware(HydraMiddleware, hydra=hydra)
    return app


def directory_of(hydra: Hydra) -> Any:
    assert hydra.running is not None
    return hydra.running.directory


async def test_a_mesh_needs_nothing_but_the_store(tmp_path: Path, eventually: Eventually) -> None:
    """Nodes that were given neither key nor secret find both in their store, and render each other's fragments."""
    pair = Pair(f"sqlite:///{tmp_path}/site.db")
    try:
        await pair.start(SHOP, ORDERS)
        await pair.shows(eventually, b"checkout")
        assert (await pair.get(ORDERS, "/shop")).body == b"checkout"
    finally:
        await pair.stop()


async def test_a_node_can_be_started_again(tmp_path: Path, eventually: Eventually) -> None:
    """Each run opens the store anew, and what a run has opened it closes."""
    pair = Pair(f"sqlite:///{tmp_path}/site.db")
    first = pair.nodes[SHOP].store
    assert isinstance(first, SqliteStore)
    try:
        for _ in range(2):
            await pair.start(SHOP, ORDERS)
            await pair.shows(eventually, b"checkout")
            await pair.stop()
    finally:
        await pair.stop()
    assert pair.nodes[SHOP].store is not first


def test_a_node_that_is_switched_off_opens_nothing(tmp_path: Path) -> None:
    """A pass-through needs no store, nor the library for one."""
    store = f"sqlite:///{tmp_path}/site.db"
    assert isinstance(Hydra(store=store, enabled=False).store, MemoryStore)


class Leaving(MoodyStore):
    """A store that may be away in all its verbs, and notes when it is closed."""

    closed = 0

    async def revision(self) -> Any:
        await self._mood()
        return await super().revision()

    async def snapshot(self) -> Any:
        await self._mood()
        return await super().snapshot()

    async def close(self) -> None:
        self.closed += 1
        await self._mood()


async def test_a_store_that_was_given_is_not_ours_to_close() -> None:
    """Whoever made a store closes it: other nodes may use it, too."""
    store = Leaving()
    hydra = Hydra(store=store, upstream=AsgiUpstream({}))
    HydraMiddleware(None, hydra=hydra)
    await hydra.start()
    await hydra.stop()
    assert store.closed == 0


@pytest.mark.parametrize("mood", ["is_away", "hangs"])
async def test_the_end_does_not_depend_on_the_store(monkeypatch: pytest.MonkeyPatch, mood: str) -> None:
    """A store that cannot be closed is left as it is, after a moment."""
    store = Leaving()
    monkeypatch.setattr("hydra_asgi.node.node.open_store", lambda url: store)
    monkeypatch.setattr("hydra_asgi.node.background.CLOSE_SECONDS", 0.01)
    hydra = Hydra(upstream=AsgiUpstream({}))
    HydraMiddleware(None, hydra=hydra)
    await hydra.start()
    setattr(store, mood, True)
    async with asyncio.timeout(5):
        await hydra.stop()
    assert store.closed == 1


@pytest.mark.parametrize("mood", ["is_away", "hangs"])
async def test_a_cold_start_without_the_store(
    tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    """A gateway that kept what it knew serves it at once, says that it may be out of date, and keeps what it hears."""
    monkeypatch.setattr("hydra_asgi.node.background.START_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr("hydra_asgi.node.assembly.BEAT_SECONDS", 0.0)
    monkeypatch.setattr("hydra_asgi.node.last_known_good.PAUSE_SECONDS", 0.02)
    orders = ServiceInstance("orders", Address("http", "127.0.0.1", 9002), routes=(Route("/orders"),), token=TOKEN)
    kept = LastKnownGood(str(tmp_path / "known"))
    await kept.keep(Snapshot(Revision("e", 1), (orders,)))
    store = Leaving()
    setattr(store, mood, True)
    apps = {ORDERS: Echo("orders")}
    hydra = Hydra(store=store, key="k", last_known_good=str(tmp_path / "known"), upstream=AsgiUpstream(apps))
    gateway = HydraMiddleware(None, hydra=hydra)
    async with asyncio.timeout(5):
        await hydra.start()
        assert (await exchange(gateway, http_scope("/orders"))).body == b"orders"
    await eventually(lambda: directory_of(hydra).health.status == "degraded")
    setattr(store, mood, False)
    await store.register(replace(orders, version=2), LeaseState("lease", "orders", signed=True))
    await eventually(lambda: directory_of(hydra).health.status == "ok", SECONDS)

    async def versions() -> list[int]:
        known = await kept.recall()
        return [] if known is None else [instance.version for instance in known.instances]

    async with asyncio.timeout(SECONDS):
        while await versions() != [2]:  # noqa: ASYNC110 - a file sets no event
            await asyncio.sleep(0.01)
    await hydra.stop()
