"""Redis is gone for a while, or comes back without what it knew."""

import time
from pathlib import Path

import pytest

from tests.faults.conftest import Scenario
from tests.faults.crowd import Crowd
from tests.faults.fleet import Fleet
from tests.faults.load import Load
from tests.faults.redis_server import RedisServer
from tests.faults.scenarios.hubs import hub_on_redis
from tests.faults.scenarios.seeing import RECOVERY, all_say, failures, fewest_known, seconds_until

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


def test_r1_redis_is_killed(tmp_path: Path, scenario: Scenario) -> None:
    """Everything is served from what is known, for as long as Redis is away, and health says so."""
    with (
        scenario(
            "R1", "Redis gets SIGKILL and stays away for 12 s", "0 failed; health `degraded`, and still ready"
        ) as seen,
        hub_on_redis(tmp_path) as (redis, fleet),
    ):
        with Load(fleet.gateways) as load:
            load.run(1)
            redis.kill()
            noticed = seconds_until(lambda: all_say(fleet, "degraded"))
            healths = [gateway.health for gateway in fleet.gateways]
            load.run(12)  # longer than an instance that is silent is kept
        seen += [failures(load), f"degraded after {noticed:.1f} s: {healths[0].why}"]
        assert load.failed == [], fleet.told
        assert {health.code for health in healths} == {200}
        assert all(health.why for health in healths)


def test_r2_redis_comes_back_with_its_data(tmp_path: Path, scenario: Scenario) -> None:
    """What it kept is good, and news is known soon after it answers."""
    bar = "0 failed; a new registration is served at both gateways <= 2 s after Redis answers"
    with (
        scenario("R2", "Redis is killed, and after 4 s started again with its append-only file", bar) as seen,
        hub_on_redis(tmp_path, keeps=True) as (redis, fleet),
    ):
        with Load(fleet.gateways) as load:
            load.run(1)
            redis.kill()
            load.run(2)
            with Crowd(tmp_path, fleet.gateways, fleet.members[-1].serves, 1, service="late"):
                load.run(2)
                redis.start()
                took = seconds_until(lambda: all(one.serves_page_of("late") for one in fleet.gateways))
                load.run(1)
        seen += [failures(load), f"the newcomer is served after {took:.1f} s"]
        assert load.failed == [], fleet.told
        assert took <= 2.0 * RECOVERY


def whole_again(fleet: Fleet, count: int) -> bool:
    """Whether every gateway has, from the store alone, everything it had."""
    return all(one.known[-1].active == count for one in fleet.gateways) and all_say(fleet, "ok")


@pytest.mark.parametrize("row", ["R3", "R4"])
def test_r3_r4_redis_lost_everything(tmp_path: Path, scenario: Scenario, row: str) -> None:
    """An empty store is not believed: the directory stays, and is whole again after one beat."""
    done = "Redis is killed and starts again empty" if row == "R3" else "FLUSHALL"
    bar = "0 failed; no instance is missing at any time; the whole directory is announced again <= one beat + 1 s = 4 s"
    with (
        scenario(row, done, bar) as seen,
        RedisServer(tmp_path) as redis,
        Fleet(tmp_path, redis.url) as fleet,
    ):
        services = ["orders", "orders", "stock"]
        fleet.hub(services=services)
        before = fleet.marks
        epochs = {gateway.known[-1].revision.partition(".")[0] for gateway in fleet.gateways}
        with Load(fleet.gateways) as load:
            load.run(1)
            if row == "R3":
                redis.kill()
                load.run(1)
                redis.start()
            else:
                redis.ask("FLUSHALL")
            began = time.monotonic()
            took = seconds_until(lambda: is_another_epoch(fleet, epochs) and whole_again(fleet, len(services)))
            load.run(1)
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"announced again after {took:.1f} s",
            f"never fewer than {fewest} of {len(services)} listed",
        ]
        assert load.failed == [], fleet.told
        assert fewest == len(services)
        assert took <= 4.0 * RECOVERY, time.monotonic() - began
        if row == "R4":
            assert any("lost its entries" in gateway.output for gateway in fleet.gateways), "no alarm was raised"


def is_another_epoch(fleet: Fleet, before: set[str]) -> bool:
    """Whether every gateway knows that the store began anew."""
    return all(one.known[-1].revision.partition(".")[0] not in before for one in fleet.gateways)
