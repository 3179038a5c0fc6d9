"""Several workers, each with a directory of its own."""

import random

import pytest

from hydra_asgi.control.split_site import WITHIN_SECONDS, SplitSite
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.wire.announcement import registration_json
from tests.doubles.gateway import Gateway

WHO = ("orders", "10.0.0.1", "lease")


class Rig:
    def __init__(self) -> None:
        self.now = 0.0
        self.split = SplitSite(lambda: self.now)


def test_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Who is lost a second time within a minute has several gateways; both ways out are named, and only once."""
    rig = Rig()
    rig.split(*WHO)
    assert not caplog.records
    for rig.now in (30.0, 31.0, 32.0):
        rig.split(*WHO)
    (record,) = caplog.records
    for words in (
        "orders registers again and again",
        "several workers",
        "sqlite:///path/site.db",
        "redis://host:6379/0",
    ):
        assert words in record.getMessage()


def test_a_process_that_was_stopped_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """Being lost once, or now and then, is nothing; neither is that many are lost at the same time."""
    rig = Rig()
    for rig.now in (0.0, WITHIN_SECONDS, 2 * WITHIN_SECONDS):
        for number in range(20):
            rig.split("orders", "10.0.0.1", f"lease-{number}")
    assert not caplog.records


async def test_two_workers_behind_one_port(caplog: pytest.LogCaptureFixture) -> None:
    """A service whose beats reach one worker now and the other then is noticed within some minutes."""
    chance = random.Random(1)
    workers = []
    for _ in range(2):
        rig = Rig()
        workers.append((Gateway(on_lost=rig.split), rig))
    instance = ServiceInstance("orders", Address("http", "127.0.0.1", 8002))
    lease = "lease-of-24-characters-0"
    headers = [(b"hydra-instance", lease.encode())]
    for now in range(300):
        for gateway, rig in workers:
            gateway.time = rig.now = now
            await gateway.store.revision()
        if now % 3:
            continue
        gateway, _ = chance.choice(workers)
        if (await gateway.call("alive", b"orders", headers=headers)).status == 410:
            gateway, _ = chance.choice(workers)
            assert (
                await gateway.call("registration", registration_json(instance, lease), headers=headers)
            ).status == 200
    assert "several workers" in caplog.text
