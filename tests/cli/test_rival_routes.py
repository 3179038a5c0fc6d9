"""Routes beside the one that answers."""

from dataclasses import replace

import pytest

from hydra_asgi.cli.rival_routes import Request, is_toggled, near_misses, rivals
from hydra_asgi.core.instance import Revision, Route, RouteKind, ServiceInstance, Snapshot
from hydra_asgi.core.routing.route_table import RouteTable
from hydra_asgi.core.service_settings import ServiceSettings
from tests.cli import live_site


def instance(service: str, port: int, *routes: Route | str) -> ServiceInstance:
    return replace(live_site.instance(service, port, 1, *routes), token=port, order=port)


def ask(path: str, method: str = "GET", kind: RouteKind = RouteKind.HTTP, host: str = "") -> Request:
    return Request(tuple(path[1:].split("/")), method, kind, host)


def snapshot(*instances: ServiceInstance, **settings: ServiceSettings) -> Snapshot:
    return Snapshot(Revision("e", 1), instances, settings)


def why(given: Snapshot, request: Request) -> list[str]:
    """What is said of the rivals of the route that answers."""
    table = RouteTable.build(given.instances, given.settings)
    won = table.match(request.segments, request.method, kind=request.kind, host=request.host)
    assert won is not None
    return list(rivals(given, request, won.service, won.template))


def test_each_rival_has_its_reason() -> None:
    """Age, precision, methods, slashes and hosts, as the table decides them."""
    given = snapshot(
        instance("a", 1, "/x/{id:int}", "/x/{rest:path}"),
        instance("b", 2, "/x/{n:int}", Route("/x/7", frozenset({"PUT"})), "/x/7/"),
        instance("b", 3, "/x/{n:int}", "/y"),
        instance("c", 4, Route("/{x}/{y}", host="h.test")),
    )
    assert why(given, ask("/x/7")) == [
        "/x/{rest:path} of a fits too, but is less specific",
        "/x/{n:int} of b fits too, but registered later",
        "/x/7 of b fits too, but does not take GET",
        "/x/7/ of b fits too, but only with another slash at the end",
    ]
    assert why(given, ask("/x/7", host="h.test"))[:2] == [
        "/x/{id:int} of a fits too, but holds for any host",
        "/x/{rest:path} of a fits too, but holds for any host",
    ]


def test_a_lonely_route_has_no_rivals() -> None:
    """The same route of other versions of the service is the route itself."""
    given = snapshot(instance("a", 1, "/x/{id}"), instance("a", 2, "/x/{n}"))
    assert why(given, ask("/x/1")) == []


def test_what_nearly_fits_is_named_with_what_is_missing() -> None:
    """A limit, another kind, another host; a route that fits and one of another path are not of interest."""
    given = snapshot(
        instance("a", 1, "/x"),
        instance("b", 2, Route("/x", kind=RouteKind.WEBSOCKET), Route("/x", host="h.test"), "/y"),
        instance("c", 3, "/x"),
        c=ServiceSettings(prefixes=("/c", "/d")),
    )
    assert list(near_misses(given, ask("/x"))) == [
        "/x of b would fit, but it is a route for WebSockets",
        "/x of b would fit, but only for the host h.test",
        "/x of c would fit, but central settings limit the service to /c, /d",
    ]
    assert "/x of a would fit, but it is a route for HTTP" in list(
        near_misses(given, ask("/x", kind=RouteKind.WEBSOCKET))
    )


@pytest.mark.parametrize(
    ("template", "path", "toggled"),
    [
        ("/", "/", False),
        ("/x", "/x", False),
        ("/x", "/x/", True),
        ("/x/", "/x", True),
        ("/{a}", "/x/", True),
        ("/x/{rest:path}", "/x", True),
        ("/x/{rest:path}", "/x/", False),
        ("/x/{rest:path}", "/x/a/b", False),
    ],
)
def test_whether_the_slash_at_the_end_was_changed(template: str, path: str, toggled: bool) -> None:
    """As `RouteTable.match` does when nothing else fits."""
    assert is_toggled(template, ask(path).segments) is toggled
