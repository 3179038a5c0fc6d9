"""Whose is a request?"""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.core.instance import Address, Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.host_pattern import host_labels, parse_host_pattern
from hydra_asgi.core.routing.route_owner import Match
from hydra_asgi.core.routing.route_table import RouteTable
from hydra_asgi.core.routing.template import Segment, SegmentKind, parse_template
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings, SharePolicy


def instance(service: str, order: int, *routes: Route | str, version: int = 1, active: bool = True) -> ServiceInstance:
    """An instance with these routes; its age is its port and its token too."""
    published = tuple(route if isinstance(route, Route) else Route(route) for route in routes)
    address = Address("http", "127.0.0.1", order)
    return ServiceInstance(service, address, version=version, routes=published, token=order, order=order, active=active)


def ask(
    table: RouteTable, path: str, method: str = "GET", *, kind: RouteKind = RouteKind.HTTP, host: str = ""
) -> str | None:
    """Service and template of the match, with a mark when the method is not allowed."""
    found = table.match(tuple(path[1:].split("/")), method, kind=kind, host=host)
    return None if found is None else f"{found.service} {found.template}{'' if found.method_allowed else ' 405'}"


def test_a_path_belongs_to_the_service_that_declares_it() -> None:
    """Each service answers its own routes; what nobody declares is nobody's."""
    table = RouteTable.build([instance("shop", 1, "/", "/products/{id}"), instance("orders", 2, "/orders/{id:int}")])
    assert ask(table, "/") == "shop /"
    assert ask(table, "/products/7") == "shop /products/{id}"
    assert ask(table, "/orders/7") == "orders /orders/{id:int}"
    assert ask(table, "/orders/x") is None
    assert ask(table, "/ordersx/7") is None


def test_catch_alls_of_a_root_come_last() -> None:
    """The oldest service may take everything; what others declare is still theirs."""
    table = RouteTable.build([instance("old", 1, "/", "/{path:path}"), instance("orders", 2, "/orders", "/o/{x:path}")])
    assert ask(table, "/orders") == "orders /orders"
    assert ask(table, "/o/a/b") == "orders /o/{x:path}"
    assert ask(table, "/else/where") == "old /{path:path}"


def test_the_service_that_registered_first_wins_a_shared_route() -> None:
    """The age of a service is that of its oldest instance, whatever that one declares; the table names the pair."""
    table = RouteTable.build(
        [instance("b", 2, "/x/{a}"), instance("a", 3, "/x/{b}"), instance("a", 1), instance("c", 4, "/x/{c:int}")]
    )
    assert ask(table, "/x/y") == "a /x/{b}"
    assert [(conflict.winner, conflict.loser, conflict.template) for conflict in table.conflicts] == [
        ("a", "b", "/x/{b}")
    ]


def test_a_group_holds_the_instances_that_declare_the_route() -> None:
    """A route that only the new version has is never sent to the old one."""
    table = RouteTable.build([instance("a", 1, "/x"), instance("a", 2, "/x", "/new", version=2), instance("a", 3)])
    tokens = {
        path: [listed.token for listed in found.group.instances]
        for path in ("x", "new")
        if (found := table.match((path,), "GET"))
    }
    assert tokens == {"x": [1, 2], "new": [2]}


def test_a_route_declared_twice_by_one_instance_counts_once() -> None:
    """The same shape under two names makes no second instance."""
    table = RouteTable.build([instance("a", 1, "/x/{a}", "/x/{b}")])
    found = table.match(("x", "1"), "GET")
    assert found is not None
    assert [listed.token for listed in found.group.instances] == [1]


def test_central_shares_reach_every_group() -> None:
    """Shares decide for the whole service and for each route."""
    instances = [instance("a", 1, "/x"), instance("a", 2, "/x", version=2), instance("b", 3, "/y")]
    table = RouteTable.build(instances, {"a": ServiceSettings({1: 0, 2: 1})})
    found = table.match(("x",), "GET")
    assert found is not None
    assert [pool.version for pool in found.group.versions] == [2]
    assert [pool.version for pool in table.services["a"].versions] == [2]
    assert found.group is table.service("a")


def test_conditions_reach_every_group() -> None:
    """A user whom a condition names gets that version of every route that has it."""
    both = [instance("a", 1, "/x", "/old"), instance("a", 2, "/x", version=2)]
    condition = Condition(ConditionSource.HEADER, "x-tester", "", 2)
    table = RouteTable.build(both, {"a": ServiceSettings({1: 1}, conditions=(condition,))})
    found, old = table.match(("x",), "GET"), table.match(("old",), "GET")
    assert found is not None
    assert old is not None
    assert (found.group.conditions, old.group.conditions) == ((condition,), ())
    assert found.group.steered(2).pick("") == both[1]
    assert old.group.steered(2).pick("") == both[0]


