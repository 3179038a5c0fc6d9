"""What the mounted app is for the site."""

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from hydra_asgi.core.instance import Address, MenuItem
from hydra_asgi.errors import ConfigurationError
from hydra_asgi.node.own_app import OwnApp
from hydra_asgi.options import read_options
from hydra_asgi.service.declarations import Declarations


async def raw(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("never called")


async def home() -> str:
    return ""


async def checkout() -> str:
    return ""


def fastapi_app() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.post("/")(home)
    app.get("/home")(home)
    app.get("/checkout/{item}")(checkout)
    app.get("/hidden", include_in_schema=False)(raw)
    return app


def own(app: object = None, **options: Any) -> OwnApp:
    return given(Declarations(), app, **options)


def given(declarations: Declarations, app: object = None, **options: Any) -> OwnApp:
    result = OwnApp(read_options({"service": "shop", **options}, {}), declarations)
    if app is not None:
        result.reveal(app)
    return result


def templates(app: OwnApp) -> list[str]:
    return [route.template for route in app.instance.routes]


def test_no_app() -> None:
    """What stands for "no app" has no routes, where an app that cannot be read would answer everything."""
    app = own()
    app.mount(raw, is_absent=True)
    assert app.is_absent
    assert app.discovery.found == ()
    assert app.instance.routes == ()
    assert app.hidden == ()
    app.mount(raw)
    assert not app.is_absent
    assert templates(app) != []


def test_the_app_to_call() -> None:
    """The app is what the middleware wraps; asking for it before is a mistake that says what to do."""
    app = own(fastapi_app())
    with pytest.raises(ConfigurationError, match=r"HydraMiddleware\(app, hydra=hydra\)"):
        _ = app.app
    app.mount(raw)
    assert app.app is raw


def test_routes_are_read_from_the_framework_or_from_what_is_mounted() -> None:
    """The framework's app object is read if it is known, else what the middleware wraps; without both nothing is."""
    app = own()
    with pytest.raises(ConfigurationError, match=r"hydra.start\(app\)"):
        _ = app.discovery
    app.mount(raw)
    assert templates(app) == ["/", "/", "/{path:path}", "/{path:path}"]
    app.reveal(fastapi_app())
    assert templates(app) == ["/", "/home", "/checkout/{item}"]


def test_what_was_read_is_kept() -> None:
    """Routes are read once; another app or other options make them new."""
    framework = fastapi_app()
    app = own(framework)
    first = app.instance
    app.reveal(framework)
    assert app.instance is first
    app.reveal(fastapi_app())
    assert app.instance is not first
    app.follow(read_options({"service": "shop", "prefix": "/p"}, {}))
    assert templates(app) == ["/p/", "/p/home", "/p/checkout/{item}"]


def test_the_instance() -> None:
    """Options, routes, fragments and menu items are what the site is told."""
    declarations = Declarations()
    declarations.fragment("checkout")(checkout)
    declarations.menu("main", label="Home")(home)
    app = given(declarations, fastapi_app(), version=2, weight=5, address="http://10.0.0.7:8002")
    instance = app.instance
    assert (instance.service, instance.version, instance.weight) == ("shop", 2, 5.0)
    assert instance.address == Address("http", "10.0.0.7", 8002)
    assert templates(app) == ["/", "/home"]
    assert [declaration.ref for declaration in instance.fragments or ()] == ["checkout"]
    assert instance.menu_items == (MenuItem("main", "/home", "Home"),)
    assert instance.active_since > 1_700_000_000_000


def test_an_app_without_an_address() -> None:
    """An app that only its own process asks needs no address."""
    assert own(fastapi_app()).instance.address.port == 0


def test_hidden_routes() -> None:
    """Routes that are not published are known here, fragments among them."""
    declarations = Declarations()
    declarations.fragment("checkout")(checkout)
    app = given(declarations, fastapi_app(), exclude=["/home"])
    assert [route.template for route in app.hidden] == ["/home", "/checkout/{item}", "/hidden"]


def test_where_a_function_answers_get() -> None:
    """A fragment's function is found at its route for GET, inside the app; others and sockets are no such route."""

    async def socket(websocket: Any) -> None:
        raise AssertionError("never called")

    app = own(fastapi_app(), prefix="/p")
    assert app.path_of(home) == "/home"
    assert app.path_of(checkout) == "/checkout/{item}"
    assert app.path_of(test_hidden_routes) is None
    assert own(Starlette(routes=[WebSocketRoute("/ws", socket)])).path_of(socket) is None


def test_menu_items_lead_to_published_routes() -> None:
    """An entry leads to where its function answers GET; one whose route is not published has no path."""
    declarations = Declarations()
    declarations.menu("main")(home)
    assert given(declarations, fastapi_app(), prefix="/p").instance.menu_items == (MenuItem("main", "/p/home"),)
    with pytest.raises(ConfigurationError, match="menu 'main'"):
        _ = given(declarations, fastapi_app(), exclude=["/home"]).instance


def test_problems_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What discovery could not make sense of is said once."""
    framework = fastapi_app()
    framework.get("/home")(checkout)
    app = own(framework)
    _ = app.instance, app.hidden
    assert len(caplog.messages) == 1
    assert "/home is there twice" in caplog.text


def test_a_request_tells_the_app_and_its_mount_point() -> None:
    """A request names the framework's app and where it is mounted; its state is one visitor's and is left alone."""
    framework = fastapi_app()
    app = own()
    assert not app.has_met_request
    app.learn({"type": "http", "app": framework, "root_path": "/sub/", "state": {"user": "Ada"}})
    assert app.has_met_request
    assert (app.base, app.root_path) == ({"app": framework}, "/sub")
    assert templates(app)[0] == "/"
    app.learn({"type": "websocket"})
    assert (app.base, app.root_path) == ({"app": framework}, "")


def test_a_lifespan_tells_the_app_and_its_state() -> None:
    """The state is the lifespan's own dict, because the app fills it later; a later lifespan without one has none."""
    framework, state = fastapi_app(), dict[str, object]()
    app = own()
    app.learn({"type": "lifespan", "app": framework, "state": state})
    assert app.base["state"] is state
    assert (app.base["app"], app.has_met_request) == (framework, False)
    app.learn({"type": "lifespan"})
    assert app.base == {"app": framework}
