import pytest

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.discovery.overlap import overlapping, overlaps, shape

GET = frozenset({"GET"})
POST = frozenset({"POST"})


def test_shape_has_no_names() -> None:
    """The name of a parameter does not matter to what a template matches, its type does."""
    assert shape("/a/{id:int}/{x}") == shape("/a/{n:int}/{y}") != shape("/a/{n}/{y}")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Route("/a/{x}", GET), Route("/a/{y}", GET), True),
        (Route("/a", GET), Route("/a", POST), False),
        (Route("/a", None), Route("/a", POST), True),
        (Route("/a", GET), Route("/a"), True),
        (Route("/a", GET), Route("/b", GET), False),
        (Route("/a"), Route("/a", kind=RouteKind.WEBSOCKET), False),
        (Route("/a", host="x.test"), Route("/a"), False),
    ],
)
def test_overlaps(one: Route, other: Route, expected: bool) -> None:
    """Two routes overlap when some request fits both: same shape, kind and host, and a common method."""
    assert overlaps(one, other) is expected


def test_pairs() -> None:
    """Every pair is named once, the earlier route first."""
    routes = [Route("/a", GET), Route("/b"), Route("/a", POST), Route("/a", None)]
    assert list(overlapping(routes)) == [(0, 3), (2, 3)]