def test_a_policy_is_asked_for_each_route() -> None:
    """The newest version wins among those that have the route, so that a route which only the old one has answers."""
    both = [instance("a", 1, "/x", "/old"), instance("a", 2, "/x", version=2)]
    table = RouteTable.build(both, {"a": ServiceSettings(policy=SharePolicy.NEWEST_VERSION_WINS)})
    picked = [found.group.pick("") for path in ("x", "old") if (found := table.match((path,), "GET"))]
    assert picked == [both[1], both[0]]


def test_a_service_has_its_routes_under_its_prefixes_only() -> None:
    """Others are skipped and named with the limit; a service without prefixes is not limited."""
    limited = instance("a", 1, "/a/x", "/b", Route("/ws", kind=RouteKind.WEBSOCKET), "/{rest:path}")
    other = instance("b", 2, "/b", "/{rest:path}")
    table = RouteTable.build([limited, other], {"a": ServiceSettings(prefixes=("/a", "/c"))})
    assert ask(table, "/a/x") == "a /a/x"
    assert ask(table, "/b") == "b /b"
    assert ask(table, "/z") == "b /{rest:path}"
    assert ask(table, "/ws", kind=RouteKind.WEBSOCKET) is None
    assert table.conflicts == ()
    assert [(key, template) for key, template, _ in table.skipped] == [
        (limited.key, template) for template in ("/b", "/ws", "/{rest:path}")
    ]
    assert {reason for _, _, reason in table.skipped} == {"central settings limit the service to /a, /c"}


def test_private_routes_are_limited_by_nobody() -> None:
    """What only this node knows of its own app is no matter of central settings; the same route of others is."""
    own, other = instance("a", 1, "/health", "/b"), instance("a", 2, "/health")
    table = RouteTable.build(
        [own, other], {"a": ServiceSettings(prefixes=("/a",))}, private={(own.key, Route("/health"))}
    )
    found = table.match(("health",), "GET")
    assert found is not None
    assert found.group.instances == (own,)
    assert ask(table, "/b") is None


def test_a_method_that_does_not_fit_goes_on_to_the_next_route() -> None:
    """A less specific route that takes the method wins over a better one that does not; else the best one says 405."""
    table = RouteTable.build(
        [
            instance("a", 1, Route("/x/new", frozenset({"GET"}))),
            instance("b", 2, Route("/x/{id}", frozenset({"GET", "POST"}))),
        ]
    )
    assert ask(table, "/x/new", "GET") == ask(table, "/x/new", "HEAD") == "a /x/new"
    assert ask(table, "/x/new", "POST") == "b /x/{id}"
    assert ask(table, "/x/new", "DELETE") == "a /x/new 405"


def test_a_trailing_slash_is_toggled_only_when_nothing_matches() -> None:
    """The owning app gets the chance to redirect, but an exact match of anybody comes first."""
    table = RouteTable.build(
        [
            instance("a", 1, "/orders/", Route("/put", frozenset({"PUT"}))),
            instance("b", 2, "/items", "/put/", "/files/{p:path}", "/"),
        ]
    )
    assert ask(table, "/orders") == "a /orders/"
    assert ask(table, "/items/") == "b /items"
    assert ask(table, "/files") == "b /files/{p:path}"
    assert ask(table, "/put", "GET") == "a /put 405"
    assert ask(table, "/put/", "GET") == "b /put/"
    assert ask(table, "/orders//") is None
    assert ask(table, "/items//") is None


def test_the_root_has_no_slash_to_take_away() -> None:
    """`/` matches `/` or a catch-all, and nothing else."""
    assert ask(RouteTable.build([instance("a", 1, "/x")]), "/") is None
    assert ask(RouteTable.build([instance("a", 1, "/{p:path}")]), "/") == "a /{p:path}"


def test_a_path_that_starts_with_two_slashes_matches_nothing() -> None:
    """Not even a catch-all: `//evil/x` names another host wherever it is taken for a reference."""
    table = RouteTable.build([instance("a", 1, "/{p:path}", "/")])
    assert ask(table, "//evil/x") is None
    assert ask(table, "//") is None
    assert ask(table, "/a//x") == "a /{p:path}"


def test_websockets_have_routes_of_their_own() -> None:
    """A WebSocket route answers no HTTP request and the other way round; methods and slashes are not looked at."""
    routes = Route("/live", frozenset({"GET"}), RouteKind.WEBSOCKET), Route("/live/page")
    table = RouteTable.build([instance("a", 1, *routes)])
    assert ask(table, "/live", "", kind=RouteKind.WEBSOCKET) == "a /live"
    assert ask(table, "/live") is None
    assert ask(table, "/live/page", kind=RouteKind.WEBSOCKET) is None
    assert ask(table, "/live/", kind=RouteKind.WEBSOCKET) is None


