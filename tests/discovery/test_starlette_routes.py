import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from hydra_asgi.discovery.discover import Discovery, FoundRoute, describe, discover
from hydra_asgi.discovery.publication import OWN_FILES
from hydra_asgi.discovery.starlette_routes import framework_of


async def page(request: Request) -> Response:
    return Response()


async def socket(websocket: WebSocket) -> None: ...


class Endpoint(HTTPEndpoint): ...


async def stranger(scope: Any, receive: Any, send: Any) -> None: ...


def lines(found: Discovery) -> list[str]:
    return [describe(route) for route in found.published]


def one(found: Discovery) -> FoundRoute:
    (route,) = found.found
    return route


def test_kinds_of_routes() -> None:
    """Functions, classes and sockets are found with their methods; HEAD beside GET goes without saying."""
    app = Starlette(
        routes=[
            Route("/items/{id:int}", page),
            Route("/save", page, methods=["POST", "put"]),
            Route("/class", Endpoint),
            WebSocketRoute("/ws/{room}", socket),
        ]
    )
    found = discover(app)
    assert lines(found) == ["GET /items/{id:int}", "POST,PUT /save", "ANY /class", "WEBSOCKET /ws/{room}"]
    assert [route.endpoint for route in found.found] == [page, page, Endpoint, socket]
    assert (found.framework, found.catch_all, found.problems) == ("starlette", False, ())


def test_mounts() -> None:
    """Routes of mounted routers and apps carry the path of their mount, however deep."""
    inner = Starlette(routes=[Route("/", page), Mount("/b/{x}", routes=[Route("/c", page)])])
    app = Starlette(routes=[Mount("/a", inner)])
    assert lines(discover(app)) == ["GET /a/", "GET /a/b/{x}/c"]


def test_mount_with_middleware() -> None:
    """Middleware around a mounted app does not hide its routes."""
    app = Starlette(routes=[Mount("/a", routes=[Route("/b", page)], middleware=[Middleware(GZipMiddleware)])])
    assert lines(discover(app)) == ["GET /a/b"]


def test_root_mount() -> None:
    """A mount without a path adds nothing to the templates."""
    assert lines(discover(Starlette(routes=[Mount("/", routes=[Route("/b", page)])]))) == ["GET /b"]


def test_static_files() -> None:
    """A directory has no routes: everything below its mount is published, for GET."""
    app = Starlette(routes=[Mount("/downloads", StaticFiles(directory="."))])
    assert lines(discover(app)) == ["GET /downloads/{path:path}"]


def test_own_static_files() -> None:
    """`/static` is every app's: it is published under the service's name only, unless the author asks for it."""
    app = Starlette(routes=[Mount("/static", StaticFiles(directory="."))])
    found = discover(app)
    assert lines(found) == []
    assert found.found[0].hidden == OWN_FILES
    assert lines(discover(app, routes=["GET /static/{path:path}"])) == ["GET /static/{path:path}"]


def test_mounted_stranger() -> None:
    """Of a mounted app that cannot be read everything is published, sockets too."""
    app = Starlette(routes=[Mount("/old", stranger)])
    assert lines(discover(app)) == ["ANY /old/{path:path}", "WEBSOCKET /old/{path:path}"]


def test_hosts() -> None:
    """Host routes give their host to what is in them, without convertors and port."""
    app = Starlette(
        routes=[
            Host("{tenant:str}.Example.org:8000", Router(routes=[Route("/", page)])),
            Host("api.example.org", Starlette(routes=[Mount("/v1", routes=[Route("/x", page)])])),
            Host("[::1]", Router(routes=[Route("/", page)])),
        ]
    )
    assert lines(discover(app)) == ["GET {tenant}.example.org/", "GET api.example.org/v1/x", "GET [::1]/"]


def test_fastapi() -> None:
    """FastAPI's own documentation is hidden, and so are routes that are kept out of the schema."""
    app = FastAPI()
    app.get("/a")(page)
    app.get("/b", include_in_schema=False)(page)
    app.websocket("/ws")(socket)
    found = discover(app)
    assert lines(found) == ["GET /a", "WEBSOCKET /ws"]
    assert found.framework == "fastapi"
    assert {route.local: route.hidden for route in found.found if route.hidden} == {
        "/openapi.json": "framework documentation",
        "/docs": "framework documentation",
        "/docs/oauth2-redirect": "framework documentation",
        "/redoc": "framework documentation",
        "/b": "include_in_schema=False",
    }


