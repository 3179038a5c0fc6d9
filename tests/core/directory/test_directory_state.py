"""The value that requests read."""

from dataclasses import replace

from hydra_asgi.core.directory.directory_state import DirectoryState, LocalApp, build_state
from hydra_asgi.core.instance import Address, MenuItem, Revision, Route, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import ServiceSettings

ORDERS = ServiceInstance("orders", Address("http", "10.0.0.1", 1), routes=(Route("/orders"),), token=1_000_000_001)
SHOP = ServiceInstance("shop", Address("http", "10.0.0.1", 2), routes=(Route("/shop"),))


def test_at_first_nothing_is_known() -> None:
    """A node can answer before it has heard from the store."""
    state = DirectoryState()
    assert state.table.match(("orders",), "GET") is None
    assert state.departed.match(("orders",), "GET") is None
    assert state.overview.services == ()


def test_a_state_is_compiled_from_a_snapshot_and_what_left_it() -> None:
    """Table, departed routes and overview belong together."""
    snapshot = Snapshot(Revision("e", 3), (ORDERS,), {"orders": ServiceSettings({0: 1.0})})
    state = build_state(snapshot, (SHOP,))
    assert state.snapshot is snapshot
    matched = state.table.match(("orders",), "GET")
    assert matched is not None
    assert matched.group.pick("") == ORDERS
    assert state.table.by_token(ORDERS.token) == ORDERS
    assert state.table.match(("shop",), "GET") is None
    assert state.departed.match(("shop",), "GET") is not None
    assert state.overview.revision == "e.3"


def test_the_local_app_is_part_of_the_directory_once() -> None:
    """The mounted app comes first where the store does not list it, and is the store's where it does."""
    snapshot = Snapshot(Revision("e", 3), (ORDERS,))
    assert build_state(snapshot, ()).own is None
    listed = build_state(snapshot, (), LocalApp(ServiceInstance("orders", ORDERS.address)))
    assert listed.own == ORDERS
    assert listed.table.service("orders").instances == (ORDERS,)  # type: ignore[union-attr]  # it is there
    unlisted = build_state(snapshot, (), LocalApp(SHOP))
    assert unlisted.own == SHOP
    assert [view.name for view in unlisted.overview.services] == ["shop", "orders"]
    assert unlisted.snapshot is snapshot


def test_hidden_routes_answer_here_and_are_shown_to_nobody() -> None:
    """The mounted app's unpublished routes are in the table and not in the overview."""
    hidden = (Route("/docs"),)
    for instances in ((), (SHOP,)):
        state = build_state(Snapshot(Revision("e", 3), instances), (), LocalApp(SHOP, hidden))
        matched = state.table.match(("docs",), "GET")
        assert matched is not None
        assert matched.service == "shop"
        assert state.overview.services[0].routes == ("/shop",)


def test_central_prefixes_limit_what_is_published_and_not_what_is_hidden() -> None:
    """Table, overview and departed routes keep to them; the app's own health page is still served here."""
    settings = {"shop": ServiceSettings(prefixes=("/shop",)), "orders": ServiceSettings(prefixes=("/o",))}
    shop = replace(SHOP, routes=(Route("/shop"), Route("/grabbed")))
    state = build_state(Snapshot(Revision("e", 3), (shop,), settings), (ORDERS,), LocalApp(shop, (Route("/health"),)))
    found = {path: state.table.match((path,), "GET") is not None for path in ("shop", "grabbed", "health")}
    assert found == {"shop": True, "grabbed": False, "health": True}
    assert state.departed.match(("orders",), "GET") is None
    assert state.overview.services[0].routes == ("/shop",)


def test_an_app_without_a_name_is_no_service() -> None:
    """An app that did not join under a name has its routes and menus, and is not listed."""
    own = ServiceInstance("", SHOP.address, routes=SHOP.routes, menu_items=(MenuItem("main", "/shop", "Shop"),))
    state = build_state(Snapshot(Revision("e", 3), (ORDERS,)), (), LocalApp(own))
    assert [view.name for view in state.overview.services] == ["orders"]
    assert [entry.label for entry in state.overview.menu("main")] == ["Shop"]
    assert state.table.match(("shop",), "GET") is not None


def test_two_versions_need_a_key() -> None:
    """Users have to be told apart as soon as a service has two versions."""
    second = replace(ORDERS, address=Address("http", "10.0.0.1", 9), version=2, token=1_000_000_009)
    assert not build_state(Snapshot(Revision("e", 3), (ORDERS,)), ()).needs_key
    assert build_state(Snapshot(Revision("e", 3), (ORDERS, second)), ()).needs_key


def test_a_long_compilation_can_share_its_processor() -> None:
    """It says when others may work, again and again, whether services or places are many; and builds the same."""
    routes = tuple(Route(f"/r{number}") for number in range(160))
    many = [replace(ORDERS, service=f"s{number}", token=number, order=number, routes=()) for number in range(20)]
    breaths: list[None] = []

    def breathe() -> None:
        breaths.append(None)

    snapshot = Snapshot(Revision("e", 3), (*many, replace(ORDERS, routes=routes, order=99)))
    state = build_state(snapshot, (), breathe=breathe)
    assert len(breaths) >= 20 + 160 // 16
    assert state.table.match(("r7",), "GET") is not None
    assert len(state.table.services) == 21
