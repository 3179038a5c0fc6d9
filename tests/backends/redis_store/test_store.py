"""What only the store in Redis promises: about other nodes, strange entries, and what a server may do."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hydra_asgi.backends.redis_store import open_redis_store, scripts
from hydra_asgi.core.instance import Route
from hydra_asgi.core.service_settings import ServiceSettings
from hydra_asgi.errors import RefusedError, StoreError
from tests.backends.redis_store.servers import a_server, a_store, fresh_namespace, let_pass, name_of
from tests.backends.store_rig import a_lease, an_instance
from tests.faults.redis_server import RedisServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with a_server(tmp_path_factory.mktemp("store")) as server:
        yield server


async def test_sites_in_one_server_do_not_see_each_other(server: RedisServer) -> None:
    """Instances, settings and secrets belong to a namespace."""
    async with a_store(server) as one, a_store(server) as other:
        await one.register(an_instance(), a_lease())
        await one.configure("orders", ServiceSettings({1: 1.0}))
        await one.keep_secret("sso", b"s", expected=None)
        await one.first_use("n", 60)
        assert (await other.snapshot()).instances == ()
        assert dict((await other.snapshot()).settings) == {}
        assert await other.secret("sso") is None
        assert await other.first_use("n", 60)
        assert not await other.renew("a", "orders")


async def test_nodes_see_each_other(server: RedisServer) -> None:
    """What one store wrote another one lists, as it was returned."""
    query = fresh_namespace()
    async with a_store(server, query) as one, a_store(server, query) as other:
        first = await one.register(an_instance(1), a_lease("a"))
        assert (await other.snapshot()).instances == (first,)
        second = await other.register(an_instance(2), a_lease("b"))
        assert (await one.snapshot()).instances == (first, second)
        assert await one.revision() == await other.revision()
        assert await other.release("a", "orders")
        assert (await one.snapshot()).instances == (second,)


async def test_a_poll_is_one_command_of_at_most_a_hundred_bytes(server: RedisServer) -> None:
    """And so is what it costs while nothing changes; beats do not move what it answers."""
    async with a_store(server) as store:
        await store.register(an_instance(), a_lease())
        await store.revision()
        before = await asyncio.to_thread(counts, server)
        for _ in range(20):
            await store.revision()
        after = await asyncio.to_thread(counts, server)
    assert after["evalsha"] - before["evalsha"] == 20
    assert after["sent"] - before["sent"] - after["overhead"] <= 20 * 100
    assert {name for name in after if after[name] > before.get(name, 0)} <= {
        "evalsha", "hmget", "hset", "time", "zrange", "hlen", "exists", "info", "sent", "overhead",
    }  # fmt: skip
    assert after["hset"] - before["hset"] <= 20 // 2  # the clock is noted now and then, not with each poll


def counts(server: RedisServer) -> dict[str, int]:
    """How often each command ran, and what the server sent: its own answer to this question is `overhead`."""
    stats = server.info("commandstats")
    sent = int(server.info("stats")["total_net_output_bytes"])
    again = int(server.info("stats")["total_net_output_bytes"])
    calls = {name.removeprefix("cmdstat_"): int(text.split(",")[0][6:]) for name, text in stats.items()}
    return {**calls, "sent": sent, "overhead": (again - sent) * 3}


async def test_an_instance_is_sent_again_only_when_it_changed(server: RedisServer, caplog: Any) -> None:
    """A hundred instances are not read again because one of them went silent or left."""
    query = fresh_namespace()
    async with a_store(server, query) as one, a_store(server, query) as other:
        for port in range(1, 101):
            await one.register(an_instance(port), a_lease(str(port)))
        first = {listed.token: listed for listed in (await other.snapshot()).instances}
        assert len(first) == 100
        await one.drain(next(iter(first)))
        await one.release("50", "orders")
        await one.register(an_instance(7, template="/new"), a_lease("7"))
        before = await asyncio.to_thread(lambda: int(server.info("stats")["total_net_output_bytes"]))
        second = {listed.token: listed for listed in (await other.snapshot()).instances}
        after = await asyncio.to_thread(lambda: int(server.info("stats")["total_net_output_bytes"]))
        assert after - before < 6_000  # with two answers to INFO
        assert len(second) == 99
        assert sum(second[token].routes is first[token].routes for token in second) == 98
        assert second[next(iter(first))].weight == 0.0


async def test_a_large_directory_comes_in_pages(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many instances there are, and whatever changes while pages are taken."""
    monkeypatch.setattr("hydra_asgi.backends.redis_store.store.PAGE_INSTANCES", 7)
    monkeypatch.setattr("hydra_asgi.backends.redis_store.store.PAGE_BYTES", 600)
    monkeypatch.setattr("hydra_asgi.backends.redis_store.store.PARSED_AT_ONCE", 3)
    query = fresh_namespace()
    async with a_store(server, query) as one, a_store(server, query) as other:
        for port in range(1, 41):
            await one.register(an_instance(port), a_lease(str(port)))

        async def change() -> None:
            for port in range(1, 41, 3):
                await one.register(an_instance(port, template="/new"), a_lease(str(port)))
                await one.release(str(port + 1), "orders")

        taken, _ = await asyncio.gather(other.snapshot(), change())
        assert len(taken.instances) >= 26
        assert await other.snapshot() == await one.snapshot()
        assert [listed.address.port % 3 for listed in (await other.snapshot()).instances] == [1, 0] * 13 + [1]
        async with a_store(server, query) as third:
            assert await third.snapshot() == await one.snapshot()


