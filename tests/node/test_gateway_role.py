"""What a node is as a gateway."""

from dataclasses import replace

import pytest

from hydra_asgi.backends.memory import MemoryStore
from hydra_asgi.core.health.concurrency import Limits
from hydra_asgi.core.instance import Address, ServiceInstance
from hydra_asgi.gateway.limits import default_limits
from hydra_asgi.gateway.no_app import no_app
from hydra_asgi.node.foundation import Foundation
from hydra_asgi.node.gateway_role import GatewayRole, limits_of
from hydra_asgi.node.observing import Observing
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.options import read_options
from hydra_asgi.ports import LeaseState
from hydra_asgi.service.declarations import Declarations
from hydra_asgi.testing import FakeUpstream
from tests.doubles.prober import FakeProber


@pytest.mark.parametrize(
    ("address", "expected"),
    [(None, []), ("8000", [("127.0.0.1", 8000)]), ("http://10.0.0.7:80", [("10.0.0.7", 80)])],
)
async def test_a_gateway_is_never_registered_as_a_service_behind_itself(
    address: str | None, expected: list[tuple[str, int]]
) -> None:
    """The node's own listener is known to its registration desk: without a host, the one on this machine."""
    assert role(MemoryStore(), address=address).own_listeners() == expected


def role(store: MemoryStore, **options: object) -> GatewayRole:
    read = read_options(options, {})
    own = OwnApp(read, Declarations())
    own.mount(no_app, is_absent=True)  # type: ignore[arg-type]  # asgiref's types
    foundation = Foundation(read, own, Declarations(), store, FakeUpstream(), FakeProber(), Observing())
    return GatewayRole(foundation, first_load_seconds=0)


async def test_who_is_listed_where() -> None:
    """An instance is known at its IP address: the one it names, or the one its name was resolved to."""
    store = MemoryStore()
    for host, pinned in (("10.0.0.1", ""), ("orders.internal", "10.0.0.2")):
        instance = ServiceInstance("orders", Address("http", host, 80, pinned=pinned))
        await store.register(instance, LeaseState(host, "orders", signed=True))
    gateway = role(store)
    assert not gateway.is_listed("orders", "10.0.0.1")
    await gateway.directory.refresh()
    assert gateway.is_listed("orders", "10.0.0.1")
    assert gateway.is_listed("orders", "10.0.0.2")
    assert not gateway.is_listed("orders", "10.0.0.3")
    assert not gateway.is_listed("shop", "10.0.0.1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, default_limits()),
        ({"max_concurrent": 5}, replace(default_limits(), service=5)),
        ({"max_concurrent_total": 7, "max_queue": 0}, replace(default_limits(), total=7, service=7, queue=0)),
        ({"max_concurrent_total": 7, "max_concurrent": 9}, replace(default_limits(), total=7, service=9)),
    ],
)
def test_limits(options: dict[str, int], expected: Limits) -> None:
    """What the operator leaves open is as usual, and one service never gets more than all together by itself."""
    assert limits_of(read_options(options, {})) == expected
