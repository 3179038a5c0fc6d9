"""Redis answers, but not what it should: it refuses writes, forgets, or holds rubbish."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Scenario
from tests.faults.control_calls import Caller
from tests.faults.crowd import Crowd, instances_at
from tests.faults.fleet import Fleet
from tests.faults.load import Load
from tests.faults.redis_client import RedisError, ask
from tests.faults.redis_server import RedisServer
from tests.faults.scenarios.hubs import hub_on_redis
from tests.faults.scenarios.seeing import RECOVERY, all_say, failures, fewest_known, seconds_until
from tests.faults.store_desk import StoreDesk

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


def test_r10_redis_is_a_read_only_replica(tmp_path: Path, scenario: Scenario) -> None:
    """A Redis that takes no writes is like one that is away, and health names the reason."""
    bar = "0 failed; nobody is forgotten; health says why"
    with (
        scenario("R10", "REPLICAOF a server that is not there, for 12 s", bar) as seen,
        hub_on_redis(tmp_path) as (redis, fleet),
    ):
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(1)
            redis.ask("REPLICAOF", "127.0.0.1", "1")
            load.run(12)
            healths = [gateway.health for gateway in fleet.gateways]
            redis.ask("REPLICAOF", "NO", "ONE")
            healed = seconds_until(lambda: all_say(fleet, "ok"))
            load.run(1)
        fewest = fewest_known(fleet, before)
        said = ", ".join(sorted({health.why for health in healths}))
        seen += [
            failures(load),
            f"never fewer than {fewest} of 2 listed",
            f"health: {said}",
            f"well after {healed:.1f} s",
        ]
        assert load.failed == [], fleet.told
        assert fewest == 2
        assert "is a replica" in said, fleet.told


def test_r11_redis_is_full(tmp_path: Path, scenario: Scenario) -> None:
    """Beats that Redis refuses do not make anybody silent."""
    bar = "0 failed; nobody becomes inactive although no beat is taken; a newcomer is refused, and the log says why"
    with (
        scenario("R11", "CONFIG SET maxmemory 1 with noeviction, for 12 s", bar) as seen,
        hub_on_redis(tmp_path) as (redis, fleet),
    ):
        before = fleet.marks
        newcomer = Caller(instances_at(fleet.members[-1].serves, 1, service="late")[0], "lease-of-a-newcomer")
        with Load(fleet.gateways) as load:
            load.run(1)
            redis.ask("CONFIG", "SET", "maxmemory", "1")
            load.run(6)
            refused = newcomer.register(fleet.gateways[0])
            load.run(6)
            healths = {gateway.health.status for gateway in fleet.gateways}
            redis.ask("CONFIG", "SET", "maxmemory", "0")
            taken = seconds_until(lambda: newcomer.register(fleet.gateways[0]).status == 200)
            load.run(1)
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"never fewer than {fewest} of 2 active",
            f"a newcomer is answered {refused.status} after {1000 * refused.seconds:.0f} ms",
            f"health {' and '.join(sorted(healths))}",
            f"taken {taken:.1f} s after there is room",
        ]
        assert load.failed == [], fleet.told
        assert fewest == 2
        assert refused.status == 503
        assert "is full" in fleet.told, fleet.told
        assert taken <= 2.0 * RECOVERY


def test_r12_redis_evicts(tmp_path: Path, scenario: Scenario) -> None:
    """A policy that drops keys is warned of at the start; a key that is gone is announced again."""
    bar = "0 failed; each gateway warns at its start; what was dropped is whole again <= one beat + 1 s = 4 s"
    with (
        scenario(
            "R12", "maxmemory-policy allkeys-lru; then the keys of the namespace are dropped, a third at a time", bar
        ) as seen,
        hub_on_redis(tmp_path, options={"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"}) as (redis, fleet),
    ):
        warned = [gateway for gateway in fleet.gateways if "allkeys-lru" in gateway.output]
        before = fleet.marks
        slowest = 0.0
        keys = keys_of(redis)
        with Load(fleet.gateways) as load:
            load.run(1)
            for dropped in (keys[0::3], keys[1::3], keys[2::3]):
                redis.ask("DEL", *dropped)
                load.run(1)  # every gateway has polled
                slowest = max(slowest, seconds_until(lambda: whole(redis, fleet, 2)))
            load.run(1)
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"{len(warned)} of 2 gateways warn",
            f"{len(keys)} keys dropped, whole again after {1 + slowest:.1f} s at most",
            f"never fewer than {fewest} of 2 listed",
        ]
        assert load.failed == [], fleet.told
        assert len(warned) == 2
        assert fewest == 2
        assert 1 + slowest <= 4.0 * RECOVERY


def keys_of(redis: RedisServer) -> list[bytes]:
    """Every key of ours."""
    keys = redis.ask("KEYS", "hydra:*")
    assert isinstance(keys, list)
    return sorted(key for key in keys if isinstance(key, bytes))


def whole(redis: RedisServer, fleet: Fleet, count: int) -> bool:
    """Whether the store itself lists everybody, and every gateway is content with it."""
    return listed(redis) == count and all_say(fleet, "ok")


def listed(redis: RedisServer) -> int:
    """How many instances the store itself lists."""
    with StoreDesk(redis.url) as desk:
        return len(desk.do(lambda store: store.snapshot()).instances)


RUBBISH = (b"{", b"\xff\x00", b'{"schema":99,"reads":99}', b"null", b"x" * 3_000_000)


def test_r13_redis_holds_rubbish(tmp_path: Path, scenario: Scenario) -> None:
    """A poisoned entry is left out and reported; keys of the wrong type are put aside."""
    done = "rubbish in the place of five documents, for a gateway that starts then; a string in the place of every key"
    bar = "0 failed; everything else is served; the log names what was left out"
    with (
        scenario("R13", done, bar) as seen,
        hub_on_redis(tmp_path) as (redis, fleet),
    ):
        many = len(RUBBISH)
        with Load(fleet.gateways) as load:
            with Crowd(
                tmp_path, fleet.gateways, fleet.members[-1].serves, many, service="victim", services=many
            ) as crowd:
                seconds_until(lambda: all(one.known[-1].active == 2 + many for one in fleet.gateways))
                poison(redis, "victim")
                late = fleet.gateway()
                fleet.start(late)
                seconds_until(lambda: late.health.code == 200)
                assert late.serves_page_of("orders")
                reports = [line for line in late.output.splitlines() if "the store's entry" in line]
                assert crowd.errors == []
            before = fleet.marks
            keys = keys_of(redis)
            redis.ask("MSET", *itertools.chain.from_iterable((key, b"rubbish") for key in keys))
            # A gateway is to find it, and not the store of this test.
            healed = seconds_until(lambda: ":unreadable" in fleet.told)
            load.run(1)
            healed += 1 + seconds_until(lambda: listed(redis) == 2)
            load.run(1)
        aside = [line for line in fleet.told.splitlines() if ":unreadable" in line]
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"{len(reports)} of {len(RUBBISH)} documents are named in the log",
            f"{len(aside)} of {len(keys)} keys are named in the log",
            f"whole again {healed:.1f} s after",
            f"never fewer than {fewest} active",
        ]
        assert load.failed == [], fleet.told
        assert len(reports) == len(RUBBISH), late.output
        assert len(aside) == len(keys), fleet.told
        assert fewest >= 2


def poison(redis: RedisServer, service: str) -> None:
    """Put rubbish in the place of each document of services whose names begin so."""
    rubbish = iter(RUBBISH)
    documents = redis.ask("HGETALL", next(key for key in keys_of(redis) if key.endswith(b":documents")))
    assert isinstance(documents, list)
    for field, document in zip(documents[::2], documents[1::2], strict=True):
        assert isinstance(field, bytes)
        assert isinstance(document, bytes)
        if f'"{service}'.encode() in document:
            redis.ask("HSET", "hydra:{hydra}:documents", field, next(rubbish))
    assert next(rubbish, None) is None


def test_r14_scripts_are_flushed_and_the_server_is_busy(tmp_path: Path, scenario: Scenario) -> None:
    """Scripts are loaded again; a script of somebody else that runs for long is waited out."""
    bar = "transparent: 0 failed, nobody is forgotten"
    with (
        scenario(
            "R14", "SCRIPT FLUSH; then a script of somebody else that runs for 4 s, until SCRIPT KILL", bar
        ) as seen,
        hub_on_redis(tmp_path, options={"busy-reply-threshold": "200"}) as (redis, fleet),
    ):
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(1)
            redis.ask("SCRIPT", "FLUSH")
            load.run(2)
            is_well = all_say(fleet, "ok")
            with busy(redis):
                load.run(4)
                redis.ask("SCRIPT", "KILL")
            healed = seconds_until(lambda: all_say(fleet, "ok"))
            load.run(1)
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            "not noticed after the flush" if is_well else "degraded after the flush",
            f"well {healed:.1f} s after the long script",
            f"never fewer than {fewest} of 2 listed",
        ]
        assert load.failed == [], fleet.told
        assert is_well
        assert fewest == 2
        assert healed <= 2.0 * RECOVERY


@contextlib.contextmanager
def busy(redis: RedisServer) -> Iterator[None]:
    """A script that ends only when it is killed."""

    def run() -> None:
        with contextlib.suppress(RedisError):
            ask(redis.port, "EVAL", "while true do end", 0, seconds=30)

    running = threading.Thread(target=run)
    running.start()
    try:
        yield
    finally:
        running.join(30)
