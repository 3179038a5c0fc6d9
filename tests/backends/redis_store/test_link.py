"""The way to the server: bounded in time, translated into plain words, and found again after trouble."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hydra_asgi.backends.redis_store import RedisStore
from hydra_asgi.backends.redis_store.link import MAX_CONNECTIONS, Link
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import StoreError
from tests.backends.redis_store.servers import a_server, a_store, fresh_namespace, let_pass, name_of
from tests.backends.store_rig import a_lease, an_instance
from tests.e2e.processes import free_port
from tests.faults.redis_server import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with a_server(tmp_path) as server:
        yield server


def every_verb(store: RedisStore) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "register": lambda: store.register(an_instance(), a_lease()),
        "renew": lambda: store.renew("a", "orders"),
        "release": lambda: store.release("a", "orders"),
        "leases_of": lambda: store.leases_of("orders", "10.0.0.1"),
        "vouch": lambda: store.vouch(1_000_000_000),
        "drain": lambda: store.drain(1_000_000_000),
        "configure": lambda: store.configure("orders", ServiceSettings({1: 1.0})),
        "first_use": lambda: store.first_use("n", 60),
        "secret": lambda: store.secret("sso"),
        "keep_secret": lambda: store.keep_secret("sso", b"s", expected=None),
        "revision": store.revision,
        "snapshot": store.snapshot,
    }


async def test_every_verb_says_that_nobody_is_there() -> None:
    """One error with the place, whatever is asked."""
    port = free_port()
    async with a_store(f"redis://127.0.0.1:{port}") as store:
        for verb in every_verb(store).values():
            with pytest.raises(StoreError, match=rf"Redis at 127.0.0.1:{port} cannot be reached"):
                await verb()


async def test_a_server_that_hangs_costs_half_a_second_at_most(server: RedisServer) -> None:
    """Calls fail within two timeouts, many at once as soon as one, and go on when the server does."""
    async with a_store(server, "timeout=0.25") as store:
        await store.register(an_instance(), a_lease())
        await asyncio.to_thread(server.freeze)
        try:
            for verb in every_verb(store).values():
                began = time.monotonic()
                with pytest.raises(StoreError, match=r"did not answer in time \(0.25 s\)"):
                    await verb()
                assert time.monotonic() - began < 2  # 0.4 s, and 1 s for a snapshot, on a machine with time
            began = time.monotonic()
            calls = [store.renew("a", "orders") for _ in range(3 * MAX_CONNECTIONS)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - began < 2
            assert all(isinstance(outcome, StoreError) for outcome in outcomes)
        finally:
            server.thaw()
        await until(store.revision)
        assert await store.renew("a", "orders")


async def until(call: Callable[[], Awaitable[Any]], seconds: float = 10) -> Any:
    """The result of a call that fails at first."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await call()
            except StoreError:
                await asyncio.sleep(0.02)


async def test_a_restarted_server_is_found_by_the_very_next_call(server: RedisServer) -> None:
    """Connections that were cut while idle are no failure, and scripts that are gone are sent again."""
    async with a_store(server, "timeout=5") as store:
        await asyncio.gather(*(store.revision() for _ in range(5)))
        await asyncio.to_thread(server.restart)
        assert await store.first_use("n", 60)
        await store.register(an_instance(), a_lease())
        assert await store.renew("a", "orders")


async def test_scripts_that_were_flushed_are_sent_again(server: RedisServer) -> None:
    """SCRIPT FLUSH is not noticed by anybody."""
    async with a_store(server, "timeout=5") as store:
        for name, verb in every_verb(store).items():
            await asyncio.to_thread(server.ask, "SCRIPT", "FLUSH")
            assert await verb() is not False or name in {"renew", "release", "drain"}


async def test_more_calls_than_connections_wait_for_each_other(server: RedisServer) -> None:
    """A burst is served, over a bounded number of connections."""
    async with a_store(server, "timeout=5") as store:
        await asyncio.gather(*(store.register(an_instance(port), a_lease(str(port))) for port in range(1, 301)))
        assert len((await store.snapshot()).instances) == 300
        clients = await asyncio.to_thread(server.info, "clients")
        assert int(clients["connected_clients"]) <= MAX_CONNECTIONS + 1


async def test_cancelled_calls_leave_nothing(server: RedisServer) -> None:
    """No reply of a call that was given up is taken for another's, and no connection is lost."""
    async with a_store(server, "timeout=5") as store:
        await store.register(an_instance(), a_lease())
        for turn in range(200):
            call = asyncio.create_task(store.leases_of("orders", "10.0.0.1"))
            for _ in range(turn % 7):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert await store.secret("sso") is None
            assert await store.renew("a", "orders") is True
        await asyncio.gather(*(store.revision() for _ in range(2 * MAX_CONNECTIONS)))


