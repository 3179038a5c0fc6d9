"""The load sees what users would see."""

from pathlib import Path

import pytest

from tests.e2e.processes import wait_until
from tests.faults.fleet import Fleet
from tests.faults.load import Load

pytestmark = pytest.mark.e2e


def test_a_site_without_faults_fails_nobody(tmp_path: Path) -> None:
    """Every kind of request is sent at its rate, and every answer is whole."""
    with Fleet(tmp_path, "memory://") as fleet:
        fleet.hub(gateways=1, services=["orders", "orders"])
        with Load(fleet.gateways) as load, load.window() as window:
            wait_until(lambda: len(window.of("GET")) > 100 and len(window.of("SSE")) > 20, "load")
            wait_until(lambda: len(window.of("WS")) > 20 and len(window.of("POST")) > 10, "load")
        assert load.failed == [], fleet.told
        assert 0 < window.p50 <= window.p99 < 1
        assert len({one.served_by for one in window.of("GET")}) == 2


def test_harm_is_seen(tmp_path: Path) -> None:
    """Killed gateways are failures of every kind."""
    with Fleet(tmp_path, "memory://") as fleet:
        fleet.hub(gateways=1, services=["orders"])
        with Load(fleet.gateways) as load:
            wait_until(lambda: load.answered > 100, "load")
            fleet.gateways[0].kill()
            wait_until(lambda: {one.split()[0] for one in load.failed} == {"GET", "POST", "SSE", "WS"}, "failures")