def test_a_route_with_a_host_comes_before_one_without() -> None:
    """A host that is named comes first, then a pattern, then any host; each only where path and method fit."""
    table = RouteTable.build(
        [
            instance("any", 1, "/x", "/{rest:path}"),
            instance("tenants", 2, Route("/{page}", host="{tenant}.example.org")),
            instance("shop", 3, Route("/x", frozenset({"GET"}), host="Shop.example.org:8000")),
        ]
    )
    assert ask(table, "/x", host="shop.EXAMPLE.org:443") == "shop /x"
    assert ask(table, "/x", "POST", host="shop.example.org") == "tenants /{page}"
    assert ask(table, "/y", host="shop.example.org") == "tenants /{page}"
    assert ask(table, "/x", host="a.b.example.org") == "tenants /{page}"
    assert ask(table, "/x", host="example.org") == "any /x"
    assert ask(table, "/x/y", host="shop.example.org") == "any /{rest:path}"
    assert ask(table, "/x") == "any /x"


def test_a_template_that_cannot_be_read_is_skipped_and_named() -> None:
    """One bad route of one instance costs nobody anything else."""
    bad = instance("a", 1, "/{x:[0-9]+}", Route("/x", host="a..b"), "/good")
    table = RouteTable.build([bad, instance("a", 2, "/{x:[0-9]+}")])
    assert ask(table, "/good") == "a /good"
    assert [(key, template) for key, template, _ in table.skipped] == [
        (bad.key, "/{x:[0-9]+}"),
        (bad.key, "/x"),
        (("a", "http://127.0.0.1:2"), "/{x:[0-9]+}"),
    ]
    assert "unknown type" in table.skipped[0][2]
    assert "neither a name nor a parameter" in table.skipped[1][2]


def test_instances_are_found_by_token_and_services_by_name() -> None:
    """Inactive instances are listed too; unknown names and tokens are None."""
    silent = instance("a", 7, active=False)
    table = RouteTable.build([silent, instance("a", 3), instance("b", 5)])
    assert table.by_token(7) == silent
    assert table.by_token(8) is None
    group = table.service("a")
    assert group is not None
    assert [listed.token for listed in group.instances] == [3, 7]
    assert table.service("c") is None
    assert list(table.services) == ["a", "b"]


def test_an_empty_table_matches_nothing() -> None:
    """A node that has just started knows nobody."""
    table = RouteTable.build([])
    assert ask(table, "/") is None
    assert (dict(table.services), table.conflicts, table.skipped) == ({}, (), ())


def test_a_match_is_made_once() -> None:
    """Asking again gives the same object: a request allocates no match."""
    table = RouteTable.build([instance("a", 1, "/x")])
    assert table.match(("x",), "GET") is table.match(("x",), "POST")


# The rules once more, as simply as they can be written: try every route, sort, take the first.


def fits(parts: Sequence[Segment], segments: Sequence[str]) -> bool:
    """Whether segments match one by one, a rest taking all that is left."""
    if parts and parts[-1].kind is SegmentKind.REST:
        if len(segments) < len(parts):
            return False
        segments = segments[: len(parts) - 1]
        parts = parts[:-1]
    return len(parts) == len(segments) and all(
        segment == part.text
        if part.kind is SegmentKind.LITERAL
        else segment.isdecimal()
        if part.kind is SegmentKind.INT
        else bool(segment)
        for part, segment in zip(parts, segments, strict=True)
    )


def shape(parts: Sequence[Segment]) -> tuple[tuple[int, str], ...]:
    """What makes two templates the same route."""
    return tuple((part.kind, "" if part.kind else part.text) for part in parts)


def takes(route: Route, method: str) -> bool:
    """Whether a route takes a method."""
    if route.kind is RouteKind.WEBSOCKET or route.methods is None:
        return True
    return method in route.methods or (method == "HEAD" and "GET" in route.methods)


def expected(
    instances: Sequence[ServiceInstance], segments: tuple[str, ...], method: str, kind: RouteKind, host: str
) -> tuple[str, str, list[int], bool] | None:
    """Service, template, tokens of the group, and whether the method is allowed."""
    if len(segments) > 1 and not segments[0]:
        return None
    found = _exactly(instances, segments, method, kind, host)
    toggled = segments[:-1] if segments[-1] == "" else (*segments, "")
    if found is None and kind is RouteKind.HTTP and toggled and toggled[-2:] != ("", "") and (
        segments[-1] or toggled[-1]
    ):  # fmt: skip
        return _exactly(instances, toggled, method, kind, host)
    return found


