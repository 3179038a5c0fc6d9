"""Finds the function that an author wrote, so that a declaration and a route can be seen to mean the same one."""

import functools

__all__ = ["original"]

MAX_DEPTH = 32
"""More decorators than anybody stacks; ends an endpoint that wraps itself."""


def original(endpoint: object) -> object:
    """The function under partials and under decorators that say what they wrap."""
    for _ in range(MAX_DEPTH):
        inner = endpoint.func if isinstance(endpoint, functools.partial) else _wrapped(endpoint)
        if inner is None:
            break
        endpoint = inner
    return endpoint


def _wrapped(endpoint: object) -> object | None:
    try:
        inner: object = getattr(endpoint, "__wrapped__", None)
    except Exception:  # a proxy outside its context may raise anything
        return None
    return inner
