"""How a node is."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.core.node_reading import NodeReading
from hydra_asgi.errors import StoreError
from hydra_asgi.gateway.directory import Directory
from hydra_asgi.node.condition import node_state, read_node, ready_state
from hydra_asgi.ports import LeaseState
from hydra_asgi.service.membership import Membership
from hydra_asgi.testing import FakeUpstream


@dataclass
class Registrar:
    state: Membership


@dataclass
class Node:
    """The parts that matter here."""

    directory: Any = None
    registrars: tuple[Registrar, ...] = ()
    upstream: Any = field(default_factory=FakeUpstream)


class Counting(FakeUpstream):
    def counts(self) -> tuple[int, int, int]:
        return 3, 1, 2


class AwayStore(MemoryStore):
    is_away = False

    async def revision(self) -> Any:
        if self.is_away:
            raise StoreError("away")
        return await super().revision()


class Rig:
    """A gateway whose store can go away, on a clock set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.store = AwayStore(lambda: self.now, epoch="e")
        self.node: Any = Node(Directory(self.store, clock=lambda: self.now, first_load_seconds=0))

    async def degrade(self) -> None:
        self.store.is_away = True
        await self.node.directory.refresh()


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ([], "registered"),
        (["registered"], "registered"),
        (["registered", "starting"], "starting"),
        (["unregistered", "registered"], "unregistered"),
    ],
)
def test_states(statuses: list[Any], state: str) -> None:
    """A node is as well registered as the worst of its registrars."""
    node: Any = Node(registrars=tuple(Registrar(Membership(status)) for status in statuses))
    assert node_state(node, is_draining=False) == state
    assert node_state(node, is_draining=True) == "draining"


def test_a_node_that_does_not_run() -> None:
    """It is stopped, not ready, and has nothing to read."""
    assert node_state(None, is_draining=False) == "stopped"
    assert ready_state(None, is_draining=False).status == "starting"
    assert ready_state(None, is_draining=True).status == "draining"
    assert read_node(None, is_draining=False) == NodeReading("starting")


def test_a_service_is_ready_at_once() -> None:
    """Without a directory there is nothing to wait for."""
    node: Any = Node(upstream=Counting())
    assert ready_state(node, is_draining=False).is_ready
    assert read_node(node, is_draining=False) == NodeReading("ok", connections=(3, 1, 2))


async def test_only_trouble_says_how_long() -> None:
    """A degraded node says since when; a good one has nothing to say."""
    rig = Rig()
    await rig.node.directory.refresh()
    assert ready_state(rig.node, is_draining=False).lasts is None
    await rig.degrade()
    rig.now += 7
    state = ready_state(rig.node, is_draining=False)
    assert (state.status, state.lasts) == ("degraded", 7)
    assert state.is_ready


async def test_a_gateway_is_read() -> None:
    """Its status, the age of what it knows, and the active instances by version."""
    rig = Rig()
    for port, version in ((1, 1), (2, 2), (3, 2)):
        instance = ServiceInstance("orders", Address("http", "h", port), version)
        await rig.store.register(instance, LeaseState(str(port), "orders", signed=True))
    for _ in range(12):  # until the leases fall silent
        await rig.node.directory.refresh()
        rig.now += 0.5
    await rig.store.register(ServiceInstance("orders", Address("http", "h", 4), 2), LeaseState("4", "orders"))
    await rig.node.directory.refresh()
    rig.now += 2
    assert read_node(rig.node, is_draining=False) == NodeReading("ok", 2, {("orders", 2): 1}, unreadable=0)
