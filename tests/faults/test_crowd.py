"""Many instances, and many users."""

from pathlib import Path

import pytest

from tests.e2e.processes import wait_until
from tests.faults.crowd import Crowd
from tests.faults.fleet import Fleet
from tests.faults.users import visit

pytestmark = pytest.mark.e2e


def test_a_crowd_joins_and_users_visit_it(tmp_path: Path) -> None:
    """Instances of a crowd are members and are served; a crowd that is gone beats no more."""
    with Fleet(tmp_path, "memory://") as fleet:
        fleet.hub(gateways=1, services=["orders"])
        (gateway,) = fleet.gateways
        with Crowd(tmp_path, fleet.gateways, fleet.members[-1].serves, 20, services=2) as crowd:
            wait_until(lambda: crowd.registered == 20 and gateway.known[-1].active == 21, lambda: str(crowd.errors))
            for service in ("crowd0", "crowd1", "orders"):
                visits = visit(fleet.gateways, service, 10)
                assert (visits.count, visits.failed, visits.share(1)) == (10, [], 100)
        wait_until(lambda: gateway.known[-1].active == 1, "the crowd is silent")
