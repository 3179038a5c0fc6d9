"""Which service owns which method of one route."""

from collections.abc import Sequence

from hydra_asgi.core.instance import Address, Route, RouteKind, ServiceInstance
from hydra_asgi.core.routing.balance import Group
from hydra_asgi.core.routing.route_owner import Conflict, Declaration, Owners, settle


def declare(service: str, port: int, *methods: str, template: str = "/x/{id}") -> Declaration:
    """A declaration; no methods for any."""
    allowed = frozenset(methods) or None
    listed = ServiceInstance(service, Address("http", "127.0.0.1", port), token=port, order=port)
    return Declaration(listed, Route(template, allowed, host="shop.example"), allowed)


def group_of(instances: Sequence[ServiceInstance]) -> Group:
    """The plainest group."""
    return Group.build(instances)


def owners_of(*declarations: Declaration) -> Owners:
    """Who owns what."""
    return settle(declarations, group_of)


def conflicts_of(*declarations: Declaration) -> Sequence[Conflict]:
    """The overlaps."""
    return settle(declarations, group_of).conflicts


def owner(owners: Owners, method: str) -> tuple[str, list[int]] | None:
    """Service and tokens of the owner of a method."""
    match = owners.owner(method)
    return None if match is None else (match.service, [listed.token for listed in match.group.instances])


def test_a_route_without_methods_takes_all() -> None:
    """None means any method."""
    owners = owners_of(declare("a", 1), declare("a", 2))
    assert owner(owners, "PURGE") == ("a", [1, 2])
    assert owners.owner("GET") is owners.owner("POST")


def test_head_is_answered_where_get_is() -> None:
    """HEAD follows GET and nothing else."""
    assert owner(owners_of(declare("a", 1, "GET")), "HEAD") == ("a", [1])
    assert owner(owners_of(declare("a", 1, "POST")), "HEAD") is None


def test_a_method_goes_to_the_instances_that_declare_it() -> None:
    """While a new version adds a method, the old instances do not get it."""
    owners = owners_of(declare("a", 1, "GET"), declare("a", 2, "GET", "POST"), declare("a", 3))
    assert owner(owners, "GET") == ("a", [1, 2, 3])
    assert owner(owners, "POST") == ("a", [2, 3])
    assert owner(owners, "PUT") == ("a", [3])


def test_a_method_that_nobody_takes_is_refused_by_the_oldest_service() -> None:
    """Its app knows how to say 405."""
    owners = owners_of(declare("a", 1, "GET"), declare("a", 2, "POST"), declare("b", 3, "PUT"))
    assert owners.owner("DELETE") is None
    refused = owners.refuse()
    assert refused.service == "a"
    assert refused.method_allowed is False
    assert [listed.token for listed in refused.group.instances] == [1, 2]


def test_the_oldest_declaration_names_the_template() -> None:
    """Parameters may be called differently; a match shows what the oldest instance wrote."""
    owners = owners_of(declare("a", 1, template="/x/{one}"), declare("a", 2, template="/x/{two}"))
    match = owners.owner("GET")
    assert match is not None
    assert match.template == "/x/{one}"


def test_services_may_share_a_route_by_method() -> None:
    """One has GET, another POST: both are answered and nothing is in conflict."""
    declarations = [declare("a", 1, "GET"), declare("b", 2, "POST"), declare("b", 3, "POST")]
    owners = owners_of(*declarations)
    assert owner(owners, "GET") == owner(owners, "HEAD") == ("a", [1])
    assert owner(owners, "POST") == ("b", [2, 3])
    assert conflicts_of(*declarations) == ()


def test_the_older_service_wins_what_both_declare() -> None:
    """The overlap is named with winner and loser; what is left goes to the younger."""
    declarations = [declare("a", 1, "GET", "PUT"), declare("b", 2, "GET", "POST"), declare("c", 3)]
    owners = owners_of(*declarations)
    assert owner(owners, "GET") == ("a", [1])
    assert owner(owners, "POST") == ("b", [2])
    assert owner(owners, "PURGE") == ("c", [3])
    get, post = frozenset({"GET", "HEAD"}), frozenset({"GET", "HEAD", "POST"})
    assert [(conflict.winner, conflict.loser, conflict.methods) for conflict in conflicts_of(*declarations)] == [
        ("a", "b", get),
        ("a", "c", get | {"PUT"}),
        ("b", "c", post),
    ]


def test_nothing_is_left_behind_a_service_that_takes_all() -> None:
    """Each loser is named once, against the service that answers in its place."""
    declarations = [declare("a", 1), declare("b", 2), declare("c", 3, "GET")]
    conflicts = conflicts_of(*declarations)
    assert conflicts == (
        Conflict("/x/{id}", RouteKind.HTTP, "shop.example", None, "a", "b"),
        Conflict("/x/{id}", RouteKind.HTTP, "shop.example", frozenset({"GET", "HEAD"}), "a", "c"),
    )


def test_a_conflict_in_words() -> None:
    """An operator reads which route, who publishes it, and who answers."""
    get = Conflict("/x/{id}", RouteKind.HTTP, "shop.example", frozenset({"HEAD", "GET"}), "a", "b")
    told = "GET,HEAD shop.example/x/{id} is published by a and by b; a answers it, which came first"
    assert str(get) == told
    assert str(Conflict("/x", RouteKind.HTTP, None, None, "a", "b")).startswith("ANY /x is published by a and by b;")
    assert str(Conflict("/x", RouteKind.WEBSOCKET, None, None, "a", "b")).startswith("WEBSOCKET /x is")


def test_what_one_loses_to_two_is_named_twice() -> None:
    """GET is lost to one service, POST to another, and no method is counted twice."""
    declarations = [declare("a", 1, "GET"), declare("b", 2, "GET", "POST"), declare("c", 3, "GET", "POST")]
    assert [(c.winner, c.loser, c.methods) for c in conflicts_of(*declarations) if c.loser == "c"] == [
        ("a", "c", frozenset({"GET", "HEAD"})),
        ("b", "c", frozenset({"POST"})),
    ]
