import io
import json

from rich.console import Console

from hydra_asgi.cli.report import as_json, print_tables
from hydra_asgi.cli.survey import Survey, survey
from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.discovery.discover import Discovery, FoundRoute
from tests.cli import sample_apps


def printed(*surveys: Survey) -> str:
    out = io.StringIO()
    print_tables(Console(file=out, width=200), surveys)
    return out.getvalue()


SOCKET = FoundRoute(Route("/ws", None, RouteKind.WEBSOCKET, "x.test"), None, "declared", "", "/ws")


def test_table() -> None:
    """Each route is a row: template, methods, kind, source, and whether it is published or why not."""
    text = printed(survey("m:orders", sample_apps.orders, prefix=None))
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["m:orders", "(orders)"]
    assert rows[1] == ["template", "methods", "kind", "source", "published"]
    assert ["/orders/items/{id:int}", "GET", "http", "quart", "yes"] in rows
    assert ["/orders/admin", "GET", "http", "quart", "no:", "excluded"] in rows


def test_any_method_and_host() -> None:
    """A socket has no methods; a host stands before the template."""
    text = printed(Survey("m:app", "", Discovery((SOCKET,), "asgi", False)))
    assert text.splitlines()[0].strip() == "m:app"
    assert text.splitlines()[2].split() == ["x.test/ws", "any", "websocket", "declared", "yes"]


def test_brackets_and_problems() -> None:
    """Brackets in a path are no markup, and problems stand below the table."""
    text = printed(survey("m:twice", sample_apps.twice, prefix=None))
    assert "/[b]x[/b]" in text
    assert "problem: GET /[b]x[/b] is there twice" in text


def test_json() -> None:
    """The JSON form says the same to programs."""
    found = Survey("m:app", "x", Discovery((SOCKET,), "asgi", True, ("p",)))
    given = json.loads(as_json([found, survey("m:bare", sample_apps.bare, prefix="/p")], ["c"]))
    assert given["conflicts"] == ["c"]
    assert given["apps"][0] == {
        "app": "m:app",
        "service": "x",
        "framework": "asgi",
        "catchAll": True,
        "problems": ["p"],
        "routes": [
            {
                "template": "/ws",
                "local": "/ws",
                "methods": None,
                "kind": "websocket",
                "host": "x.test",
                "source": "declared",
                "published": True,
                "reason": "",
            }
        ],
    }
    (route,) = given["apps"][1]["routes"]
    assert (route["template"], route["local"], route["methods"]) == ("/p/items/{n}", "/items/{n}", ["GET"])
