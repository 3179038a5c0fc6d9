"""The overview on the wire."""

import json

import pytest

from hydra_asgi.core.directory.overview import MenuEntry, Overview, ServiceView
from hydra_asgi.wire.overview import OverviewError, overview_value, parse_overview

OVERVIEW = Overview(
    revision="e.7",
    services=(ServiceView("orders", True, (1, 2), 3, ("/orders", "/orders/{id:int}")), ServiceView("shop", False)),
    menus={"main": (MenuEntry("/orders", "Orders", "orders"), MenuEntry("/shop", "Shop", "shop", False))},
)


def test_round_trip() -> None:
    """What a gateway writes, a service reads as the same value."""
    assert parse_overview(json.loads(json.dumps(overview_value(OVERVIEW)))) == OVERVIEW


def test_a_newer_gateway_may_say_more() -> None:
    """Unknown fields are ignored, missing ones have their defaults."""
    value = {"revision": "e.1", "more": 1, "services": [{"name": "a", "more": 1}]}
    assert parse_overview(value) == Overview("e.1", (ServiceView("a"),))


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"revision": 1}, {"revision": "e", "services": 1}, {"revision": "e", "services": [{}]},
     {"revision": "e", "menus": {"a": [{"endpoint": "/a"}]}}, {"revision": "e", "menus": []}],
)  # fmt: skip
def test_what_is_no_overview(value: object) -> None:
    """Anything else is an error that names the field."""
    with pytest.raises(OverviewError, match="overview: "):
        parse_overview(value)
