"""`python -m examples --store URL`: the example site as a fleet of processes with a real store."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.client import get
from tests.e2e.processes import Process, is_free, wait_until
from tests.faults.redis_server import RedisServer

pytestmark = pytest.mark.e2e

CHECKOUT = "Express"  # only version 2 of the order service offers it
SECONDS = 45.0
"""Four Python processes start, on a machine that is busy with other things."""


def four_free_ports() -> int:
    """The first of four ports in a row."""
    for _ in range(200):
        first = random.randrange(20_000, 31_990)
        if all(is_free(port) for port in range(first, first + 4)):
            return first
    raise AssertionError("no four free ports in a row")


class Fleet:
    """The running example site."""

    def __init__(self, tmp_path: Path, store: str) -> None:
        self.port = four_free_ports()
        self.gateways = (self.port, self.port + 1)
        command = [sys.executable, "-m", "examples", "--port", str(self.port), "--store", store]
        self.process = Process(command, tmp_path / "out", errors=tmp_path / "err")

    def said(self) -> str:
        return f"{self.process.output}\n{self.process.error_output}"

    def is_ready(self) -> bool:
        self.process.check_alive()
        return self.process.output.count("ready ") == 2

    def rows(self) -> list[list[str]]:
        return [row.split() for row in self.process.output.splitlines()[1:-2]]

    def serves(self, port: int) -> bool:
        """A page of the shop with the checkout of another process in it, and a page of that process."""
        home, orders = get(port, "/"), get(port, "/orders")
        assert (home.status, orders.status) == (200, 200), self.said()
        return "Pay" in home.body or "checkout" in home.body


@pytest.fixture(params=["redis", "sqlite"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    """Two gateways and two versions of the order service, ready."""
    if request.param == "sqlite":
        yield from _running(tmp_path, f"sqlite:///{tmp_path}/site.db")
        return
    with RedisServer(tmp_path) as redis:
        yield from _running(tmp_path, redis.url)


def _running(tmp_path: Path, store: str) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, store)
    with fleet.process:
        wait_until(fleet.is_ready, lambda: f"two ready lines\n{fleet.said()}", SECONDS)
        yield fleet


def test_a_fleet(fleet: Fleet) -> None:
    """Both gateways serve the whole site, the table lists all four processes, and Ctrl-C ends all of them."""
    first, second = fleet.gateways
    assert [row[:3] for row in fleet.rows()] == [
        ["shop", "1", f"http://127.0.0.1:{first}"],
        ["shop", "1", f"http://127.0.0.1:{second}"],
        ["orderService", "1", f"http://127.0.0.1:{second + 1}"],
        ["orderService", "2", f"http://127.0.0.1:{second + 2}"],
    ]
    lines = fleet.process.output.splitlines()[-2:]
    assert lines == [f"ready http://127.0.0.1:{port}/" for port in fleet.gateways]
    for port in fleet.gateways:
        assert fleet.serves(port)
        assert get(port, "/h/ready").status == 200
    assert fleet.process.interrupt() == 0, fleet.said()
    assert all(is_free(port) for port in range(first, second + 3))


def test_the_fleet_goes_on_without_its_store(tmp_path: Path) -> None:
    """When Redis is killed the pages stay, health says that the directory may be old, and heals when Redis is back."""
    with RedisServer(tmp_path) as redis:
        fleet = Fleet(tmp_path, redis.url)
        with fleet.process:
            wait_until(fleet.is_ready, lambda: f"two ready lines\n{fleet.said()}", SECONDS)
            redis.kill()
            wait_until(lambda: '"degraded"' in get(fleet.port, "/h/ready").body, fleet.said)
            for port in fleet.gateways:
                assert fleet.serves(port)
            redis.start()
            wait_until(lambda: all('"ok"' in get(port, "/h/ready").body for port in fleet.gateways), fleet.said, 30)
            assert all(fleet.serves(port) for port in fleet.gateways)
