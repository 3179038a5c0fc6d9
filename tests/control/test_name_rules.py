"""Names and places of services."""

import pytest

from hydra_asgi.control.name_rules import LAG_SECONDS, NameRules
from hydra_asgi.core.directory.overview import Overview, ServiceView
from hydra_asgi.core.instance import Address, Route, ServiceInstance
from hydra_asgi.errors import RefusedError


def instance(name: str, *templates: str) -> ServiceInstance:
    return ServiceInstance(name, Address("http", "10.0.0.1", 80), routes=tuple(map(Route, templates)))


class Rig:
    def __init__(self, *names: str, **limits: list[str]) -> None:
        self.now = 0.0
        services = tuple(ServiceView(name, available=True) for name in names)
        self.rules = NameRules(lambda: Overview("e.1", services), limits, lambda: self.now)

    def status(self, *announced: str) -> int:
        try:
            self.rules.check(instance(*announced))
        except RefusedError as refusal:
            return refusal.status
        return 200


def test_names_that_differ_by_case() -> None:
    """A name that only looks like a known one is refused, whether that is listed or was taken just now."""
    rig = Rig("Orders")
    rig.rules.take("Billing")
    assert [rig.status(name) for name in ("Orders", "Billing", "shop")] == [200, 200, 200]
    assert [rig.status(name) for name in ("orders", "billing")] == [409, 409]
    rig.now = LAG_SECONDS
    assert rig.status("billing") == 200


@pytest.mark.parametrize(
    ("template", "status"),
    [("/orders", 200), ("/orders/{id}", 200), ("/old/x", 200), ("/ordersx", 403), ("/", 403), ("/shop", 403)],
)
def test_places(template: str, status: int) -> None:
    """A service that is limited publishes under its prefixes, by whole segments; others publish where they like."""
    rig = Rig(orders=["/orders/", "/old"])
    assert rig.status("orders", "/orders", template) == status
    assert rig.status("shop", template) == 200
