"""Clocks that are wrong, or jump."""

from pathlib import Path

import pytest

from tests.faults.conftest import Scenario
from tests.faults.control_calls import Caller
from tests.faults.crowd import instances_at
from tests.faults.faketime import FakeTime
from tests.faults.fleet import Fleet
from tests.faults.load import Load
from tests.faults.redis_server import RedisServer, valkey_binary
from tests.faults.scenarios.seeing import all_say, failures, fewest_known, seconds_until

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


def test_c1_clocks_of_gateways_and_services_differ(tmp_path: Path, scenario: Scenario) -> None:
    """Leases know no time of day; a signature from another hour is refused with the gateway's time, and made anew."""
    bar = "0 failed, 0 expiries for 8 s; a signature outside of 60 s is refused with the time of the gateway"
    with (
        scenario("C1", "one gateway runs an hour ahead, one service an hour behind", bar) as seen,
        RedisServer(tmp_path) as redis,
        Fleet(tmp_path, redis.url) as fleet,
    ):
        ahead, behind = FakeTime(tmp_path, 1), FakeTime(tmp_path, -1)
        first, second = fleet.gateway(**ahead.env), fleet.gateway()
        fleet.start(first, second)
        fleet.start(
            fleet.service("orders", at=(first, second), **behind.env),
            fleet.service("orders", at=(second, first)),
        )
        fleet.wait_for("orders", "orders")
        stranger = Caller(instances_at(fleet.members[-1].serves, 1, service="stranger")[0], "lease-of-a-stranger")
        refused = stranger.register(first)
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(8)
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"never fewer than {fewest} of 2 listed",
            f"a signature an hour old is answered {refused.status} with the gateway's time",
        ]
        assert load.failed == [], fleet.told
        assert fewest == 2
        assert refused.status == 401
        assert "hydra-time" in refused.headers


def test_c2_the_clock_of_redis_jumps(tmp_path: Path, scenario: Scenario) -> None:
    """Time in which nobody could have been heard does not count, whatever the clock of the store says."""
    bar = "0 failed; nobody is forgotten"
    clock = FakeTime(tmp_path)
    with (
        scenario("C2", "the clock of the store (Valkey) jumps an hour ahead, then two back", bar) as seen,
        RedisServer(tmp_path, binary=valkey_binary(), env=clock.env) as redis,
        Fleet(tmp_path, redis.url) as fleet,
    ):
        fleet.hub()
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(1)
            start = time_of(redis)
            clock.set(1)
            seconds_until(lambda: 3_590 < time_of(redis) - start < 3_700)
            load.run(5)
            clock.set(-1)
            seconds_until(lambda: -3_700 < time_of(redis) - start < -3_500)
            load.run(7)
            is_well = all_say(fleet, "ok")
        fewest = fewest_known(fleet, before)
        alarms = sum("silent" in gateway.output for gateway in fleet.gateways)
        seen += [
            failures(load),
            f"never fewer than {fewest_listed(fleet, before)} of 2 listed and {fewest} active",
            f"health {'ok' if is_well else 'degraded'}",
            f"{alarms} alarms",
        ]
        assert load.failed == [], fleet.told
        assert fewest_listed(fleet, before) == 2


def time_of(redis: RedisServer) -> int:
    """Seconds of the server's clock."""
    answer = redis.ask("TIME")
    assert isinstance(answer, list)
    assert isinstance(answer[0], bytes)
    return int(answer[0])


def fewest_listed(fleet: Fleet, marks: list[int]) -> int:
    """As `fewest_known`, inactive instances included."""
    known = [gateway.known[mark - 1 :] for gateway, mark in zip(fleet.gateways, marks, strict=True)]
    return min(one.instances for changes in known for one in changes)
