"""Another server takes the place of the one that nodes talk to."""

import contextlib
import itertools
import threading
import time
from pathlib import Path

import pytest

from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.errors import StoreError
from hydra_asgi.ports import LeaseState
from tests.faults.cluster import Cluster
from tests.faults.conftest import Scenario
from tests.faults.fleet import Fleet
from tests.faults.load import Load
from tests.faults.scenarios.seeing import RECOVERY, all_say, failures, fewest_known, seconds_until
from tests.faults.sentinels import Sentinels
from tests.faults.store_desk import StoreDesk

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


class Beats:
    """Beats straight into a store, ten a second, and when each went well."""

    def __init__(self, desk: StoreDesk) -> None:
        self.good: list[float] = []
        self._desk = desk
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def longest_silence(self, since: float) -> float:
        """Seconds between two good beats."""
        moments = [since, *(moment for moment in self.good if moment > since)]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def _run(self) -> None:
        address = Address("http", "127.0.0.1", 9)
        instance, lease = ServiceInstance("heart", address), LeaseState("lease-of-the-heart", "heart", signed=True)
        is_known = False
        while not self._is_over.wait(0.1):
            with contextlib.suppress(StoreError):
                if is_known:
                    is_known = self._desk.do(lambda store: store.renew(lease.id, "heart"))
                else:
                    self._desk.do(lambda store: store.register(instance, lease))
                    is_known = True
                if is_known:
                    self.good.append(time.monotonic())

    def __enter__(self) -> "Beats":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._thread.join(20)


def test_r9_sentinels_make_another_server_the_master(tmp_path: Path, scenario: Scenario) -> None:
    """Nodes find the new master by themselves, and nothing is forgotten on the way."""
    bar = "0 failed; beats go on <= 5 s after each; nothing is forgotten meanwhile"
    with (
        scenario("R9", "SENTINEL FAILOVER, then SIGKILL to the new master", bar) as seen,
        Sentinels(tmp_path) as sentinels,
        Fleet(tmp_path, sentinels.url) as fleet,
        StoreDesk(sentinels.url) as desk,
        Beats(desk) as beats,
    ):
        seconds_until(lambda: beats.good)
        fleet.hub()
        seconds_until(lambda: all(gateway.known[-1].active == 3 for gateway in fleet.gateways))
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(1)
            asked, first = time.monotonic(), sentinels.master
            sentinels.fail_over()
            # Until then the old master takes writes that will be lost.
            seconds_until(lambda: first.info("replication")["role"] == "slave")
            load.run(2)
            seconds_until(lambda: beats.good[-1] > time.monotonic() - 0.2)
            gentle = beats.longest_silence(asked)
            killed = time.monotonic()
            master = sentinels.master
            master.kill()
            sentinels.wait_for_another(master)
            seconds_until(lambda: beats.good[-1] > time.monotonic() - 0.2)
            load.run(2)
            rude = beats.longest_silence(killed)
            seconds_until(lambda: all_say(fleet, "ok"))
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"beats go on after {gentle:.1f} s when asked for, after {rude:.1f} s when killed",
            f"never fewer than {fewest} of 3 listed",
        ]
        assert load.failed == [], fleet.told
        assert fewest >= 3, fleet.told
        assert max(gentle, rude) <= 5.0 * RECOVERY


def test_r9_a_node_of_a_cluster_dies(tmp_path: Path, scenario: Scenario) -> None:
    """Nodes find the replica that has our keys now, and nothing is forgotten on the way."""
    bar = "0 failed; beats go on <= 5 s after; nothing is forgotten meanwhile"
    with (
        scenario("R9 cluster", "SIGKILL to the node of a Redis cluster that has our keys", bar) as seen,
        Cluster(tmp_path, replicas=2) as cluster,
        Fleet(tmp_path, cluster.url) as fleet,
        StoreDesk(cluster.url) as desk,
        Beats(desk) as beats,
    ):
        seconds_until(lambda: beats.good)
        fleet.hub()
        seconds_until(lambda: all(gateway.known[-1].active == 3 for gateway in fleet.gateways))
        before = fleet.marks
        with Load(fleet.gateways) as load:
            load.run(1)
            killed = time.monotonic()
            cluster.owner.kill()
            cluster.wait_for_successor()
            seconds_until(lambda: beats.good[-1] > max(killed, time.monotonic() - 0.2))
            load.run(2)
            silence = beats.longest_silence(killed)
            seconds_until(lambda: all_say(fleet, "ok"))
            load.run(max(0.0, 7 - (time.monotonic() - killed)))  # longer than one who is silent stays active
        fewest = fewest_known(fleet, before)
        seen += [
            failures(load),
            f"beats go on after {silence:.1f} s",
            f"never fewer than {fewest} of 3 listed",
        ]
        assert load.failed == [], fleet.told
        assert fewest >= 3, fleet.told
        assert silence <= 5.0 * RECOVERY
