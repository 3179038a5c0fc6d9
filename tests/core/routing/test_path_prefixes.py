"""Path prefixes under which a service may have routes."""

import pytest

from hydra_asgi.core.routing.path_prefixes import PathPrefixes, check_prefix
from hydra_asgi.errors import TemplateError


@pytest.mark.parametrize(
    ("prefix", "template", "covered"),
    [
        ("/orders", "/orders", True),
        ("/orders", "/orders/", True),
        ("/orders", "/orders/{id:int}", True),
        ("/orders/", "/orders", True),
        ("/orders/", "/orders/x", True),
        ("/orders", "/ordersx", False),
        ("/orders", "/", False),
        ("/orders", "/{any}", False),
        ("/orders", "/{rest:path}", False),
        ("/orders", "/orders/{rest:path}", True),
        ("/orders/new", "/orders", False),
        ("/orders/new", "/orders/{rest:path}", False),
        ("/", "/", True),
        ("/", "/x/{y}", True),
        ("/", "/{rest:path}", True),
        ("/{lang}/orders", "/de/orders/7", True),
        ("/{lang}/orders", "/{language}/orders", True),
        ("/{lang}/orders", "/{number:int}/orders", True),
        ("/{lang}/orders", "/{rest:path}", False),
        ("/{lang}/orders", "/orders", False),
        ("/{n:int}", "/{m:int}/x", True),
        ("/{n:int}", "/{m}", False),
        ("/{n:int}", "/7", False),
        ("/{n}", "/{rest:path}", False),
    ],
)
def test_a_prefix_covers_what_lies_under_it_by_whole_segments(prefix: str, template: str, covered: bool) -> None:
    """Everything that the route matches lies under the prefix, whatever its parameters are called."""
    assert PathPrefixes([prefix]).cover(template) is covered


def test_one_of_several_prefixes_is_enough() -> None:
    """A service may have several places."""
    prefixes = PathPrefixes(["/a", "/b"])
    assert [prefixes.cover(path) for path in ("/a", "/b/x", "/c")] == [True, True, False]


def test_no_prefixes_cover_everything() -> None:
    """A service without a limit has none; what cannot be read is somebody else's trouble then."""
    prefixes = PathPrefixes([])
    assert prefixes.cover("/x")
    assert prefixes.cover("{")


def test_what_cannot_be_read_covers_nothing_and_lies_nowhere() -> None:
    """A broken entry in a store opens nothing."""
    assert not PathPrefixes(["{"]).cover("/x")
    assert PathPrefixes(["{", "/x"]).cover("/x")
    assert not PathPrefixes(["/"]).cover("{")


def test_a_prefix_is_a_template_without_a_rest() -> None:
    """What is wrong with one is said before it is stored."""
    check_prefix("/")
    check_prefix("/{lang}/orders/")
    for wrong in ("", "orders", "/a//b", "/a/{x:path}"):
        with pytest.raises(TemplateError):
            check_prefix(wrong)