async def test_a_node_that_is_far_behind_takes_everything_anew(server: RedisServer) -> None:
    """What left is remembered for so many changes; who missed more cannot be told what changed."""
    query = fresh_namespace()
    async with a_store(server, query) as one, a_store(server, query) as other:
        for port in (1, 2):
            await one.register(an_instance(port), a_lease(str(port)))
        await other.snapshot()
        await one.release("1", "orders")
        for number in range(5):
            await one.configure("orders", ServiceSettings({number: 1.0}))

        def forget() -> None:  # as if thousands of changes had followed
            server.ask("LTRIM", name_of(one, "HISTORY"), -3, -1)
            server.ask("DEL", name_of(one, "GONE"))

        await asyncio.to_thread(forget)
        assert await other.snapshot() == await one.snapshot()
        assert [listed.address.port for listed in (await other.snapshot()).instances] == [2]


async def test_another_history_of_the_same_length_is_noticed(server: RedisServer) -> None:
    """After a failover that lost the last writes there may be as many changes as before, but others."""
    async with a_store(server) as store:
        await store.register(an_instance(1), a_lease("a"))
        kept = await asyncio.to_thread(dump_all, server, store)
        await store.register(an_instance(2), a_lease("b"))
        lost = await store.snapshot()
        await asyncio.to_thread(restore_all, server, kept)
        async with a_store(f"{server.url}?namespace={store.target.namespace}") as other:
            await other.register(an_instance(3), a_lease("c"))
            assert (await store.revision()).counter != lost.revision.counter
            assert await store.snapshot() == await other.snapshot()
            assert [listed.address.port for listed in (await store.snapshot()).instances] == [1, 3]
            await other.register(an_instance(4), a_lease("d"))
            assert len((await store.snapshot()).instances) == 3


def dump_all(server: RedisServer, *stores: Any) -> dict[bytes, bytes]:
    keys = [name_of(store, name) for store in stores for name in scripts.KINDS]
    found = {key.encode(): server.ask("DUMP", key) for key in keys}
    return {key: value for key, value in found.items() if isinstance(value, bytes)}


def restore_all(server: RedisServer, kept: dict[bytes, bytes]) -> None:
    for key, value in kept.items():
        server.ask("RESTORE", key, 0, value, "REPLACE")


@pytest.mark.parametrize("how", ["flush", "meta", "one key", "one field"])
async def test_a_directory_that_lost_something_starts_a_new_life(server: RedisServer, how: str) -> None:
    """Emptied, evicted or deleted by hand: a new epoch, nothing half, one alarm, and everybody registers again."""
    alarms: list[str] = []
    async with a_store(server, on_alarm=alarms.append) as store:
        await store.configure("orders", ServiceSettings({1: 1.0}))
        token = (await store.register(an_instance(1), a_lease("a"))).token
        await store.register(an_instance(2), a_lease("b"))
        before = await store.snapshot()

        def lose() -> None:
            match how:
                case "flush":
                    server.ask("FLUSHALL")
                case "meta":
                    server.ask("DEL", name_of(store, "META"))
                case "one key":
                    server.ask("DEL", name_of(store, "LEASES"))
                case "one field":
                    server.ask("HDEL", name_of(store, "DOCUMENTS"), str(token))

        await asyncio.to_thread(lose)
        after = await store.snapshot()
        assert after.revision.epoch != before.revision.epoch
        assert after.instances == ()
        assert not await store.renew("a", "orders")
        assert dict(after.settings) == ({} if how == "flush" else before.settings)
        (alarm,) = alarms
        assert "has lost the directory" in alarm
        assert (await store.register(an_instance(1), a_lease("a"))).token == token
        assert [listed.token for listed in (await store.snapshot()).instances] == [token]
        assert len(alarms) == 1


