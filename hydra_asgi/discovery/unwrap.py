"""Finds the framework app behind any ASGI callable.

Middleware, bound methods, partials, decorators and closures all hide the app that has the routes. Nothing is called
and nothing is imported: only the few places are read where wrappers keep what they wrap.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping

from hydra_asgi.discovery.peek import peek

__all__ = ["MAX_DEPTH", "framework_apps", "wrapped_by"]

MAX_DEPTH = 32
"""No real stack is deeper; keeps a chain that makes a new wrapper on every look from going on for ever."""

_ATTRIBUTES = (
    "app",
    "_app",
    "asgi_app",
    "__wrapped__",
    "application",
    "wsgi_application",
    "other_asgi_app",
    "__self__",
)
"""Where wrappers keep the app: Starlette's middleware and most others, some private, Quart, functools.wraps, then the
WSGI adapters, python-socketio, and last the object of a bound method."""


def framework_apps(
    app: object, recognise: Callable[[object], bool], scope: Mapping[str, object] | None = None
) -> tuple[object, ...]:
    """The framework apps that an ASGI callable leads to.

    Args:
        app: any ASGI callable.
        recognise: says whether an object is a framework app; the search goes no deeper behind one.
        scope: a scope of the mounted app, where there is one: Starlette and FastAPI name themselves in it.

    Returns:
        One app; none when nothing was recognised; several when a closure holds more than one, so that nobody can say
        which paths belong to which.
    """
    named = None if scope is None else scope.get("app")
    if named is not None and recognise(named):
        return (named,)
    return _search(app, recognise, MAX_DEPTH, set())


def _search(node: object, recognise: Callable[[object], bool], depth: int, seen: set[int]) -> tuple[object, ...]:
    # functools.wraps copies an object's attributes onto the function that wraps it: a function is never the app.
    if not inspect.isroutine(node) and recognise(node):
        return (node,)
    if depth == 0 or id(node) in seen:
        return ()
    seen.add(id(node))
    for inner in _kept(node):
        if found := _search(inner, recognise, depth - 1, seen):
            return found
    captured: dict[int, object] = {}
    for inner in _captured(node):
        captured.update((id(found), found) for found in _search(inner, recognise, depth - 1, seen))
    return tuple(captured.values())


def wrapped_by(app: object) -> Iterator[object]:
    """The callables on the way to the app, outermost first, each once."""
    seen: set[int] = set()
    waiting = [app]
    while waiting and len(seen) < MAX_DEPTH:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(reversed([*_kept(node), *_captured(node)]))


def _kept(node: object) -> Iterator[object]:
    """What a wrapper keeps in a place of its own: the first that leads to an app is the one."""
    for name in _ATTRIBUTES:
        if callable(inner := peek(node, name)):
            yield inner
    if isinstance(node, functools.partial):
        yield node.func


def _captured(node: object) -> Iterator[object]:
    """What a function holds without a name we know: its closure, a partial's arguments."""
    if isinstance(node, functools.partial):
        yield from (value for value in (*node.args, *node.keywords.values()) if callable(value))
    cells = peek(node, "__closure__")
    for cell in cells if isinstance(cells, tuple) else ():
        try:
            inner = cell.cell_contents
        except ValueError:  # a name that is bound later than the function was made
            continue
        if callable(inner) and not isinstance(inner, type):
            yield inner
