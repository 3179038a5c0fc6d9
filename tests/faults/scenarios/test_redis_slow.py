"""Redis hangs, is slow, or cannot be reached from one side."""

from pathlib import Path

import pytest

from tests.faults.conftest import Scenario
from tests.faults.control_calls import Caller
from tests.faults.crowd import Crowd, instances_at
from tests.faults.fault_proxy import FaultProxy, Toxics
from tests.faults.fleet import Fleet
from tests.faults.load import Load, Window
from tests.faults.netns import Namespace
from tests.faults.redis_server import RedisServer
from tests.faults.scenarios.hubs import hub_on_redis
from tests.faults.scenarios.seeing import RECOVERY, all_say, failures, milliseconds, p99_change, seconds_until

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

HANGS = 5
"""Enough for the middle one to be no accident: of three it was once 1.1 ms longer, and nothing had caused that."""

WAITED = 0.05
"""A request that waited for Redis would have done so for a quarter of a second; what is below is the machine."""


def test_r5_redis_hangs(tmp_path: Path, scenario: Scenario) -> None:
    """Nobody waits for a Redis that does not answer: no request, no beat, and no control call for long."""
    bar = (
        "0 failed; p99 of GETs changes by <= 5 % or 1 ms; beats of known leases are answered 200, other control calls "
        "fail <= 500 ms; all is well <= 2 s after it goes on"
    )
    with (
        scenario("R5", f"Redis gets SIGSTOP {HANGS} times for 2.5 s", bar) as seen,
        hub_on_redis(tmp_path) as (redis, fleet),
    ):
        known, stranger = (
            Caller(one, f"lease-of-caller-{n}") for n, one in enumerate(instances_at(fleet.members[-1].serves, 2))
        )
        gateway = fleet.gateways[0]
        assert known.register(gateway).status == 200
        usual: list[Window] = []
        hung: list[Window] = []
        calls = []
        recovered = 0.0
        with Load(fleet.gateways, gets=200) as load:
            for _ in range(HANGS):
                with load.window() as window:
                    load.run(1.5)
                    assert known.beat(gateway).status == 200
                    load.run(1)
                usual.append(window)
                redis.freeze()
                with load.window() as window:
                    load.run(1.5)
                    calls += [known.beat(gateway), stranger.register(gateway)]
                    load.run(1 - min(1.0, sum(call.seconds for call in calls[-2:])))
                hung.append(window)
                assert all_say(fleet, "degraded")
                redis.thaw()
                recovered = max(recovered, seconds_until(lambda: all_say(fleet, "ok")))
        beats, others = calls[::2], calls[1::2]
        change, before = p99_change(usual, hung)
        seen += [
            failures(load),
            f"p99 {milliseconds(before)} before, {milliseconds(before + change)} meanwhile",
            f"beats {sorted({call.status for call in beats})}",
            f"a registration fails after {milliseconds(max(call.seconds for call in others))}",
            f"well again after {recovered:.1f} s",
        ]
        assert load.failed == [], fleet.told
        assert {call.status for call in beats} == {200}
        assert {call.status for call in others} == {503}
        assert max(call.seconds for call in calls) <= 0.5 * RECOVERY
        assert recovered <= 2.0 * RECOVERY
        seen.expect(change <= max(0.05 * before, 0.001), "p99")
        assert change <= WAITED


def test_r6_redis_is_slow(tmp_path: Path, scenario: Scenario) -> None:
    """A slow Redis is asked no more often than a fast one, and requests do not notice."""
    bar = "0 failed; p99 of GETs changes by <= 5 % or 1 ms; a question of Redis is repeated once at most"
    with (
        scenario("R6", "answers of Redis come 200 ms late, then 2 s late", bar) as seen,
        RedisServer(tmp_path) as redis,
        FaultProxy(redis.port) as proxy,
        Fleet(tmp_path, proxied(redis, proxy)) as fleet,
    ):
        fleet.hub()
        slow: list[Window] = []
        usual: list[Window] = []
        asked: list[int] = []
        with Load(fleet.gateways, gets=200) as load:
            for latency in (0.2, 2.0):
                for toxics, windows in ((Toxics(), usual), (Toxics(latency=latency), slow)):
                    proxy.poison(answers=toxics)
                    if windows is usual:
                        seconds_until(lambda: all_say(fleet, "ok"))
                    before = scripts_run(redis)
                    with load.window() as window:
                        load.run(4)
                    windows.append(window)
                    asked.append(scripts_run(redis) - before)
        change, before_p99 = p99_change(usual, slow)
        seen += [
            failures(load),
            f"p99 {milliseconds(before_p99)} before, {milliseconds(before_p99 + change)} meanwhile",
            f"asked {max(asked[0], asked[2])} times in 4 s, {asked[1]} when 200 ms late, {asked[3]} when 2 s late",
        ]
        assert load.failed == [], fleet.told
        # A question that was not answered in time is asked once more.
        assert max(asked[1], asked[3]) <= 2 * max(asked[0], asked[2]) + 2
        seen.expect(change <= max(0.05 * before_p99, 0.001), "p99")
        assert change <= WAITED


