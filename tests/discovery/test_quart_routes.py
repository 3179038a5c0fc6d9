from asgiref.wsgi import WsgiToAsgi
from flask import Flask
from quart import Blueprint, Quart
from starlette.applications import Starlette
from werkzeug.routing import Rule

from hydra_asgi.discovery.discover import describe, discover


async def page() -> str:
    return ""


def make() -> Quart:
    app = Quart("site")
    app.get("/items/<int:id>")(page)
    return app


def lines(app: object) -> list[str]:
    return [describe(route) for route in discover(app).published]


def test_rules() -> None:
    """Rules, their methods and sockets are found; automatic OPTIONS and HEAD go without saying."""
    app = make()
    app.route("/save/<path:rest>", methods=["POST"])(page)
    app.websocket("/ws")(page)
    found = discover(app)
    assert lines(app) == ["GET /items/{id:int}", "POST /save/{rest:path}", "WEBSOCKET /ws"]
    assert found.framework == "quart"
    assert [route.endpoint for route in found.found][1:] == [page, page, page]


def test_own_static() -> None:
    """Quart's own static files are hidden, wherever they are; those of a blueprint have a path of their own."""
    app = Quart("site", static_url_path="/assets", static_folder="tests")
    app.register_blueprint(Blueprint("shop", "shop", static_folder="tests", url_prefix="/shop"))
    found = discover(app)
    assert lines(app) == ["GET /shop/tests/{filename:path}"]
    assert found.found[0].hidden == "static files of the app itself, published below /{service}/static/"


def test_own_options() -> None:
    """OPTIONS that the app answers itself is a method like any other."""
    app = Quart("site", static_folder=None)
    app.add_url_rule("/x", view_func=page, methods=["GET", "OPTIONS"], provide_automatic_options=False)
    app.add_url_rule("/only", view_func=page, methods=["OPTIONS"], provide_automatic_options=False)
    assert lines(app) == ["GET,OPTIONS /x", "OPTIONS /only"]


def test_hosts() -> None:
    """With host matching the host of a rule is published, without converters and port."""
    app = Quart("site", static_folder=None, host_matching=True)
    app.add_url_rule("/", view_func=page, host="<string:tenant>.Example.org:80")
    assert lines(app) == ["GET {tenant}.example.org/"]


def test_subdomains() -> None:
    """A subdomain becomes a host below the server name; without one it cannot be told."""
    app = Quart("site", static_folder=None)
    app.add_url_rule("/", view_func=page, subdomain="api")
    assert lines(app) == ["GET /"]
    app.config["SERVER_NAME"] = "example.org:8000"
    assert lines(app) == ["GET api.example.org/"]


def test_mounted_in_starlette() -> None:
    """A Quart app mounted in Starlette is read below its mount."""
    app = Starlette()
    app.mount("/shop", make())
    assert lines(app) == ["GET /shop/items/{id:int}"]


def test_flask_behind_an_adapter() -> None:
    """A Flask app behind a WSGI adapter has its routes read too."""
    app = Flask("site")
    app.get("/x")(lambda: "")
    found = discover(WsgiToAsgi(app))
    assert (lines(app), found.framework) == (["GET /x"], "flask")


def test_rules_that_answer_nothing() -> None:
    """Rules that only make URLs are left out."""
    app = Quart("site", static_folder=None)
    app.url_map.add(Rule("/built", endpoint="x", build_only=True))
    assert discover(app).found == ()


def test_rule_without_function() -> None:
    """A rule whose function is missing is found without one."""
    app = Quart("site", static_folder=None)
    app.add_url_rule("/x", endpoint="late")
    (route,) = discover(app).found
    assert (route.local, route.endpoint) == ("/x", None)


def test_template_that_cannot_be_published() -> None:
    """A rule that has no template of ours is named, the others are published."""
    app = make()
    app.add_url_rule("/a//b", view_func=page)
    assert lines(app) == ["GET /items/{id:int}"]
    assert "'/a//b'" in discover(app).problems[0]


def test_odd_maps() -> None:
    """Something that has rules but no functions and no settings is read as far as it goes."""

    class OddRule:
        rule, endpoint, subdomain, methods, websocket = "/x", 7, "api", None, False

    class Odd:
        class url_map:  # noqa: N801  # the framework's own name
            @staticmethod
            def iter_rules() -> list[OddRule]:
                return [OddRule()]

    assert lines(Odd()) == ["ANY /x"]
