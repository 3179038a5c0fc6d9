from hydra_asgi import Hydra, HydraMiddleware
from hydra_asgi.cli.survey import Survey, conflicts, survey
from hydra_asgi.discovery.discover import describe
from tests.cli import sample_apps


def lines(found: Survey) -> list[str]:
    return [describe(route) for route in found.discovery.published]


def test_mounted_by_the_framework() -> None:
    """Options of a middleware that the framework will build are used: declared routes, functions that are fragments."""
    found = survey("shop", sample_apps.shop, prefix=None)
    assert found.service == "shop"
    assert lines(found) == ["GET /docs", "GET /", "GET /items/{id}"]


def test_mounted_inside() -> None:
    """Options of a middleware around Quart's inner app are used: prefix and exclusions."""
    found = survey("orders", sample_apps.orders, prefix=None)
    assert (found.service, lines(found)) == ("orders", ["GET /orders/items/{id:int}", "GET /orders/items/{other}"])


def test_prefix_overrules() -> None:
    """A prefix given in the call is used instead of the mounted one."""
    assert lines(survey("orders", sample_apps.orders, prefix="/x"))[0] == "GET /x/items/{id:int}"
    assert lines(survey("orders", sample_apps.orders, prefix=""))[0] == "GET /items/{id:int}"


def test_mounted_around() -> None:
    """Options of a middleware around the whole app are used."""
    hydra = Hydra(service="x", prefix="/p")
    assert lines(survey("x", HydraMiddleware(sample_apps.bare, hydra=hydra), prefix=None)) == ["GET /p/items/{n}"]


def test_not_mounted() -> None:
    """An app without the middleware is read with no options."""
    found = survey("bare", sample_apps.bare, prefix=None)
    assert (found.service, lines(found)) == ("", ["GET /items/{n}"])


def test_conflicts() -> None:
    """Routes of two apps that claim the same requests are named with both apps."""
    both = [survey("shop", sample_apps.shop, prefix=None), survey("bare", sample_apps.bare, prefix=None)]
    assert list(conflicts(both)) == [
        ("GET /items/{id} is published by shop and by bare: the one that registers first answers it", True)
    ]


def test_conflicts_in_one_app() -> None:
    """Two routes of one app are a conflict too, told apart."""
    assert [between for _, between in conflicts([survey("twice", sample_apps.twice, prefix=None)])] == [False]