async def test_a_full_server_is_read_and_nothing_lapses(server: RedisServer) -> None:
    """Writes say that memory is used up; polls and snapshots go on, and nobody is forgotten for beats not taken."""
    async with a_store(server, "timeout=5") as store:
        for port in (1, 2):
            await store.register(an_instance(port), a_lease(str(port)))
        before = await store.snapshot()
        await asyncio.to_thread(server.ask, "CONFIG", "SET", "maxmemory", "1")
        for verb in ("register", "first_use", "keep_secret", "configure"):
            with pytest.raises(StoreError, match=r"is full: it refuses to write. Give it more memory"):
                await every_verb(store)[verb]()
        with pytest.raises(StoreError, match="is full"):
            await store.renew("1", "orders")
        for _ in range(4):
            await let_pass_while_full(server, store)
            assert await store.snapshot() == before
        await asyncio.to_thread(server.ask, "CONFIG", "SET", "maxmemory", "0")
        await let_pass(server, store, 2)
        assert await store.renew("1", "orders")
        assert await store.snapshot() == before


async def let_pass_while_full(server: RedisServer, store: RedisStore) -> None:
    """Five seconds: room is made for nothing but the change of what the clock has seen."""

    def move() -> None:
        server.ask("CONFIG", "SET", "maxmemory", "0")
        server.ask("HINCRBY", name_of(store, "META"), "seen", -5000)
        server.ask("CONFIG", "SET", "maxmemory", "1")

    await asyncio.to_thread(move)


async def test_a_replica_says_that_it_is_one(server: RedisServer, tmp_path: Path) -> None:
    """The way out is in the message; when it becomes the master it is used without a restart."""
    with a_server(tmp_path, replicaof=f"127.0.0.1 {server.port}") as replica:
        async with a_store(replica, "timeout=5") as store:
            with pytest.raises(StoreError, match=r"is a replica and takes no changes. Name the master, or Sentinels"):
                await until_known(store.revision, "replica")
            await asyncio.to_thread(replica.ask, "REPLICAOF", "NO", "ONE")
            await store.register(an_instance(), a_lease())
            assert len((await store.snapshot()).instances) == 1


async def until_known(call: Callable[[], Awaitable[Any]], word: str) -> None:
    """Call until the error is the one that lasts: a replica loads and connects first."""
    async with asyncio.timeout(10):
        while True:
            try:
                await call()
            except StoreError as error:
                if word in str(error):
                    raise
            await asyncio.sleep(0.05)


async def test_a_long_script_of_somebody_else_is_waited_out(server: RedisServer) -> None:
    """BUSY is an error that passes; nothing has to be done."""
    await asyncio.to_thread(server.ask, "CONFIG", "SET", "busy-reply-threshold", "20")
    async with a_store(server, "timeout=5") as store:
        await store.revision()
        loop = asyncio.create_task(
            asyncio.to_thread(blocked, server, "local n = 0 while n < 1e12 do n = n + 1 end return n")
        )
        with pytest.raises(StoreError, match=r"is busy with somebody's script; it is tried again"):
            await until_known(store.revision, "busy")
        await asyncio.to_thread(server.ask, "SCRIPT", "KILL")
        await until(store.revision)
        await loop


def blocked(server: RedisServer, script: str) -> None:
    with pytest.raises(Exception, match="killed"):
        server.ask("EVAL", script, 0, seconds=30)


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ("", "wants a password"),
        (":wrong@", "does not accept the user or the password"),
        ("who:right@", "does not accept the user or the password"),
    ],
)
async def test_passwords_are_told_apart(tmp_path: Path, login: str, said: str) -> None:
    """A missing one from a wrong one; neither is shown."""
    with a_server(tmp_path, requirepass="right") as server:
        async with a_store(f"redis://{login}127.0.0.1:{server.port}?timeout=5") as store:
            with pytest.raises(StoreError, match=said) as wrong:
                await store.revision()
            assert "right" not in str(wrong.value)
        async with a_store(f"redis://:right@127.0.0.1:{server.port}?timeout=5") as store:
            await store.revision()


PAGE = Path(__file__).parents[3] / "docs" / "redis.md"