def _exactly(
    instances: Sequence[ServiceInstance], segments: tuple[str, ...], method: str, kind: RouteKind, host: str
) -> tuple[str, str, list[int], bool] | None:
    age = {one.service: min(other.order for other in instances if other.service == one.service) for one in instances}
    candidates = []
    for one in sorted(instances, key=lambda listed: listed.order):
        for place, route in enumerate(one.routes):
            parts = parse_template(route.template).segments
            labels = parse_host_pattern(route.host) if route.host else ()
            if route.kind is kind and fits(parts, segments) and (not labels or fits(labels, host_labels(host))):
                specific = (not labels, [part.kind for part in labels], [part.kind for part in parts])
                candidates.append(
                    (specific, age[one.service], one.order, place, one, route, shape(labels) + shape(parts))
                )
    if not candidates:
        return None
    allowed = [candidate for candidate in candidates if takes(candidate[5], method)]
    best = min(allowed or candidates, key=lambda candidate: candidate[:4])
    same = sorted(
        (other for other in candidates if other[6] == best[6] and other[4].service == best[4].service),
        key=lambda candidate: candidate[:4],
    )
    tokens = sorted({other[4].token for other in same if not allowed or takes(other[5], method)})
    return best[4].service, same[0][5].template, tokens, bool(allowed)


_TEMPLATES = st.sampled_from(
    ["/", "/a", "/a/", "/a/b", "/a/{x}", "/a/{y}", "/a/{n:int}", "/{x}", "/{n:int}/b", "/{x}/b", "/{x}/{y}/",
     "/{p:path}", "/a/{p:path}", "/{x}/{p:path}", "/a/{x}/{p:path}"]
)  # fmt: skip
_METHODS = st.sampled_from([None, frozenset({"GET"}), frozenset({"POST"}), frozenset({"GET", "PUT"})])
_HOSTS = st.sampled_from([None, None, None, "a.org", "{t}.org", "{t}.a.org"])
_ROUTES = st.builds(Route, _TEMPLATES, _METHODS, st.sampled_from(list(RouteKind)), _HOSTS)
_SITES = st.lists(st.tuples(st.sampled_from("abc"), st.lists(_ROUTES, max_size=5)), max_size=6).map(
    lambda services: [instance(service, order, *routes) for order, (service, routes) in enumerate(services, 1)]
)
_PATHS = st.lists(st.sampled_from(["a", "b", "7", ""]), min_size=1, max_size=4).map(tuple)


def seen(found: Match | None) -> tuple[str, str, list[int], bool] | None:
    """A match, as the oracle gives it."""
    if found is None:
        return None
    return found.service, found.template, sorted(one.token for one in found.group.instances), found.method_allowed


@settings(max_examples=400)
@given(
    _SITES,
    _PATHS,
    st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
    st.sampled_from(list(RouteKind)),
    st.sampled_from(["", "a.org", "b.a.org:80", "other.net"]),
    st.randoms(),
)
def test_a_match_is_what_trying_every_route_gives(
    instances: list[ServiceInstance], segments: tuple[str, ...], method: str, kind: RouteKind, host: str, random: object
) -> None:
    """The tree, the precedence, methods, hosts and slashes agree with the plain rules, in whatever order they came."""
    shuffled = random.sample(instances, len(instances))  # type: ignore[attr-defined]  # hypothesis' Random
    found = RouteTable.build(shuffled).match(segments, method, kind=kind, host=host)
    assert seen(found) == expected(instances, segments, method, kind, host)


@given(_SITES)
def test_a_conflict_names_a_winner_that_answers(instances: list[ServiceInstance]) -> None:
    """The winner is the older service, both are known, and no pair is named twice for one route and method."""
    table = RouteTable.build(instances)
    rank: Mapping[str, int] = {service: place for place, service in enumerate(table.services)}
    for conflict in table.conflicts:
        assert rank[conflict.winner] < rank[conflict.loser]
        assert isinstance(table.services[conflict.loser], Group)
    assert len(set(table.conflicts)) == len(table.conflicts)


@pytest.mark.parametrize("count", [10, 2_000])
def test_a_large_directory_answers_like_a_small_one(count: int) -> None:
    """Every route of many services is found."""
    instances = [instance(f"s{n}", n + 1, *(f"/s{n}/{m}/{{id:int}}" for m in range(10))) for n in range(count // 10)]
    table = RouteTable.build(instances)
    assert {ask(table, f"/s{n}/{m}/5") for n in range(count // 10) for m in range(10)} == {
        f"s{n} /s{n}/{m}/{{id:int}}" for n in range(count // 10) for m in range(10)
    }
