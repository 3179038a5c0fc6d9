"""The registration body that our own service side sends."""

import json
import tomllib
from pathlib import Path

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.instance import Address, FragmentDeclaration, MenuItem, Route, RouteKind, ServiceInstance
from hydra_asgi.wire.announcement import LIBRARY, java_instance, registration_json
from hydra_asgi.wire.registration import parse_registration

LEASE = "lease-of-24-characters-0"
INSTANCE = ServiceInstance(
    service="orderService",
    address=Address("http", "10.0.0.7", 8002, "/base"),
    version=2,
    weight=90.0,
    routes=(
        Route("/orders/{id:int}", frozenset({"GET", "POST"})),
        Route("/files/{rest:path}"),
        Route("/orders/{id:int}", frozenset({"DELETE"})),
        Route("/ws", None, RouteKind.WEBSOCKET),
        Route("/tenant", None, RouteKind.HTTP, "{t}.example.org"),
    ),
    resources=frozenset({"b.css", "a.css"}),
    fragments=(FragmentDeclaration("checkout", (Binding("country", "land"),), (Binding("zip", "zip"),)),),
    menu_items=(MenuItem("main", "/orders", "Orders"), MenuItem("main", "/x"), MenuItem("foot", "/y")),
    active_since=1795461686002,
)


def test_round_trip() -> None:
    """What our service side writes, our gateway reads as the very same instance."""
    registration = parse_registration(registration_json(INSTANCE, LEASE))
    assert registration.instance == INSTANCE
    assert registration.lease == LEASE


def test_the_smallest_instance() -> None:
    """An instance of defaults survives too: no fragments declared stays different from none at all."""
    for fragments in (None, ()):
        small = ServiceInstance("a", Address("http", "", 8000), fragments=fragments)
        assert parse_registration(registration_json(small, LEASE)).instance == small


def test_java_shape() -> None:
    """A Java gateway finds every field it reads, none of them null except `awakening`."""
    value = json.loads(registration_json(INSTANCE, LEASE))
    del value["hydraAsgi"]
    assert value == {
        "webProtocol": "http",
        "host": "10.0.0.7",
        "port": 8002,
        "socketPort": 0,
        "name": "orderService",
        "version": 2,
        "activeSince": 1795461686002,
        "awakening": None,
        "endpoints": ["/orders/{id:\\d+}", "/files/{*rest}"],
        "sockets": [],
        "staticResources": ["a.css", "b.css"],
        "menuItems": {
            "main": [{"endpoint": "/orders", "label": "Orders"}, {"endpoint": "/x", "label": None}],
            "foot": [{"endpoint": "/y", "label": None}],
        },
    }


def test_templates_java_cannot_read_are_left_out() -> None:
    """One invalid pattern would stop the route updates of every service there."""
    odd = ServiceInstance("a", Address("http", "h", 8000), routes=(Route("no slash"), Route("/ok")))
    assert java_instance(odd)["endpoints"] == ["/ok"]


def test_the_version_of_the_library() -> None:
    """What peers are told is the version that is released."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == LIBRARY