def scripts_run(redis: RedisServer) -> int:
    """How many of our scripts Redis has been asked for."""
    stats = redis.info("commandstats")
    return sum(int(stats[name].split(",")[0].removeprefix("calls=")) for name in stats if "evalsha" in name)


def proxied(redis: RedisServer, proxy: FaultProxy) -> str:
    """The server's URL through a proxy."""
    return redis.url.replace(f":{redis.port}", f":{proxy.port}")


def test_r7_the_link_to_redis_is_half_open(tmp_path: Path, scenario: Scenario) -> None:
    """Silence is noticed by polling, and a dead subscription costs nothing but the early wake."""
    done = "what Redis says to the subscription of one gateway is lost, then all that it says to the other gateway"
    bar = "0 failed; with only the subscription dead a change is served <= 1 s; silence is noticed <= 3 s"
    with (
        scenario("R7", done, bar) as seen,
        Namespace() as island,
        RedisServer(tmp_path, hosts=("127.0.0.1", island.gateway)) as redis,
        FaultProxy(redis.port, only=b"SUBSCRIBE") as proxy,
        Fleet(tmp_path, proxied(redis, proxy)) as fleet,
    ):
        first = fleet.gateway(host=island.gateway)
        cut = fleet.gateway(store=f"redis://{island.gateway}:{redis.port}", island=island)
        fleet.start(first, cut)
        fleet.start(fleet.service("orders", at=(first, cut), host=island.gateway))
        fleet.wait_for("orders")
        late = Crowd(tmp_path, [first], fleet.members[-1].serves, 1, service="late", host=island.gateway)
        with Load(fleet.gateways) as load:
            load.run(1)
            proxy.poison(Toxics(black_hole=True))
            with late:
                polled = seconds_until(lambda: first.serves_page_of("late"))
            island.drop_answers(redis.port)
            noticed = seconds_until(lambda: cut.health.status == "degraded")
            load.run(3)
            island.heal()
            healed = seconds_until(lambda: cut.health.status == "ok")
        seen += [
            failures(load),
            f"a change is served after {polled:.1f} s",
            f"noticed after {noticed:.1f} s",
            f"well again after {healed:.1f} s",
        ]
        assert load.failed == [], fleet.told
        assert polled <= 1.0 * RECOVERY
        assert noticed <= 3.0 * RECOVERY


def test_r8_one_gateway_is_cut_off_from_redis(tmp_path: Path, scenario: Scenario) -> None:
    """It goes on with what it knows and says so; services that joined there go on beating at the other one."""
    done = "one of two gateways cannot reach Redis for 13 s, and a newcomer joins at the other"
    bar = "0 failed; the other gateway forgets nobody; the first has caught up <= 2 s after the link is back"
    with (
        scenario("R8", done, bar) as seen,
        Namespace() as island,
        RedisServer(tmp_path, hosts=("127.0.0.1", island.gateway)) as redis,
        Fleet(tmp_path, f"redis://{island.gateway}:{redis.port}") as fleet,
    ):
        cut, other = fleet.gateway(island=island), fleet.gateway(host=island.gateway)
        fleet.start(cut, other)
        fleet.start(
            fleet.service("orders", at=(cut, other), host=island.gateway),
            fleet.service("orders", at=(other, cut), host=island.gateway),
        )
        fleet.wait_for("orders", "orders")
        before = len(other.known)
        with Load(fleet.gateways) as load:
            load.run(1)
            island.drop(redis.port)
            noticed = seconds_until(lambda: cut.health.status == "degraded")
            load.run(13 - noticed)
            fewest = min((known.instances for known in other.known[before:]), default=2)
            newcomer = fleet.service("late", at=(other,), host=island.gateway)
            fleet.start(newcomer)
            seconds_until(lambda: other.serves_page_of("late"))
            assert not cut.serves_page_of("late")
            island.heal()
            caught_up = seconds_until(lambda: cut.serves_page_of("late") and cut.health.status == "ok")
        seen += [
            failures(load),
            f"it says so after {noticed:.1f} s",
            f"never fewer than {fewest} of 2 listed at the other",
            f"caught up after {caught_up:.1f} s",
        ]
        assert load.failed == [], fleet.told
        assert fewest == 2
        assert caught_up <= 2.0 * RECOVERY
