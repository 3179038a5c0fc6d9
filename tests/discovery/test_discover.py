import functools
import os
import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from quart import Quart
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hydra_asgi.discovery.discover import describe, discover
from hydra_asgi.errors import ConfigurationError


async def page(request: Request) -> Response:
    return Response()


async def other(request: Request) -> Response:
    return Response()


async def plain(scope: Any, receive: Any, send: Any) -> None: ...


def test_catch_all() -> None:
    """An app that cannot be read answers everything, sockets too."""
    found = discover(plain)
    assert found.catch_all
    assert found.framework == "asgi"
    assert [describe(route) for route in found.published] == [
        "ANY /",
        "WEBSOCKET /",
        "ANY /{path:path}",
        "WEBSOCKET /{path:path}",
    ]


def test_declared_instead_of_catch_all() -> None:
    """Routes that the author names take the place of the catch-all."""
    found = discover(plain, routes=["GET /x", "WEBSOCKET /ws"])
    assert not found.catch_all
    assert [describe(route) for route in found.published] == ["GET /x", "WEBSOCKET /ws"]


def test_declared_beside_found() -> None:
    """Routes that the author names come beside the found ones."""
    found = discover(Starlette(routes=[Route("/a", page), Route("/health", page)]), routes=["/health", "GET /b"])
    assert [describe(route) for route in found.published] == ["GET /a", "GET /health", "GET /b"]


def test_prefix() -> None:
    """A prefix is put before every template; the app's own path is kept beside it."""
    found = discover(Starlette(routes=[Route("/a", page)]), prefix="/orders")
    assert (found.found[0].route.template, found.found[0].local) == ("/orders/a", "/a")


def test_prefix_of_a_catch_all() -> None:
    """A prefix bounds a catch-all."""
    templates = {route.template for route in discover(plain, prefix="/orders").published}
    assert templates == {"/orders/", "/orders/{path:path}"}


@pytest.mark.parametrize("prefix", ["orders", "/a{b}", "/a//b"])
def test_prefix_wrong(prefix: str) -> None:
    """A prefix that is no path stops start-up."""
    with pytest.raises(ConfigurationError, match="prefix= is"):
        discover(plain, prefix=prefix)


def test_too_long_together() -> None:
    """A route that gets too long by the prefix is named, not published."""
    found = discover(Starlette(routes=[Route("/b" * 60, page)]), prefix="/a" * 60)
    assert found.published == ()
    assert "segments" in found.problems[0]


def test_exclude_is_local() -> None:
    """Exclusions name paths as the app has them, without the site's prefix."""
    found = discover(Starlette(routes=[Route("/a/b", page)]), prefix="/p", exclude=["/a/*"])
    assert found.found[0].hidden == "excluded"


def test_unpublished() -> None:
    """Functions that are only fragments are found and hidden, under decorators too."""

    @functools.wraps(page)
    async def decorated(request: Request) -> Response:
        return await page(request)

    found = discover(Starlette(routes=[Route("/a", decorated)]), unpublished={page})
    assert found.found[0].hidden == "only a fragment"
    assert found.found[0].endpoint is page


def test_twice() -> None:
    """The same shape twice in one app is named with both functions; different methods are fine."""
    app = Starlette(routes=[Route("/a/{x}", page), Route("/a/{y}", other), Route("/a/{y}", other, methods=["POST"])])
    (problem,) = discover(app).problems
    assert problem.startswith("GET /a/{y} is there twice") is False
    assert "GET /a/{x} is there twice" in problem
    assert problem.index(".page") < problem.index(".other")


def test_twice_but_hidden() -> None:
    """A hidden route is in nobody's way."""
    app = Starlette(routes=[Route("/a", page, include_in_schema=False), Route("/a", other)])
    assert discover(app).problems == ()


def test_names_of_odd_endpoints() -> None:
    """Mounts and objects are named as well as they can be."""
    endpoint = functools.partial(plain)

    class Callable:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    app = Starlette(routes=[Route("/{path:path}", Callable()), Route("/{path:path}", endpoint)])
    app.mount("/", plain)
    problems = " ".join(discover(app).problems)
    assert "<locals>.Callable answers" in problems
    assert "asgi /{path:path}" in problems


def test_several_apps() -> None:
    """A dispatcher over two apps is a catch-all, and start-up says what to do."""
    one, two = FastAPI(), Quart("x")

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await (one if scope["path"] == "/" else two)(scope, receive, send)

    found = discover(dispatch)
    assert found.catch_all
    assert "2 apps (FastAPI, Quart)" in found.problems[0] or "2 apps (Quart, FastAPI)" in found.problems[0]


def test_nothing_is_imported() -> None:
    """Discovery needs no framework: reading a plain app loads none."""
    code = (
        "import sys; from hydra_asgi.discovery.discover import discover; discover(print);"
        "assert not {'fastapi', 'starlette', 'quart', 'werkzeug'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
