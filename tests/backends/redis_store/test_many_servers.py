"""Sentinels, clusters and TLS: the same store on more than one server, or on one that is farther away."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import StoreError
from tests.backends.redis_store.servers import a_server, a_store
from tests.backends.store_rig import a_lease, an_instance
from tests.e2e.processes import free_port
from tests.faults.cluster import Cluster
from tests.faults.redis_server import RedisServer
from tests.faults.sentinels import Sentinels


async def until(call: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """The result of a call that fails at first."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await call()
            except StoreError:
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with Sentinels(tmp_path_factory.mktemp("sentinels")) as sentinels:
        yield sentinels


async def test_the_master_is_found_and_found_again(sentinels: Sentinels) -> None:
    """After a planned failover, and after one because the master is gone, calls go on without a restart."""
    async with a_store(f"{sentinels.url}?timeout=1") as store:
        first = await until(lambda: store.register(an_instance(1), a_lease("a")))
        woken = asyncio.Event()
        store.on_change(woken.set)
        await asyncio.to_thread(sentinels.fail_over)
        second = await until(lambda: store.register(an_instance(2), a_lease("b")))
        assert {listed.token for listed in (await store.snapshot()).instances} == {first.token, second.token}
        before = await asyncio.to_thread(lambda: sentinels.master)
        await asyncio.to_thread(before.kill)
        third = await until(lambda: store.register(an_instance(3), a_lease("c")), 30)
        assert third in (await until(store.snapshot)).instances
        await asyncio.wait_for(woken.wait(), 20)


async def test_sentinels_that_know_no_such_master_are_named(sentinels: Sentinels) -> None:
    """A misspelt name is told from a server that is away."""
    async with a_store(sentinels.url.replace("/site/", "/sight/") + "?timeout=1") as store:
        with pytest.raises(
            StoreError, match=r"Redis 'sight' of the Sentinels at .* cannot be reached: No master found"
        ):
            await store.revision()


async def test_a_cluster_keeps_a_namespace_together(tmp_path: Path) -> None:
    """Every verb works whichever node has the slot, changes wake, and a node that is away is an error that passes."""
    with Cluster(tmp_path) as cluster:
        url = f"{cluster.url}?timeout=2"
        for namespace in ("a", "b", "c", "d"):
            async with a_store(f"{url}&namespace={namespace}") as one, a_store(f"{url}&namespace={namespace}") as other:
                woken = asyncio.Event()
                end = other.on_change(woken.set)
                listed = await one.register(an_instance(), a_lease())
                while not woken.is_set():
                    await one.drain(listed.token, draining=True)
                    await one.drain(listed.token, draining=False)
                    await asyncio.sleep(0.02)
                end()
                await one.configure("orders", ServiceSettings({1: 1.0}))
                assert await one.first_use("n", 60)
                assert not await other.first_use("n", 60)
                assert await one.keep_secret("sso", b"s", expected=None)
                assert await other.secret("sso") == b"s"
                await other.vouch(listed.token)
                assert [lease.id for lease in await other.leases_of("orders", "10.0.0.1")] == ["a"]
                assert await other.renew("a", "orders")
                assert (await other.snapshot()).instances == (listed,)
                assert await other.revision() == await one.revision()
                assert await one.release("a", "orders")
        async with a_store(f"{url}&namespace=a") as store:
            await store.revision()
            await asyncio.to_thread(stop_all, cluster.nodes)
            with pytest.raises(StoreError, match=r"the Redis cluster at 127.0.0.1:\d+, 127.0.0.1:\d+"):
                await store.revision()


def stop_all(nodes: list[RedisServer]) -> None:
    for node in nodes:
        node.kill()


PAGE = Path(__file__).parents[3] / "docs" / "redis.md"


async def test_a_cluster_goes_on_when_the_node_with_our_keys_dies(tmp_path: Path) -> None:
    """Its replica is found without a restart, and nothing is lost; the access rule of the manual is enough."""
    page = PAGE.read_text()
    rule = next(line for line in page.splitlines() if line.startswith("ACL SETUSER")).replace("PASSWORD", "secret")
    more = next(line for line in page.splitlines() if line.startswith("In a cluster add `")).split("`")[1]
    with Cluster(tmp_path, replicas=1) as cluster:
        await asyncio.to_thread(cluster.ask_all, *rule.split(), *more.split())
        await asyncio.to_thread(cluster.ask_all, "ACL", "SETUSER", "default", "resetpass", "off")
        url = cluster.url.replace("//", "//site:secret@") + "?timeout=1"
        async with a_store(url) as store, a_store(url) as other:
            woken = asyncio.Event()
            other.on_change(woken.set)
            for name in ("a", "b", "c"):
                await store.register(an_instance(ord(name)), a_lease(name))
            before = await other.snapshot()
            await asyncio.to_thread(cluster.owner.kill)
            assert await until(lambda: store.renew("a", "orders"), 30)
            assert (await until(other.snapshot)).instances == before.instances
            woken.clear()
            while not woken.is_set():
                await store.configure("orders", ServiceSettings(prefixes=(f"/{time.monotonic_ns()}",)))
                await asyncio.sleep(0.1)


async def test_a_user_who_may_not_ask_for_the_slots_is_told_so(tmp_path: Path) -> None:
    """The client's own words for that would be that it is no cluster."""
    with a_server(tmp_path) as server:
        async with a_store(f"redis+cluster://127.0.0.1:{server.port}?timeout=2") as store:
            with pytest.raises(StoreError, match=r"is no cluster, or does not let our user ask for its slots; docs"):
                await store.revision()


CERTIFICATES = Path(__file__).parents[1] / "native_upstream" / "certificates"


async def test_tls_is_checked_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's certificate has to be trusted, and one that asks for ours is shown it."""
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "server.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = free_port()
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(CERTIFICATES / "server.pem"),
        "tls-key-file": str(CERTIFICATES / "server.pem"),
        "tls-ca-cert-file": str(CERTIFICATES / "authority.pem"),
    }
    trust, ours = f"ca={CERTIFICATES / 'authority.pem'}", f"certificate={CERTIFICATES / 'client.pem'}"
    with a_server(tmp_path, **options):
        for url in (
            f"rediss://server.test:{port}?timeout=5&{trust}&{ours}",
            f"redis://server.test:{port}?timeout=5&tls=yes&{trust}&{ours}",
        ):
            async with a_store(url) as store:
                await store.register(an_instance(), a_lease())
                assert await store.renew("a", "orders")
        for url in (
            f"rediss://server.test:{port}?timeout=5&{ours}",
            f"rediss://server.test:{port}?timeout=5&{trust}",
            f"rediss://127.0.0.1:{port}?timeout=5&{trust}&{ours}",
            f"redis://server.test:{port}?timeout=1",
        ):
            async with a_store(url) as store:
                with pytest.raises(StoreError, match=r"Redis at .* (cannot be reached|did not answer)"):
                    await store.revision()
