"""Compiling anew only what has changed."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.instance import Address, Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing import compile_routes
from hydra_asgi.core.routing.route_table import RouteTable
from hydra_asgi.core.service_settings import ServiceSettings

ROUTES = [
    Route("/a"),
    Route("/a/{x}"),
    Route("/a/{y}", frozenset({"GET"})),
    Route("/a/{y}", frozenset({"POST", "PUT"})),
    Route("/{n:int}/a"),
    Route("/{n:float}/a", frozenset({"GET"})),
    Route("/{n:uuid}"),
    Route("/{rest:path}"),
    Route("/a", kind=RouteKind.WEBSOCKET),
    Route("/a", host="{tenant}.example"),
    Route("/b/{x}", frozenset({"GET"}), host="shop.example"),
    Route("/not{a}template"),
    Route("/a", host="not a host"),
]
PATHS = [(), ("a",), ("b",), ("a", "b"), ("a", ""), ("1", "a"), ("1.5", "a"), ("0" * 32,), ("b", "c"), ("x", "y", "z")]
HOSTS = ["", "shop.example", "one.example"]
LIMITED = ServiceSettings(prefixes=("/a",))


def instance(service: str, number: int, routes: Sequence[Route]) -> ServiceInstance:
    return ServiceInstance(
        service, Address("http", "10.0.0.1", number), routes=tuple(routes), token=number, order=number
    )


def seen(table: RouteTable) -> list[object]:
    """Everything that a table answers."""
    answers = [
        table.match(path, method, kind=kind, host=host)
        for path in PATHS
        for method in ("GET", "HEAD", "POST", "PATCH")
        for kind in RouteKind
        for host in HOSTS
        if path
    ]
    problems = [sorted(map(repr, table.conflicts)), sorted(map(repr, table.skipped))]
    return [answers, problems, list(table.services.items()), [table.by_token(number) for number in range(40)]]


def shop(number: int = 1) -> ServiceInstance:
    return instance("shop", number, [Route("/shop/{n}"), Route("/shared")])


def orders(number: int) -> ServiceInstance:
    return instance("orders", number, [Route("/orders"), Route("/shared", frozenset({"POST"}))])


steps = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.sampled_from(ROUTES), max_size=4),
        st.sets(st.integers(0, 30)),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_step_by_step_a_table_is_what_it_would_be_at_once(
    changes: list[tuple[str, list[Route], set[int], bool]],
) -> None:
    """However instances come, go, and are limited, the table answers as if it had been built from nothing."""
    table = RouteTable.build(())
    present: list[ServiceInstance] = []
    for number, (service, routes, going, is_limited) in enumerate(changes, 1):
        present = [one for one in present if one.order not in going]
        present.append(instance(service, number, routes))
        limits = {"a": LIMITED} if is_limited else {}
        private = [(present[0].key, route) for route in present[0].routes] if number % 3 == 0 else []
        before, known = table, seen(table)
        table = RouteTable.build(present, limits, private=private, before=before)
        assert seen(table) == seen(RouteTable.build(present, limits, private=private))
        assert seen(before) == known


def test_what_has_not_changed_is_the_same_object() -> None:
    """A restarted instance of one service costs nothing where others are."""
    lone, one, two = shop(), orders(2), orders(3)
    before = RouteTable.build([lone, one, two])
    after = RouteTable.build([lone, one], before=before)
    assert after.service("shop") is before.service("shop")
    assert after.match(("shop", "1"), "GET") is before.match(("shop", "1"), "GET")
    assert after.match(("orders",), "GET") != before.match(("orders",), "GET")


def test_the_place_of_a_service_that_became_younger_is_settled_anew() -> None:
    """In a rolling deployment the oldest instance goes, and another service is then the older one."""
    before = RouteTable.build([shop(1), orders(2), shop(3)])
    assert [(one.winner, one.loser) for one in before.conflicts] == [("shop", "orders")]
    unchanged = before.by_token(2)
    assert unchanged is not None
    after = RouteTable.build([unchanged, shop(3)], before=before)
    assert [(one.winner, one.loser) for one in after.conflicts] == [("orders", "shop")]


def test_a_table_of_many_lost_routes_is_built_from_nothing() -> None:
    """The places of routes that nobody has any more do not pile up."""
    table = RouteTable.build([shop()])
    for number in range(compile_routes.MAX_EMPTY + 3):
        table = RouteTable.build([shop(), instance("orders", 2, [Route(f"/orders{number}")])], before=table)
        assert table._compiled.empty <= compile_routes.MAX_EMPTY + 1
    assert table._compiled.empty < 10


def test_other_central_settings_make_another_group() -> None:
    """Shares that were set reach every route of the service."""
    one, two = orders(1), replace(orders(2), version=2)
    before = RouteTable.build([one, two])
    after = RouteTable.build([one, two], {"orders": ServiceSettings({2: 1.0})}, before=before)
    match = after.match(("orders",), "GET")
    assert match is not None
    assert match.group.pick("anybody") is two