@pytest.mark.parametrize("name", [name for name in scripts.KINDS if name != "SECRETS"])
async def test_a_key_that_holds_something_else_is_put_aside(server: RedisServer, name: str) -> None:
    """Whatever the verb that meets it, it goes on; what was there can be looked at, and the operator is told once."""
    alarms: list[str] = []
    async with a_store(server, on_alarm=alarms.append) as store:
        await store.register(an_instance(1), a_lease("a"))
        await store.snapshot()
        key = name_of(store, name)
        await asyncio.to_thread(server.ask, "SET", key, "poison")
        await store.revision()
        await store.register(an_instance(2), a_lease("b"))
        await store.configure("orders", ServiceSettings({1: 1.0}))
        await store.register(an_instance(1), a_lease("a"))
        snapshot = await store.snapshot()
        assert {listed.address.port for listed in snapshot.instances} == {1, 2}
        assert dict(snapshot.settings) == {"orders": ServiceSettings({1: 1.0})}
        assert await asyncio.to_thread(server.ask, "GET", f"{key}:unreadable") == b"poison"
        assert sum(f"held a string under {key!r}" in alarm for alarm in alarms) == 1
        assert len(alarms) <= 2


async def test_what_cannot_be_put_aside_is_an_error(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that holds something else again at once is named to the caller."""
    async with a_store(server) as store:
        await store.revision()

        async def nothing() -> None:
            """Somebody was quicker."""

        monkeypatch.setattr(store, "_mend", nothing)
        await asyncio.to_thread(server.ask, "SET", name_of(store, "META"), "poison")
        with pytest.raises(StoreError, match="holds something else under one of our keys"):
            await store.revision()


async def test_secrets_are_never_put_aside(server: RedisServer) -> None:
    """A key of secrets that holds something else is named, and left to the operator."""
    async with a_store(server) as store:
        await asyncio.to_thread(server.ask, "SET", name_of(store, "SECRETS"), "poison")
        with pytest.raises(StoreError, match=r"holds something else under 'hydra:.*:secrets': look at it"):
            await store.secret("sso")
        with pytest.raises(StoreError, match=r"holds something else"):
            await store.keep_secret("sso", b"s", expected=None)
        assert await asyncio.to_thread(server.ask, "GET", name_of(store, "SECRETS")) == b"poison"


POISON = [
    ("not json", b"\xff{"),
    ("not an object", b"[]"),
    ("wrong types", b'{"schema":1,"service":5}'),
    ("another instance", None),
    ("huge", b'{"schema":1,"service":"' + b"x" * 3_000_000 + b'"}'),
    ("the future", b'{"schema":9,"reads":9}'),
]


@pytest.mark.parametrize(("what", "document"), POISON, ids=[what for what, _ in POISON])
async def test_a_document_that_cannot_be_read_is_left_out(
    server: RedisServer, caplog: pytest.LogCaptureFixture, what: str, document: bytes | None
) -> None:
    """The rest is served; it is said once, with the entry and the reason; what is readable again is listed again."""
    query = fresh_namespace()
    async with a_store(server, query) as writer, a_store(server, query) as reader:
        token = (await writer.register(an_instance(1), a_lease("a"))).token
        other = await writer.register(an_instance(2), a_lease("b"))
        documents = name_of(writer, "DOCUMENTS")
        if document is None:
            answer = await asyncio.to_thread(server.ask, "HGET", documents, str(other.token))
            assert isinstance(answer, bytes)
            document = answer
        await asyncio.to_thread(server.ask, "HSET", documents, str(token), document)
        for _ in range(3):
            snapshot = await reader.snapshot()
            assert (snapshot.instances, snapshot.unreadable) == ((other,), 1)
        await writer.drain(token)
        assert (await reader.snapshot()).instances == (other,)
        messages = [record.getMessage() for record in caplog.records]
        assert len([message for message in messages if "http://10.0.0.1:1" in message and "left out" in message]) == 1
        assert max(map(len, messages)) < 1000
        assert (await writer.register(an_instance(1, template="/new"), a_lease("a"))).token == token
        snapshot = await reader.snapshot()
        assert ({listed.token for listed in snapshot.instances}, snapshot.unreadable) == ({token, other.token}, 0)


@pytest.mark.parametrize(
    "record",
    ["", "{", "[]", "null", '{"key":5}', '{"key":"orders http://10.0.0.1:1","leases":[],"order":1,"told":1}',
     '{"key":"a b","leases":[{}],"order":1,"told":1}', '{"key":"a b","leases":["a"],"order":"x","told":1}',
     '{"key":"a b","leases":["a"],"order":1,"told":null}', "[" * 5000],
)  # fmt: skip
async def test_a_record_that_cannot_be_read_is_made_anew_with_the_next_beat(server: RedisServer, record: str) -> None:
    """The lease is unknown then, so its service registers again, under the same token."""
    async with a_store(server) as store:
        token = (await store.register(an_instance(1), a_lease("a"))).token
        other = await store.register(an_instance(2), a_lease("b"))
        await store.snapshot()
        await asyncio.to_thread(server.ask, "HSET", name_of(store, "INSTANCES"), str(token), record)
        await asyncio.to_thread(server.ask, "HSET", name_of(store, "LEASES"), "b", record)
        assert other in (await store.snapshot()).instances
        assert not await store.renew("b", "orders")
        assert await store.drain(token) is False
        await store.vouch(token)
        await let_pass(server, store, 1)
        again = await store.register(an_instance(1), a_lease("a"))
        await store.register(an_instance(2), a_lease("b"))
        assert again.token == token
        assert {listed.token for listed in (await store.snapshot()).instances} == {token, other.token}
        await let_pass(server, store, 12)
        assert (await store.snapshot()).instances == ()


@pytest.mark.parametrize("document", [b"{", b'{"schema":9,"reads":9}', b'{"schema":1,"policy":"?"}'])
async def test_settings_that_cannot_be_read_are_left_out(
    server: RedisServer, caplog: pytest.LogCaptureFixture, document: bytes
) -> None:
    """Those of other services count, and it is said once."""
    query = fresh_namespace()
    async with a_store(server, query) as writer, a_store(server, query) as reader:
        await asyncio.to_thread(server.ask, "HSET", name_of(writer, "SETTINGS"), "orders", document)
        for share in (1.0, 2.0):
            await writer.configure("shop", ServiceSettings({1: share}))
            assert dict((await reader.snapshot()).settings) == {"shop": ServiceSettings({1: share})}
        assert (await reader.snapshot()).unreadable == 1
        assert len([record for record in caplog.records if "'orders'" in record.getMessage()]) == 1
        assert not await writer.configure("orders", ServiceSettings({3: 1.0}), expected=ServiceSettings({2: 1.0}))
        assert await writer.configure("orders", ServiceSettings({1: 3.0}), expected=None)
        assert (await reader.snapshot()).settings["orders"] == ServiceSettings({1: 3.0})
        await writer.configure("orders", None)
        assert dict((await reader.snapshot()).settings) == {"shop": ServiceSettings({1: 2.0})}
        assert (await reader.snapshot()).unreadable == 0


async def test_settings_of_a_newer_node_can_be_replaced(server: RedisServer) -> None:
    """What it wrote into them beyond what we read is no change that the operator has missed."""
    async with a_store(server) as store:
        given = ServiceSettings({1: 1.0})
        await store.configure("orders", given)
        document = await asyncio.to_thread(server.ask, "HGET", name_of(store, "SETTINGS"), "orders")
        assert isinstance(document, bytes)
        newer = json.dumps({**json.loads(document), "schema": 2, "reads": 1, "region": "north"})
        await asyncio.to_thread(server.ask, "HSET", name_of(store, "SETTINGS"), "orders", newer)
        assert await store.configure("orders", ServiceSettings({1: 2.0}), expected=given)


async def test_of_many_operators_at_one_moment_one_is_first(server: RedisServer) -> None:
    """Looking and setting is one step for the others: of those who read the same, one alone sets."""
    async with a_store(server) as store:
        wanted = [ServiceSettings({1: float(share)}) for share in range(1, 9)]
        done = await asyncio.gather(*(store.configure("orders", one, expected=None) for one in wanted))
        assert sum(done) == 1
        assert (await store.snapshot()).settings["orders"] == wanted[done.index(True)]


async def test_a_key_of_settings_that_holds_something_else_counts_as_nothing(server: RedisServer) -> None:
    """It is put aside when settings are made that expect none."""
    async with a_store(server) as store:
        await store.revision()
        await asyncio.to_thread(server.ask, "SET", name_of(store, "SETTINGS"), "poison")
        assert await store.configure("orders", ServiceSettings({1: 1.0}), expected=None)
        assert (await store.snapshot()).settings == {"orders": ServiceSettings({1: 1.0})}


async def test_fields_of_newer_nodes_stay(server: RedisServer) -> None:
    """A newer node may write more into a record; an older one works with it and passes the rest on."""
    async with a_store(server) as store:
        token = (await store.register(an_instance(), a_lease())).token

        def add() -> None:
            for name, field in (("INSTANCES", str(token)), ("LEASES", "a"), ("DOCUMENTS", str(token))):
                text = server.ask("HGET", name_of(store, name), field)
                assert isinstance(text, bytes)
                record = {**json.loads(text), "zone": {"name": "b"}, "schema": 2, "reads": 1}
                server.ask("HSET", name_of(store, name), field, json.dumps(record))
            server.ask("HSET", name_of(store, "META"), "shards", "4")

        await asyncio.to_thread(add)
        assert await store.renew("a", "orders", counter=5)
        assert await store.drain(token)
        (listed,) = (await store.snapshot()).instances
        assert (listed.token, listed.weight) == (token, 0.0)
        await let_pass(server, store, 7)

        def zone(name: str, field: str) -> object:
            text = server.ask("HGET", name_of(store, name), field)
            assert isinstance(text, bytes)
            return json.loads(text)["zone"]

        assert await asyncio.to_thread(zone, "INSTANCES", str(token)) == {"name": "b"}
        assert await asyncio.to_thread(zone, "LEASES", "a") == {"name": "b"}
        assert await asyncio.to_thread(server.ask, "HGET", name_of(store, "META"), "shards") == b"4"


async def test_counters_are_exact_however_long(server: RedisServer) -> None:
    """Numbers in Lua are exact up to 2**53; counters made from nanoseconds are longer."""
    async with a_store(server) as store:
        await store.register(an_instance(), a_lease(counter=2**62))
        with pytest.raises(RefusedError):
            await store.renew("a", "orders", counter=2**62)
        assert await store.renew("a", "orders", counter=2**62 + 1)
        assert (await store.leases_of("orders", "10.0.0.1"))[0].counter == 2**62 + 1


async def test_time_in_which_nobody_looked_does_not_count(server: RedisServer) -> None:
    """Neither an hour's jump of the server's clock, forward or backward, nor a night without nodes costs a lease."""
    alarms: list[str] = []
    async with a_store(server, on_alarm=alarms.append) as store:
        for port in range(1, 11):
            await store.register(an_instance(port), a_lease(str(port)))
        before = await store.snapshot()
        for seconds in (3600.0, 20.0, 86_400.0):
            await let_pass(server, store, seconds, watched=False)
            assert await store.snapshot() == before
        await asyncio.to_thread(server.ask, "HINCRBY", name_of(store, "META"), "seen", 3_600_000)
        assert await store.snapshot() == before
        assert not alarms
        await let_pass(server, store, 4)
        assert any(not listed.active for listed in (await store.snapshot()).instances)


async def test_an_instance_that_store_and_nodes_could_not_read_is_refused(server: RedisServer) -> None:
    """Whatever is taken is readable by every node."""
    async with a_store(server) as store:
        with pytest.raises(RefusedError) as refused:
            await store.register(replace(an_instance(), routes=(Route("/{"),)), a_lease())
        assert refused.value.status == 422
        with pytest.raises(RefusedError) as refused:
            await store.configure("orders", ServiceSettings({1: -1.0}))
        assert refused.value.status == 422
        assert (await store.snapshot()).instances == ()


async def test_two_instances_never_share_a_token(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where two would meet the second moves on, past the last one to the first."""
    monkeypatch.setattr("hydra_asgi.backends.redis_store.store.first_token", lambda service, address: 2_147_483_646)
    async with a_store(server) as store:
        tokens = [(await store.register(an_instance(port), a_lease(str(port)))).token for port in (1, 2, 3)]
        assert tokens == [2_147_483_646, 2_147_483_647, 1_000_000_000]


@pytest.fixture(params=[scripts.SWEEP_LEASES, 3])
def _batch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many leases one sweep can let lapse."""
    monkeypatch.setitem(scripts._CONSTANTS, "BATCH", request.param)
    for name in ("POLL", "SNAPSHOT"):
        script = getattr(scripts, name)
        monkeypatch.setattr(scripts, name, scripts._script(name.lower(), script.keys, ("life", "listing", "sweep")))


@pytest.mark.usefixtures("_batch")
async def test_mass_silence_is_told_once_and_bounded(server: RedisServer) -> None:
    """All stay, also when one sweep cannot take them all; the operator is told once, and after a minute they go."""
    alarms: list[str] = []
    async with a_store(server, on_alarm=alarms.append) as store:
        for port in range(1, 21):
            await store.register(an_instance(port), a_lease(str(port)))
        await let_pass(server, store, 14)
        assert [listed.active for listed in (await store.snapshot()).instances] == [False] * 20
        (alarm,) = alarms
        assert alarm.startswith("20 of 20 instances went silent within 3 s")
        assert await store.renew("7", "orders")
        await let_pass(server, store, 8)
        assert await store.renew("7", "orders") is True
        await let_pass(server, store, 50)
        assert len((await store.snapshot()).instances) < 20
        assert len(alarms) == 1


async def test_a_few_that_go_silent_are_no_alarm(server: RedisServer) -> None:
    """Half of the instances may go within moments: they are forgotten as usual."""
    alarms: list[str] = []
    async with a_store(server, on_alarm=alarms.append) as store:
        for port in range(1, 11):
            await store.register(an_instance(port), a_lease(str(port)))
        for _ in range(6):
            await let_pass(server, store, 2)
            for port in range(6, 11):
                assert await store.renew(str(port), "orders")
        assert [listed.address.port for listed in (await store.snapshot()).instances] == [6, 7, 8, 9, 10]
        assert not alarms


async def test_nobody_has_to_listen_to_alarms(server: RedisServer) -> None:
    """Without a listener, or with one that fails, the store goes on."""

    def fail(sentence: str) -> None:
        raise RuntimeError(sentence)

    for listener in (None, fail):
        async with a_store(server, on_alarm=listener) as store:
            await store.revision()
            await asyncio.to_thread(server.ask, "DEL", name_of(store, "META"))
            assert await store.revision()


async def test_a_store_can_be_closed_and_used_again(server: RedisServer) -> None:
    """A node that was stopped is started again."""
    async with a_store(server) as store:
        await store.register(an_instance(), a_lease())
        await store.close()
        assert await store.renew("a", "orders")
        await store.close()
        await store.close()


def test_a_store_works_in_one_loop_after_another(server: RedisServer) -> None:
    """Nothing of a loop that has ended is kept."""
    store = open_redis_store(f"{server.url}?{fresh_namespace()}")

    async def use() -> int:
        await store.register(an_instance(), a_lease())
        found = await asyncio.gather(*(store.snapshot() for _ in range(30)))
        await store.close()
        return len(found[0].instances)

    assert [asyncio.run(use()) for _ in range(2)] == [1, 1]


@pytest.mark.parametrize(("policy", "warns"), [("allkeys-lru", True), ("noeviction", False), ("volatile-ttl", False)])
async def test_a_server_that_throws_keys_away_is_named_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture, policy: str, warns: bool
) -> None:
    """An eviction policy for all keys would take the directory apart when memory gets scarce."""
    caplog.set_level(logging.WARNING, "hydra_asgi")
    await asyncio.to_thread(server.ask, "CONFIG", "SET", "maxmemory-policy", policy)
    try:
        async with a_store(server) as store:
            await store.revision()
            await store.revision()
    finally:
        await asyncio.to_thread(server.ask, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert len([record for record in caplog.records if "maxmemory-policy allkeys-lru" in record.getMessage()]) == warns


async def test_changes_wake_everybody_within_moments(server: RedisServer, eventually: Callable[..., Any]) -> None:
    """A change made through one store wakes the subscribers of another; a beat does not."""
    query = fresh_namespace()
    woken: list[str] = []
    async with a_store(server, query) as one, a_store(server, query) as other:
        end = other.on_change(lambda: woken.append("a"))
        other.on_change(lambda: woken.append("b"))
        channel = name_of(one, "CHANGES")
        await eventually(lambda: server.ask("PUBSUB", "NUMSUB", channel) == [channel.encode(), 1])
        await one.register(an_instance(), a_lease())
        await eventually(lambda: woken == ["a", "b"])
        await one.renew("a", "orders")
        end()
        await one.release("a", "orders")
        await eventually(lambda: woken == ["a", "b", "b"])
