import pytest

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.discovery.found import FoundRoute
from hydra_asgi.discovery.publication import Exclusions, declared_route, hide, with_declared
from hydra_asgi.errors import ConfigurationError

GET = frozenset({"GET"})
NOTHING = Exclusions(())


def found(template: str, endpoint: object = None, hidden: str = "", methods: frozenset[str] | None = GET) -> FoundRoute:
    return FoundRoute(Route(template, methods), endpoint, "starlette", hidden, template)


@pytest.mark.parametrize(
    ("entry", "route"),
    [
        ("/x", Route("/x")),
        (" GET /x/{id} ", Route("/x/{id}", GET)),
        ("get,POST /x", Route("/x", frozenset({"GET", "POST"}))),
        ("WEBSOCKET /ws", Route("/ws", None, RouteKind.WEBSOCKET)),
        (Route("/y", GET), Route("/y", GET)),
    ],
)
def test_declared(entry: str | Route, route: Route) -> None:
    """A declared route is a path with methods, with WEBSOCKET, or alone."""
    assert declared_route(entry) == route


@pytest.mark.parametrize("entry", ["", "x", "GET", "GET x", "GET /x /y", "G-T /x", "/a{b}c", "GET //"])
def test_declared_wrong(entry: str) -> None:
    """A declared route that cannot be read stops start-up and is shown."""
    with pytest.raises(ConfigurationError, match="routes= has"):
        declared_route(entry)


@pytest.mark.parametrize(
    ("entry", "template", "expected"),
    [
        ("/admin/*", "/admin/x", True),
        ("/admin/*", "/admin", True),
        ("/admin/*", "/administration", False),
        ("/x/{id}", "/x/{other}", True),
        ("/x/{id}", "/x/{id:int}", False),
        ("/{tenant}/*", "/{t}/x", True),
        ("/*", "/anything", True),
        ("/x", "/x/y", False),
    ],
)
def test_exclusions(entry: str, template: str, expected: bool) -> None:
    """An exclusion names a template, whatever its parameters are called, or a prefix by whole segments."""
    assert (template in Exclusions([entry])) is expected


def test_exclusions_wrong() -> None:
    """An exclusion that is no path stops start-up."""
    with pytest.raises(ConfigurationError, match="exclude= has 'admin'"):
        Exclusions(["admin"])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("/health", "health"),
        ("/healthz", "health"),
        ("/ready/", "health"),
        ("/ping", "health"),
        ("/metrics", "metrics"),
        ("/metrics/{path:path}", "metrics"),
        ("/h/live", "reserved: /h/ belongs to the control plane"),
        ("/h", "reserved: /h/ belongs to the control plane"),
        ("/healthy", ""),
        ("/api/health", ""),
        ("/favicon.ico", ""),
        ("/", ""),
    ],
)
def test_hidden_unless_asked_for(template: str, reason: str) -> None:
    """Health, metrics and the control plane's paths are not published."""
    assert hide(found(template), exclude=NOTHING, unpublished=()).hidden == reason


def test_only_a_fragment() -> None:
    """A function that is only a fragment is no page."""
    assert hide(found("/x", test_declared), exclude=NOTHING, unpublished={test_declared}).hidden == "only a fragment"
    assert hide(found("/x", test_declared), exclude=NOTHING, unpublished=set()).hidden == ""


def test_endpoint_without_hash() -> None:
    """An endpoint object that has no hash was never declared."""
    assert hide(found("/x", []), exclude=NOTHING, unpublished=set()).hidden == ""


def test_excluded() -> None:
    """An exclusion is the reason, whatever else there is."""
    hidden = hide(found("/x", hidden="health"), exclude=Exclusions(["/x"]), unpublished=())
    assert hidden.hidden == "excluded"


def test_first_reason_stays() -> None:
    """A reason of the framework is kept."""
    assert hide(found("/health", hidden="include_in_schema=False"), exclude=NOTHING, unpublished=()).hidden == (
        "include_in_schema=False"
    )


def test_declared_publishes_hidden() -> None:
    """Naming a hidden route publishes it, instead of adding a second one."""
    (route,) = with_declared([found("/health", hidden="health")], [Route("/health")], "", NOTHING)
    assert (route.hidden, route.source) == ("", "starlette")


def test_declared_never_beats_exclude() -> None:
    """An exclusion is stronger than a declaration, for found and for new routes."""
    exclude = Exclusions(["/x", "/y"])
    routes = with_declared([found("/x", hidden="excluded")], [Route("/x"), Route("/y")], "", exclude)
    assert [route.hidden for route in routes] == ["excluded", "excluded"]


def test_declared_never_beats_the_control_plane() -> None:
    """A gateway refuses a service that announces such a path, so naming one publishes nothing; a prefix helps."""
    given = [found("/h/x", hidden="include_in_schema=False")]
    routes = with_declared(given, [Route("/h/x"), Route("/h")], "", NOTHING)
    assert [route.hidden.partition(":")[0] for route in routes] == ["reserved", "reserved"]
    assert [route.hidden for route in with_declared([], [Route("/h")], "/p", NOTHING)] == [""]


@pytest.mark.parametrize(
    "declared",
    [
        Route("/other", GET),
        Route("/health", frozenset({"POST"})),
        Route("/health", None, RouteKind.WEBSOCKET),
        Route("/health", GET, host="x.test"),
    ],
)
def test_declared_new(declared: Route) -> None:
    """A declaration that fits no found route is a route of its own, below the site's prefix."""
    routes = with_declared([found("/health", hidden="health")], [declared], "/p", NOTHING)
    assert routes[0].hidden == "health"
    assert (routes[1].route.template, routes[1].source) == (f"/p{declared.template}", "declared")
    assert routes[1].local == declared.template


def test_declared_fits_any_method() -> None:
    """A found route that takes any method is meant by a declaration with one."""
    (route,) = with_declared([found("/x", hidden="metrics", methods=None)], [Route("/x", GET)], "", NOTHING)
    assert route.hidden == ""
