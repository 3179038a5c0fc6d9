"""The directory as commands show it."""

from dataclasses import replace

import pytest

from hydra_asgi.cli.site_view import list_instances, list_routes, list_services, names_beside
from hydra_asgi.core.instance import Revision, Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.service_settings import Condition, ConditionSource, ServiceSettings
from tests.cli import live_site


def instance(service: str, port: int, version: int, *routes: Route | str, **more: object) -> ServiceInstance:
    return replace(live_site.instance(service, port, version, *routes, **more), token=port, order=port)


def snapshot(*instances: ServiceInstance, **settings: ServiceSettings) -> Snapshot:
    return Snapshot(Revision("e", 1), instances, settings)


def test_the_state_of_a_service() -> None:
    """Available while somebody active may be asked; drained, inactive and absent are three different things."""
    given = snapshot(
        instance("a", 1, 1),
        instance("a", 2, 1, active=False),
        instance("b", 3, 1, weight=0.0),
        instance("c", 4, 1, active=False),
        instance("d", 5, 1),
        d=ServiceSettings({1: 0.0}),
        e=ServiceSettings({1: 1.0}),
    )
    views = {view.name: (view.state, view.active, sum(view.versions.values())) for view in list_services(given)}
    assert views == {
        "a": ("available", 1, 2),
        "b": ("drained", 1, 1),
        "c": ("inactive", 0, 1),
        "d": ("drained", 1, 1),
        "e": ("absent", 0, 0),
    }


def test_the_parts_of_instances_add_up_within_their_version() -> None:
    """Version first, then the weights within it; who gets nothing has no part."""
    given = snapshot(
        instance("a", 1, 1, weight=30.0),
        instance("a", 2, 1, weight=10.0),
        instance("a", 3, 2),
        instance("a", 4, 2, active=False),
        instance("a", 5, 3),
        a=ServiceSettings({1: 80.0, 2: 20.0}),
    )
    assert [(view.instance.token, view.state, round(view.share, 3)) for view in list_instances(given)] == [
        (1, "active", 0.6),
        (2, "active", 0.2),
        (3, "active", 0.2),
        (4, "inactive", 0.0),
        (5, "active", 0.0),
    ]
    assert list_instances(given, "b") == []


def test_versions_that_only_conditions_reach_have_no_part() -> None:
    """The list is about everybody."""
    tester = Condition(ConditionSource.HEADER, "x", "", 2)
    given = snapshot(instance("a", 1, 1), instance("a", 2, 2), a=ServiceSettings({1: 1.0}, conditions=(tester,)))
    assert [view.share for view in list_instances(given)] == [1.0, 0.0]


def troubles(given: Snapshot) -> dict[tuple[str, str], str]:
    return {(one.service, f"{one.route.host or ''}{one.route.template}"): one.trouble for one in list_routes(given)}


def test_routes_that_are_not_answered_say_why() -> None:
    """A limit, a template that cannot be read, and an older service; each where it belongs and nowhere else."""
    given = snapshot(
        instance("a", 1, 1, "/x/{id}", Route("/y", frozenset({"GET"})), "/z"),
        instance("b", 2, 1, "/x/{n}", Route("/y", frozenset({"GET", "PUT"})), Route("/z", host="h.test"), "/{x:nope}"),
        instance("c", 3, 1, Route("/y", frozenset({"GET", "PUT"})), "/other", Route("/z", kind=RouteKind.WEBSOCKET)),
        c=ServiceSettings(prefixes=("/y", "/z")),
    )
    found = troubles(given)
    assert "unknown type" in found.pop(("b", "/{x:nope}"))
    assert found == {
        ("a", "/x/{id}"): "",
        ("a", "/y"): "",
        ("a", "/z"): "",
        ("b", "/x/{n}"): "answered by a, which registered first",
        ("b", "/y"): "GET answered by a, which registered first",
        ("b", "h.test/z"): "",
        ("c", "/y"): "GET answered by a, which registered first; PUT answered by b, which registered first",
        ("c", "/other"): "central settings limit the service to /y, /z",
        ("c", "/z"): "",
    }


def test_a_route_of_several_instances_is_listed_once() -> None:
    """With the versions that have it."""
    given = snapshot(instance("a", 1, 2, "/x"), instance("a", 2, 1, "/x"), instance("a", 3, 1, "/x", "/y"))
    assert [(one.route.template, one.versions, one.instances) for one in list_routes(given)] == [
        ("/x", (1, 2), 3),
        ("/y", (1,), 1),
    ]


def test_an_overlap_of_other_methods_is_not_ours() -> None:
    """Two routes of one shape in one service: each is told what it loses itself."""
    get, put = Route("/x/{a}", frozenset({"GET"})), Route("/x/{b}", frozenset({"PUT"}))
    given = snapshot(instance("a", 1, 1, Route("/x/{c}", frozenset({"PUT"}))), instance("b", 2, 1, get, put))
    assert troubles(given) == {
        ("a", "/x/{c}"): "",
        ("b", "/x/{a}"): "",
        ("b", "/x/{b}"): "answered by a, which registered first",
    }


def test_the_same_path_on_another_host_is_no_loss() -> None:
    """A route with a host of its own is not what the older service answers."""
    given = snapshot(instance("a", 1, 1, "/x"), instance("b", 2, 1, "/x", Route("/x", host="h.test")))
    assert troubles(given)["b", "h.test/x"] == ""
    assert troubles(given)["b", "/x"] == "answered by a, which registered first"


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (0, ""),
        (2, " (there are service1, service2)"),
        (9, f" (there are {', '.join(f'service{number}' for number in range(1, 9))}, ...)"),
    ],
)
def test_names_beside_one_that_is_unknown(count: int, named: str) -> None:
    """A few of them: who mistyped a name finds it among them, and a large site fills no screen."""
    instances = [instance(f"service{number}", number, 1, "/") for number in range(1, count + 1)]
    assert names_beside(snapshot(*instances)) == named
