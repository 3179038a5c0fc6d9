"""The public view: who is listed, what menus show."""

from hydra_asgi.core.directory.overview import MenuEntry, Overview, ServiceView, build_overview
from hydra_asgi.core.instance import Address, MenuItem, Revision, Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings


def instance(service: str = "orders", port: int = 8001, **fields: object) -> ServiceInstance:
    return ServiceInstance(service, Address("http", "10.0.0.1", port), **fields)  # type: ignore[arg-type]


def overview(*instances: ServiceInstance) -> Overview:
    return build_overview(Snapshot(Revision("e", 7), instances))


def test_the_revision_is_named() -> None:
    """An overview says which state of the directory it shows."""
    assert overview().revision == "e.7"


def test_a_service_sums_up_its_active_instances() -> None:
    """A view counts active instances, lists their versions once and their routes once, in order of declaration."""
    first, second = Route("/orders"), Route("/orders/{id}", kind=RouteKind.WEBSOCKET)
    seen = overview(
        instance(port=1, version=2, routes=(first,)),
        instance(port=2, version=1, routes=(first, second)),
        instance(port=3, version=9, active=False, routes=(Route("/late"),)),
    )
    assert seen.services == (ServiceView("orders", True, (1, 2), 2, ("/orders", "/orders/{id}")),)
    assert seen.service("orders") is seen.services[0]
    assert seen.is_available("orders")


def test_a_service_without_an_active_instance_is_not_listed() -> None:
    """Inactive means out of the overview and out of the menus."""
    seen = overview(instance(active=False, menu_items=(MenuItem("main", "/orders", "Orders"),)))
    assert seen.services == ()
    assert seen.menus == {}
    assert seen.service("orders") is None
    assert not seen.is_available("orders")


def test_a_service_that_only_drains_is_listed_but_not_available() -> None:
    """A service whose active instances all have weight 0 stays visible and says that it takes no requests."""
    item = MenuItem("main", "/orders", "Orders")
    drained, taking = instance(weight=0.0, menu_items=(item,)), instance(port=2)
    assert not overview(drained).is_available("orders")
    assert overview(drained).menu("main") == (MenuEntry("/orders", "Orders", "orders", available=False),)
    assert overview(drained, taking).is_available("orders")
    assert overview(drained, taking).menu("main")[0].available


def test_a_service_whose_versions_have_no_share_is_not_available() -> None:
    """Availability follows central settings too."""
    given = instance(version=1)
    assert not build_overview(Snapshot(Revision("e", 1), (given,), {"orders": ServiceSettings({1: 0.0})})).is_available(
        "orders"
    )
    assert build_overview(Snapshot(Revision("e", 1), (given,), {"orders": ServiceSettings({1: 5.0})})).is_available(
        "orders"
    )


def test_a_label_falls_back_to_the_endpoint() -> None:
    """A menu item without a label shows the path it leads to."""
    seen = overview(instance(menu_items=(MenuItem("main", "/orders"),)))
    assert seen.menu("main") == (MenuEntry("/orders", "/orders", "orders"),)


def test_an_endpoint_appears_once_in_a_menu_and_belongs_to_the_older_registration() -> None:
    """The same endpoint of two instances, or of two services, is one entry, and the older registration's."""
    item = MenuItem("main", "/orders", "Orders")
    seen = overview(
        instance(port=1, menu_items=(item, MenuItem("foot", "/orders", "Orders below"))),
        instance(port=2, menu_items=(item,)),
        instance("shop", 3, menu_items=(MenuItem("main", "/orders", "Mine"), MenuItem("main", "/", "Home"))),
    )
    assert [(entry.label, entry.service) for entry in seen.menu("main")] == [("Orders", "orders"), ("Home", "shop")]
    assert [entry.label for entry in seen.menu("foot")] == ["Orders below"]


def test_an_unknown_menu_is_empty() -> None:
    """A template may ask for a menu that nobody fills."""
    assert overview().menu("main") == ()


def test_views_of_services_that_have_not_changed_are_taken_over() -> None:
    """An instance that comes costs a view of its own service, and settings that were set cost one."""
    orders, shop = instance(), instance(service="shop", port=2)
    settings = {"orders": ServiceSettings({0: 0.0})}
    first = Snapshot(Revision("e", 1), (orders, shop))
    seen = build_overview(first)
    second = Snapshot(Revision("e", 2), (orders, shop, instance(service="shop", port=3)))
    later = build_overview(second, (first, seen))
    assert later == build_overview(second)
    assert later.service("orders") is seen.service("orders")
    third = Snapshot(Revision("e", 3), second.instances, settings)
    assert build_overview(third, (second, later)) == build_overview(third)
    assert build_overview(Snapshot(Revision("e", 4)), (second, later)).services == ()