def test_fastapi_documentation_elsewhere() -> None:
    """Documentation is known by the app's settings, not by its usual path."""
    app = FastAPI(docs_url="/help", redoc_url=None, openapi_url="/schema")
    hidden = {route.local: route.hidden for route in discover(app).found}
    assert hidden["/help"] == hidden["/schema"] == "framework documentation"


@pytest.mark.parametrize("modern", [True, False], ids=["route contexts", "without route contexts"])
def test_included_routers(monkeypatch: pytest.MonkeyPatch, modern: bool) -> None:
    """Included routers are seen through, prefixes, sockets, mounts and hidden ones included."""
    module = sys.modules["fastapi.routing"]
    inner = APIRouter(prefix="/inner")
    inner.get("/x/{id}")(page)
    inner.websocket("/ws")(socket)
    inner.mount("/files", StaticFiles(directory="."))
    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    outer.get("")(page)
    hidden = APIRouter(include_in_schema=False)
    hidden.get("/secret")(page)
    app = FastAPI(openapi_url=None)
    app.include_router(outer, prefix="/v1")
    app.include_router(hidden)
    if not modern:
        monkeypatch.delattr(module, "iter_route_contexts")
        assert discover(app).published == ()
        return
    found = discover(app)
    assert sorted(lines(found)) == [
        "GET /v1/outer",
        "GET /v1/outer/files/{path:path}",
        "GET /v1/outer/inner/x/{id}",
        "WEBSOCKET /v1/outer/inner/ws",
    ]
    assert {route.endpoint for route in found.found if not route.hidden} == {page, socket, None}
    assert next(route for route in found.found if route.local == "/secret").hidden == "include_in_schema=False"


def test_frontends() -> None:
    """FastAPI's frontend directories are published with everything below them, included ones too."""
    app = FastAPI(openapi_url=None)
    app.frontend("/ui", directory="docs", check_dir=False)
    router = APIRouter(prefix="/shop")
    router.frontend("/", directory="docs", check_dir=False)
    app.include_router(router, prefix="/v1")
    assert lines(discover(app)) == ["GET /ui/{path:path}", "GET /v1/shop/{path:path}"]


def test_one_route_as_an_app() -> None:
    """A single route or mount is an app of its own; a mount keeps its path."""
    assert lines(discover(Route("/x", page))) == ["GET /x"]
    assert lines(discover(Mount("/m", routes=[Route("/x", page)]))) == ["GET /m/x"]


def test_unknown_route_class() -> None:
    """A route of a class nobody knows is named, not guessed."""

    class Odd(BaseRoute):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None: ...

    found = discover(Starlette(routes=[Odd(), Route("/a", page)]))
    assert lines(found) == ["GET /a"]
    assert found.problems == ("a route of class 'Odd' is not understood: name what it answers in routes=",)


def test_template_that_cannot_be_published() -> None:
    """A path that has no template of ours is named, the others are published."""
    found = discover(Starlette(routes=[Route("/a//b", page), Route("/c", page)]))
    assert lines(found) == ["GET /c"]
    assert "'/a//b'" in found.problems[0]


def test_frontend_that_cannot_be_published() -> None:
    """A frontend whose path has no template of ours is named."""
    app = FastAPI(openapi_url=None)
    app.frontend("/a//b", directory="docs", check_dir=False)
    found = discover(app)
    assert (found.published, len(found.problems)) == ((), 1)


def test_subclass_is_known() -> None:
    """A subclass of a framework's app is known by its base."""

    class Mine(FastAPI): ...

    assert framework_of(Mine()) == "fastapi"


def test_foreign_routes() -> None:
    """Something that looks like a router but lists no routes of Starlette gives none, and does no harm."""

    class Odd:
        def __init__(self) -> None:
            self.routes: list[object] = [object()]

        def url_path_for(self) -> None: ...

        def _iter_low_priority_routes(self) -> Iterator[object]:
            yield object()

    assert discover(Odd()).found == ()


def test_mounted_in_itself() -> None:
    """An app that is mounted in itself ends at the limit, and start-up says so."""
    app = Starlette(routes=[Route("/x", page)])
    app.mount("/again", app)
    found = discover(app)
    assert len(found.published) == 17
    assert "mounted in each other" in found.problems[0]
