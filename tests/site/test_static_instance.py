"""Instances that an operator describes."""

from typing import Any

import pytest

from hydra_asgi import ConfigurationError, StaticInstance
from hydra_asgi.core.instance import Address, Dialect, FragmentDeclaration, Route, RouteKind
from hydra_asgi.site.static_instance import mistakes_in

BOX: dict[str, Any] = {"service": "legacy", "url": "http://10.0.0.9:8080/php/"}


def test_what_is_listed() -> None:
    """A description becomes an instance that speaks plain HTTP."""
    static = StaticInstance(
        **BOX,
        routes=["/legacy/{rest:path}", "GET /x", "WEBSOCKET /ws"],
        version=2,
        weight=3,
        health="/ping",
        compose=True,
        fragments={"checkout": "/frag/checkout?x=1"},
    )
    instance = static.instance
    assert instance.service == "legacy"
    assert instance.address == Address("http", "10.0.0.9", 8080, "/php")
    assert instance.routes == (
        Route("/legacy/{rest:path}", None),
        Route("/x", frozenset({"GET"})),
        Route("/ws", None, RouteKind.WEBSOCKET),
    )
    assert (instance.version, instance.weight, instance.compose, instance.dialect) == (2, 3.0, True, Dialect.PLAIN)
    assert instance.fragments == (FragmentDeclaration("checkout", path="/frag/checkout?x=1"),)
    assert static.health == "/ping"


def test_defaults() -> None:
    """Name and address are enough."""
    instance = StaticInstance(**BOX).instance
    assert (instance.routes, instance.fragments, instance.version, instance.weight, instance.compose) == (
        (), (), 0, 10.0, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("service", "le gacy", "'le gacy' is not a service name"),
        ("service", "static", "'static' is reserved"),
        ("url", "10.0.0.9:8080", "is '10.0.0.9:8080': expected a URL"),
        ("url", "http://h:1/?q", "expected a URL"),
        ("routes", "GET /x", "is 'GET /x': expected a list such as ['/old/{rest:path}', 'GET /x']"),
        ("routes", 3, "is '3': expected a list"),
        ("routes", ["x"], "has 'x': expected 'GET /path/{id}'"),
        ("url", 5, "is of the type int: expected text; in a file, in quotes"),
        ("url", "http://me:hunter2/@h:1", "is 'http://***@h:1': expected a URL"),
        ("routes", ["GET /h/x"], "has '/h/x': /h/ belongs to the control plane, take another path"),
        ("routes", ["/{a:path}/b"], "so it has to be the last one"),
        ("version", "two", "is 'two': expected an integer, such as 2"),
        ("version", -1, "expected an integer from 0"),
        ("weight", "heavy", "is 'heavy': expected a number from 0 to 1,000,000"),
        ("weight", True, "is 'True': expected a number"),
        ("health", "ping", "is 'ping': expected a path such as '/ping'"),
        ("health", 5, "expected a path"),
        ("health", "/a b", "expected a path"),
        ("compose", "yes", "is 'yes': expected true or false"),
        ("fragments", ["x"], "expected refs with their paths, such as { checkout = '/frag/checkout' }"),
        ("fragments", {"check out": "/x"}, "has the ref 'check out': use 1 to 128 letters"),
        ("fragments", {"checkout": "frag"}, "has 'frag' for 'checkout': expected refs with their paths"),
        ("fragments", {"checkout": 3}, "has '3' for 'checkout'"),
        ("wieght", 3, "there is no such key, is 'weight' meant?"),
        ("zzz", 3, "there is no such key; there are compose, fragments, health, routes"),
    ],
)
def test_mistakes(key: str, value: object, what: str) -> None:
    """Each mistake is told with its key, its value and what to write instead."""
    [(told_key, told)] = mistakes_in({**BOX, key: value})
    assert told_key == key
    assert what in told


def test_missing() -> None:
    """What cannot be left out is asked for."""
    assert dict(mistakes_in({})) == {
        "service": "it is missing: write service = 'legacy'",
        "url": "it is missing: write url = 'http://10.0.0.9:8080'",
    }


def test_all_mistakes_at_once() -> None:
    """In Python the same mistakes are one error that names all of them."""
    with pytest.raises(ConfigurationError) as caught:
        StaticInstance(service="a b", url="x", version="two")  # type: ignore[arg-type]  # a mistake
    text = str(caught.value)
    assert text.startswith("StaticInstance of 'a b': service: 'a b' is not a service name")
    assert "; url: is 'x': expected a URL" in text
    assert "; version: is 'two'" in text
