import functools
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hydra_asgi.discovery.discover import is_framework
from hydra_asgi.discovery.unwrap import MAX_DEPTH, framework_apps, wrapped_by


class Private:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def closure(app: Any) -> Callable[..., Any]:
    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return wrapped


def decorated(app: Any) -> Callable[..., Any]:
    @functools.wraps(app)
    async def wrapped(*arguments: Any) -> None:
        await app(*arguments)

    return wrapped


async def plain(app: Any, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


@pytest.mark.parametrize("make", [FastAPI, Starlette, lambda: Quart("x")])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: app,
        GZipMiddleware,
        lambda app: GZipMiddleware(TrustedHostMiddleware(app)),
        Private,
        closure,
        decorated,
        lambda app: functools.partial(plain, app),
        lambda app: functools.partial(plain, app=app),
        lambda app: functools.partial(closure(app)),
        lambda app: app.__call__,
        lambda app: Private(closure(decorated(GZipMiddleware(app.__call__)))),
    ],
)
def test_wrappers(make: Callable[[], Any], wrap: Callable[[Any], Any]) -> None:
    """The app is found behind middleware, private names, closures, decorators, partials and bound methods."""
    app = make()
    assert framework_apps(wrap(app), is_framework) == (app,)


def test_quart_inner() -> None:
    """The bound method that Quart's middleware wraps leads to the app."""
    app = Quart("x")
    app.asgi_app = Private(app.asgi_app)  # type: ignore[method-assign]
    assert framework_apps(app.asgi_app, is_framework) == (app,)


def test_inner_stack_of_starlette() -> None:
    """Mounted by `add_middleware` we see the stack below us; its router has the routes."""
    app = Starlette(middleware=[Middleware(GZipMiddleware)])
    below = app.build_middleware_stack()
    assert framework_apps(below, is_framework) == (app.router,)


def test_scope_names_the_app() -> None:
    """An app named in a scope is preferred to what wrapping shows."""
    app = FastAPI()
    assert framework_apps(app.router, is_framework, {"app": app}) == (app,)


def test_scope_with_a_stranger() -> None:
    """A stranger in the scope is not taken for a framework."""
    app = FastAPI()
    assert framework_apps(app, is_framework, {"app": object()}) == (app,)


def test_unknown() -> None:
    """A plain ASGI callable leads nowhere."""
    assert framework_apps(plain, is_framework) == ()


def test_several() -> None:
    """A dispatcher that holds two apps leads to both: nobody can say which paths are whose."""
    one, two = FastAPI(), Quart("x")

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await (one if scope["path"] == "/" else two)(scope, receive, send)

    assert set(map(id, framework_apps(dispatch, is_framework))) == {id(one), id(two)}


def test_cycle() -> None:
    """Wrappers that wrap each other end the search."""
    one = Private(None)
    one._app = Private(one)
    assert framework_apps(one, is_framework) == ()
    assert list(wrapped_by(one)) == [one, one._app]


def test_endless() -> None:
    """A wrapper that makes a new wrapper on each look is left after the depth limit."""

    class Endless:
        @property
        def app(self) -> "Endless":
            return Endless()

        def __call__(self) -> None: ...

    assert framework_apps(Endless(), is_framework) == ()
    assert len(list(wrapped_by(Endless()))) == MAX_DEPTH


def test_unset_name() -> None:
    """A closure whose name is bound later is read without harm."""

    def make() -> Callable[..., Any]:
        def wrapped() -> Any:
            return later

        if wrapped is None:
            later = None
        return wrapped

    assert framework_apps(make(), is_framework) == ()


def test_classes_in_closures() -> None:
    """A class held by a closure is no app."""

    def make(kind: type) -> Callable[..., Any]:
        def wrapped() -> Any:
            return kind

        return wrapped

    assert framework_apps(make(FastAPI), is_framework) == ()


def test_way_to_the_app() -> None:
    """The wrappers are listed from the outside, so that options of a mounted middleware can be found."""
    app = FastAPI()
    inner = Private(app)
    outer = GZipMiddleware(inner)
    assert list(wrapped_by(outer))[:3] == [outer, inner, app]
