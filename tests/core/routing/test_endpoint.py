import functools
from collections.abc import Callable
from typing import Any

from hydra_asgi.core.routing.endpoint import original


def decorated(function: Any) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


def view() -> None: ...


def test_layers_come_off() -> None:
    """Partials and decorators are taken off, in any order."""
    assert original(decorated(functools.partial(decorated(view), 1))) is view


def test_plain() -> None:
    """A plain function is its own original."""
    assert original(view) is view
    assert original(None) is None


def test_endless() -> None:
    """A function that wraps itself is left after the limit."""

    def odd() -> None: ...

    odd.__wrapped__ = odd  # type: ignore[attr-defined]
    assert original(odd) is odd


def test_raising() -> None:
    """A proxy that raises is taken as it is."""

    class Proxy:
        @property
        def __wrapped__(self) -> object:
            raise RuntimeError("outside of a context")

    proxy = Proxy()
    assert original(proxy) is proxy
