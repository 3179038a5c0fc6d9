"""New versions: of services, and of our own nodes."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, wait_until
from tests.faults.conftest import Scenario
from tests.faults.fleet import Fleet, Member
from tests.faults.load import Load
from tests.faults.redis_server import RedisServer
from tests.faults.scenarios.seeing import RECOVERY, failures, fewest_known, seconds_until
from tests.faults.users import visit

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


def test_d1_four_instances_are_replaced(tmp_path: Path, scenario: Scenario) -> None:
    """Start a new one, wait until it serves, stop an old one: nobody notices, POSTs included."""
    bar = "0 failed, POSTs included"
    with (
        scenario("D1", "rolling deploy of four instances: start one, stop one (SIGTERM)", bar) as seen,
        RedisServer(tmp_path) as redis,
        Fleet(tmp_path, redis.url) as fleet,
    ):
        fleet.hub(services=["orders"] * 4)
        old = fleet.members[2:]
        with Load(fleet.gateways, posts=40, streams=0, sockets=0) as load:
            for leaving in old:
                coming = fleet.service("orders", version=2, at=fleet.gateways)
                fleet.start(coming)
                wait_until(lambda one=coming: serves(load, one), lambda: f"the new one serves\n{fleet.told}")
                leaving.signal(signal.SIGTERM)
            for leaving in old:
                leaving.wait()
            load.run(1)
        posts = sum(one.kind == "POST" for one in load.outcomes)
        seen += [failures(load), f"{posts} of them POSTs"]
        assert load.failed == [], fleet.told


def serves(load: Load, instance: Member) -> bool:
    """Whether users have got pages of this instance."""
    return str(instance.serves) in {one.served_by for one in load.outcomes[-100:]}


def set_weights(store: str, *shares: str) -> None:
    """As an operator does it."""
    command = [sys.executable, "-m", "hydra_asgi", "weights", "set", "orders", *shares, "--store", store]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("row", ["D2 hub", "D2 mesh"])
def test_d2_a_canary_comes_and_goes(tmp_path: Path, scenario: Scenario, row: str) -> None:
    """A tenth of the users gets the new version, and nobody does within a second after it was taken back."""
    bar = "10 % within 2 points over 5,000 users; after removal 0 requests to it and 0 404s within 1 s; 0 failed"
    with (
        scenario(row, "weights v1=90 v2=10; then v1=100 v2=0, and the canary is stopped", bar) as seen,
        RedisServer(tmp_path) as redis,
        Fleet(tmp_path, redis.url) as fleet,
    ):
        entries, canary = two_versions(fleet, row)
        set_weights(redis.url, "v1=90", "v2=10")
        wait_until(lambda: 0 < visit(entries, "orders", 60).share(2) < 40, "the weights are known")
        visits = visit(entries, "orders", 5_000)
        share = visits.share(2)
        faithful = visit(entries, "orders", visits.cookies["2"])
        with Load(entries, streams=0, sockets=0) as load:
            load.run(1)
            set_weights(redis.url, "v1=100", "v2=0")
            load.run(1 * RECOVERY)
            with load.window() as after:
                load.run(2)
            returned = visit(entries, "orders", visits.cookies["2"])
            canary.terminate()
            load.run(2)
        to_it = sum(one.served_by == str(canary.serves) for one in after.of("GET"))
        seen += [
            f"{share:.1f} % of {visits.count:,} users",
            f"{faithful.share(2):.0f} % of its users come back to it",
            f"after removal {to_it} of {len(after.of('GET'))} requests and {returned.versions['2']} of its own users",
            failures(load),
        ]
        assert visits.failed == returned.failed == faithful.failed == []
        assert load.failed == [], fleet.told
        assert abs(share - 10) <= 2
        assert faithful.share(2) == 100
        assert to_it == returned.versions["2"] == 0


def two_versions(fleet: Fleet, row: str) -> tuple[Sequence[Member], Member]:
    """A site with two instances of version 1 and one of version 2: where users come in, and the canary."""
    if row == "D2 hub":
        fleet.hub(services=["orders", "orders"])
        canary = fleet.service("orders", version=2)
        fleet.start(canary)
        entries = fleet.gateways
    else:
        entries = [fleet.node("orders", version=1), fleet.node("orders", version=1)]
        canary = fleet.node("orders", version=2)
        fleet.start(*entries, canary)
    fleet.wait_for("orders", "orders", "orders")
    return list(entries)[:2], canary


def test_d3_nodes_of_two_versions_share_a_store(tmp_path: Path, scenario: Scenario) -> None:
    """Each reads what the other writes; what an old node cannot understand it leaves out, and says so."""
    done = "an old gateway beside one that writes the next schema; then an entry that only new nodes understand"
    bar = "0 failed at both; the old one leaves out that entry alone, and reports it"
    with (
        scenario("D3", done, bar) as seen,
        RedisServer(tmp_path) as redis,
        Fleet(tmp_path, redis.url) as fleet,
    ):
        old, new = fleet.gateway(), fleet.gateway(SCHEMA="2")
        fleet.start(old, new)
        fleet.start(fleet.service("orders", at=(old, new)), fleet.service("orders", at=(new, old)))
        fleet.wait_for("orders", "orders")
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(2)
            newest = fleet.node("future", SCHEMA="2", READS="2")
            fleet.gateways.remove(newest)
            fleet.start(newest)
            seconds_until(lambda: new.serves_page_of("future") and newest.serves_page_of("orders"))
            load.run(2)
            is_known = old.serves_page_of("future")
            reports = [line for line in old.output.splitlines() if "schema" in line]
        fewest = fewest_known(fleet, before)
        seen += [failures(load), f"never fewer than {fewest} of 2 listed", f"the old one says it {len(reports)} times"]
        assert load.failed == [], fleet.told
        assert fewest >= 2
        assert not is_known
        assert len(reports) == 1, fleet.told
