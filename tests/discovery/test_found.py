import functools
from typing import Any

import pytest

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.discovery.found import Discovery, FoundRoute, Place, normal_methods, rest_of

GET = frozenset({"GET"})


async def page() -> None: ...


@functools.wraps(page)
async def decorated(*arguments: Any) -> None: ...


def found(route: Route, hidden: str = "") -> Discovery:
    return Discovery((FoundRoute(route, page, "starlette", hidden, "/local"),), "starlette", False)


@pytest.mark.parametrize(
    ("methods", "automatic", "expected"),
    [
        (None, False, None),
        (set(), False, None),
        ("GET", False, None),
        ({"get", "HEAD"}, False, GET),
        (["HEAD"], False, frozenset({"HEAD"})),
        ({"POST", "OPTIONS"}, True, frozenset({"POST"})),
        ({"OPTIONS"}, True, frozenset({"OPTIONS"})),
        ({"POST", "OPTIONS"}, False, frozenset({"POST", "OPTIONS"})),
    ],
)
def test_methods(methods: object, automatic: bool, expected: frozenset[str] | None) -> None:
    """Methods are upper-case, without HEAD beside GET and without the OPTIONS that a framework adds."""
    assert normal_methods(methods, automatic_options=automatic) == expected


def test_rest() -> None:
    """What cannot be seen into takes sockets too, unless its methods are known; a host is kept."""
    place = Place("", "x.test")
    assert [item.route for item in rest_of("/a", place, source="asgi")] == [
        Route("/a", None, RouteKind.HTTP, "x.test"),
        Route("/a", None, RouteKind.WEBSOCKET, "x.test"),
    ]
    assert [item.route for item in rest_of("/a", place, source="asgi", methods=GET)] == [
        Route("/a", GET, host="x.test")
    ]


def test_paths() -> None:
    """A function is found at its path in the app and at its path on the site, under decorators too."""
    known = found(Route("/site/local", GET))
    assert known.local_path(decorated) == "/local"
    assert known.public_path(page) == "/site/local"


def test_hidden_path() -> None:
    """A hidden route has a path in the app only."""
    known = found(Route("/x", None), hidden="only a fragment")
    assert (known.local_path(page), known.public_path(page)) == ("/local", None)


@pytest.mark.parametrize("route", [Route("/x", frozenset({"POST"})), Route("/x", None, RouteKind.WEBSOCKET)])
def test_no_page(route: Route) -> None:
    """What does not answer GET is no page."""
    assert found(route).local_path(page) is None


def test_other_function() -> None:
    """Another function is no route."""
    assert found(Route("/x")).local_path(test_paths) is None
