"""How soon a change of the directory is routed everywhere."""

import time
from pathlib import Path

import pytest

from hydra_asgi.core.instance import ServiceInstance
from hydra_asgi.ports import LeaseState
from tests.faults.conftest import Scenario
from tests.faults.crowd import instances_at
from tests.faults.fault_proxy import FaultProxy, Toxics
from tests.faults.fleet import Fleet, Member
from tests.faults.redis_server import RedisServer
from tests.faults.scenarios.seeing import RECOVERY, milliseconds, seconds_until
from tests.faults.store_desk import StoreDesk

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

CHANGES = 200
PAUSE = 0.03


@pytest.mark.parametrize(("row", "bar"), [("change, polled", 1.0), ("change, published", 0.2)])
def test_a_change_is_routed_everywhere(tmp_path: Path, scenario: Scenario, row: str, bar: float) -> None:
    """Registered or gone, three gateways route accordingly within the promised time."""
    is_published = row.endswith("published")
    done = f"{CHANGES} changes, three gateways" + ("" if is_published else "; every subscription is dead")
    with (
        scenario(row, done, f"p99 <= {milliseconds(bar)}") as seen,
        RedisServer(tmp_path) as redis,
        FaultProxy(redis.port, only=b"SUBSCRIBE") as proxy,
        Fleet(tmp_path, redis.url.replace(f":{redis.port}", f":{proxy.port}")) as fleet,
        StoreDesk(redis.url) as desk,
    ):
        if not is_published:
            proxy.poison(Toxics(black_hole=True))
        fleet.hub(gateways=3, services=["orders"])
        marks, base = fleet.marks, fleet.gateways[0].known[-1].instances
        instances = instances_at(9, CHANGES // 2)
        changed = come(desk, instances)
        seconds_until(lambda: knows_everywhere(fleet, base + len(instances)))
        changed += go(desk, instances)
        seconds_until(lambda: knows_everywhere(fleet, base))
        delays = sorted(
            delay
            for gateway, mark in zip(fleet.gateways, marks, strict=True)
            for delay in delays_of(gateway, mark, base, changed)
        )
        middle, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
        seen += [f"p50 {milliseconds(middle)}, p99 {milliseconds(p99)}, at most {milliseconds(delays[-1])}"]
        assert len(delays) == 3 * CHANGES
        assert p99 <= bar * RECOVERY


def knows_everywhere(fleet: Fleet, count: int) -> bool:
    """Whether every gateway lists so many instances."""
    return all(gateway.known[-1].instances == count for gateway in fleet.gateways)


def come(desk: StoreDesk, instances: list[ServiceInstance]) -> list[float]:
    """Register one after the other; when each was accepted."""
    accepted = []
    for number, instance in enumerate(instances):
        lease = LeaseState(f"lease-of-number-{number}", instance.service, signed=True)
        desk.do(lambda store, one=instance, its=lease: store.register(one, its))
        accepted.append(time.monotonic())
        time.sleep(PAUSE)
    return accepted


def go(desk: StoreDesk, instances: list[ServiceInstance]) -> list[float]:
    """Take one after the other out again; when each was accepted. One beat before keeps those that wait."""
    for number, instance in enumerate(instances):
        assert desk.do(lambda store, n=number, one=instance: store.renew(f"lease-of-number-{n}", one.service))
    accepted = []
    for number, instance in enumerate(instances):
        assert desk.do(lambda store, n=number, one=instance: store.release(f"lease-of-number-{n}", one.service))
        accepted.append(time.monotonic())
        time.sleep(PAUSE)
    return accepted


def delays_of(gateway: Member, mark: int, base: int, changed: list[float]) -> list[float]:
    """Seconds from each change until this gateway knew of it: it has seen so many come, then so many go."""
    half = len(changed) // 2
    known = gateway.known[mark:]
    peak = max(range(len(known)), key=lambda place: known[place].instances)
    delays = []
    for number, accepted in enumerate(changed):
        if number < half:
            at = next(one.at for one in known[: peak + 1] if one.instances >= base + number + 1)
        else:
            at = next(one.at for one in known[peak:] if one.instances <= base + len(changed) - number - 1)
        delays.append(max(0.0, at - accepted))
    return delays