async def test_a_user_that_may_do_nothing_else_is_enough(server: RedisServer, tmp_path: Path) -> None:
    """The access rule of the manual is enough for every verb, and for nothing outside the namespace."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith("ACL SETUSER")]
    words = line.replace("PASSWORD", "secret").split()
    await asyncio.to_thread(server.ask, *words)
    await asyncio.to_thread(server.ask, "ACL", "SETUSER", "default", "resetpass", "off")
    url = f"redis://site:secret@127.0.0.1:{server.port}?timeout=5"
    woken = asyncio.Event()
    async with a_store(url) as store, a_store(url) as other:
        end = other.on_change(woken.set)
        while not woken.is_set():
            await store.configure("orders", ServiceSettings(prefixes=(f"/{time.monotonic_ns()}",)))
            await asyncio.sleep(0.05)
        end()
        for port in range(1, 10):
            await store.register(an_instance(port), a_lease(str(port)))
        for verb in every_verb(store).values():
            await verb()
        meta = name_of(store, "META")
        for _ in range(30):
            await store._link.ask("HINCRBY", meta, "seen", -500)  # every rule of the sweep
            await store.revision()
        await store._link.ask("RENAME", meta, name_of(store, "TOKENS") + ":x")
        await store._link.ask("SET", meta, "poison")
        await store.snapshot()
    async with a_store(f"{url}&namespace=shop") as stranger:
        for verb in every_verb(stranger).values():
            with pytest.raises(StoreError, match=r"does not let our user do what we need; docs/redis.md has the ACL"):
                await verb()


async def test_a_user_that_may_not_ask_for_the_policy_is_served(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning is a courtesy; without the right to INFO everything else works."""
    await asyncio.to_thread(server.ask, "ACL", "SETUSER", "site", "on", "nopass", "~*", "&*", "+@all", "-info")
    async with a_store(f"redis://site:any@127.0.0.1:{server.port}?timeout=5") as store:
        assert await store.revision() == await store.revision()
    assert not caplog.records


async def test_a_unix_socket_works(tmp_path: Path) -> None:
    """On one host no port has to be open."""
    path = tmp_path / "s"
    with a_server(tmp_path, unixsocket=str(path)):
        async with a_store(f"unix://{path}?timeout=5&db=1") as store:
            await store.register(an_instance(), a_lease())
            assert len((await store.snapshot()).instances) == 1


async def test_a_subscription_comes_back(server: RedisServer, eventually: Callable[..., Any]) -> None:
    """After a restart changes wake again; what was missed meanwhile is made good by one wake."""
    woken: list[None] = []
    query = fresh_namespace()
    async with a_store(server, query) as one, a_store(server, query) as other:
        other.on_change(lambda: woken.append(None))
        channel = name_of(one, "CHANGES")
        subscribed = [channel.encode(), 1]
        await eventually(lambda: server.ask("PUBSUB", "NUMSUB", channel) == subscribed)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.7)  # some attempts fail
        await asyncio.to_thread(server.start)
        await eventually(lambda: woken, 10)
        await eventually(lambda: server.ask("PUBSUB", "NUMSUB", channel) == subscribed)
        woken.clear()
        await one.register(an_instance(), a_lease())
        await eventually(lambda: woken)


async def test_a_subscriber_that_fails_hurts_nobody(
    server: RedisServer,
    eventually: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its error is logged, and so is one of our own; others are woken."""
    woken: list[None] = []

    def fail() -> None:
        raise RuntimeError("subscriber")

    async def broken(link: Link, channel: str) -> Any:
        raise RuntimeError("no such thing")

    async with a_store(server, "timeout=5") as store:
        with monkeypatch.context() as patch:
            patch.setattr(Link, "listen", broken)
            store.on_change(fail)
            store.on_change(lambda: woken.append(None))
            await eventually(lambda: "listening for changes failed" in caplog.text)
        await eventually(lambda: subscribers(server) == 1)
        await store.register(an_instance(), a_lease())
        await eventually(lambda: woken)
        assert "a callback of the store failed" in caplog.text


async def test_a_silent_subscription_is_made_anew(
    server: RedisServer, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that gives no sign of life is given up; one that does is kept."""
    monkeypatch.setattr("hydra_asgi.backends.redis_store.wake.PING_SECONDS", 0.05)
    woken: list[None] = []
    async with a_store(server, "timeout=0.3") as store:
        store.on_change(lambda: woken.append(None))
        await eventually(lambda: subscribers(server) == 1)
        first = await asyncio.to_thread(subscriber_ids, server)
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(subscriber_ids, server) == first
        await asyncio.to_thread(server.freeze)
        await asyncio.sleep(1.6)
        server.thaw()
        await eventually(lambda: woken, 10)
        await eventually(lambda: subscribers(server) == 1)
        assert await asyncio.to_thread(subscriber_ids, server) != first


def subscriber_ids(server: RedisServer) -> list[str]:
    answer = server.ask("CLIENT", "LIST", "TYPE", "pubsub")
    assert isinstance(answer, bytes)
    return [line.split()[0] for line in answer.decode().splitlines()]


def subscribers(server: RedisServer) -> int:
    return len(subscriber_ids(server))
