"""`hydra-asgi services`, `instances` and `routes` of a live site."""

import json

from hydra_asgi.core.instance import FragmentDeclaration, Route, RouteKind
from hydra_asgi.core.service_settings import ServiceSettings
from tests.cli.live_site import LiveSite, instance, site

__all__ = ["site"]  # a fixture


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_services(site: LiveSite) -> None:
    """Each service is a row: whether it answers, its versions, and who gets which; no line is padded or coloured."""
    site.ask(lambda store: store.configure("orders", ServiceSettings({1: 90.0, 2: 10.0})))
    site.ask(lambda store: store.configure("later", ServiceSettings(prefixes=("/later",))))
    ended = site.call("services")
    assert ended.exit_code == 0
    assert ended.stderr == ""
    assert rows(ended.stdout) == [
        ["service", "state", "instances", "versions", "users", "routes", "settings"],
        ["later", "absent", "0", "0", "yes"],
        ["orders", "available", "3", "v1", "x1,", "v2", "x2", "v1", "90", "%,", "v2", "10", "%", "4", "yes"],
        ["shop", "available", "1", "v1", "x1", "v1", "100", "%", "3"],
    ]
    assert "\x1b" not in ended.stdout
    assert not any(line.endswith(" ") for line in ended.stdout.splitlines())


def test_services_for_programs(site: LiveSite) -> None:
    """The JSON form says the same in numbers, with the revision that it is true of."""
    site.ask(lambda store: store.configure("orders", ServiceSettings({1: 75.0, 2: 25.0})))
    given = json.loads(site.call("services", "--json").stdout)
    assert given["revision"] == str(site.snapshot().revision)
    assert given["services"] == [
        {
            "service": "orders",
            "state": "available",
            "instances": 3,
            "active": 3,
            "versions": {"1": 1, "2": 2},
            "users": {"1": 0.75, "2": 0.25},
            "routes": 4,
            "settings": {"shares": {"1": 75.0, "2": 25.0}, "policy": None, "conditions": [], "prefixes": []},
        },
        {
            "service": "shop",
            "state": "available",
            "instances": 1,
            "active": 1,
            "versions": {"1": 1},
            "users": {"1": 1.0},
            "routes": 3,
            "settings": None,
        },
    ]


def test_instances(site: LiveSite) -> None:
    """Each instance is a row, with its token, its state and its part of the users."""
    ended = site.call("instances")
    assert ended.exit_code == 0
    assert rows(ended.stdout) == [
        ["token", "service", "version", "address", "state", "weight", "users", "dialect"],
        [str(site.token(2)), "orders", "v1", "http://10.0.0.1:2", "active", "10", "50", "%", "hydra"],
        [str(site.token(3)), "orders", "v2", "http://10.0.0.1:3", "active", "10", "50", "%", "hydra"],
        [str(site.token(4)), "orders", "v2", "http://10.0.0.1:4", "drained", "0", "0", "%", "hydra"],
        [str(site.token(1)), "shop", "v1", "http://10.0.0.1:1", "active", "10", "100", "%", "hydra"],
    ]


def test_instances_of_one_service(site: LiveSite) -> None:
    """The list can be narrowed, and is made for programs too."""
    site.add(instance("box", 9, 0, fragments=(FragmentDeclaration("a"),), compose=True, active_since=7))
    given = json.loads(site.call("instances", "box", "--json").stdout)
    assert given["instances"] == [
        {
            "token": site.token(9),
            "service": "box",
            "version": 0,
            "address": "http://10.0.0.1:9",
            "state": "active",
            "weight": 10.0,
            "users": 1.0,
            "dialect": "hydra",
            "compose": True,
            "activeSince": 7,
            "routes": 0,
            "fragments": ["a"],
        }
    ]
    assert [one["fragments"] for one in json.loads(site.call("instances", "shop", "--json").stdout)["instances"]] == [
        None
    ]


def test_routes(site: LiveSite) -> None:
    """Without an app the routes of the site are listed: who has each, and why some are not answered by him."""
    ended = site.call("routes")
    assert ended.exit_code == 0
    assert rows(ended.stdout)[:3] == [
        ["template", "methods", "kind", "service", "versions", "instances", "answered"],
        ["/", "any", "http", "shop", "v1", "1", "yes"],
        ["/orders", "any", "http", "orders", "v1,", "v2", "3", "yes"],
    ]
    site.add(
        instance("live", 9, 1, Route("/orders", frozenset({"PUT", "GET"})), Route("/ws", None, RouteKind.WEBSOCKET))
    )
    ended = site.call("routes")
    assert ended.exit_code == 1
    assert "no: answered by orders, which registered first" in ended.stdout


def test_routes_for_programs(site: LiveSite) -> None:
    """The JSON form says the same."""
    site.instances = [instance("live", 9, 1, Route("/x", frozenset({"PUT", "GET"}), host="a.test"), "/y")]
    site.ask(lambda store: store.configure("live", ServiceSettings(prefixes=("/x",))))
    ended = site.call("routes", "--json")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["routes"] == [
        {
            "template": "/x",
            "methods": ["GET", "PUT"],
            "kind": "http",
            "host": "a.test",
            "service": "live",
            "versions": [1],
            "instances": 1,
            "answered": True,
            "reason": "",
        },
        {
            "template": "/y",
            "methods": None,
            "kind": "http",
            "host": None,
            "service": "live",
            "versions": [1],
            "instances": 1,
            "answered": False,
            "reason": "central settings limit the service to /x",
        },
    ]


def test_an_empty_site(site: LiveSite) -> None:
    """An empty store is said to be one: perhaps its URL is another than the site's."""
    site.instances = []
    for command in ("services", "instances", "routes"):
        ended = site.call(command)
        assert ended.exit_code == 0
        assert ended.stderr == "hydra-asgi: nothing is registered in this store\n"
        assert len(ended.stdout.splitlines()) == 1


def test_a_prefix_goes_with_an_app(site: LiveSite) -> None:
    """What only makes sense for a preview is refused for a live site."""
    ended = site.call("routes", "--prefix", "/p")
    assert ended.exit_code == 2
    assert "--prefix goes with --app" in ended.stderr


def test_a_name_that_is_none_is_told_with_those_that_are(site: LiveSite) -> None:
    """An empty table alone would leave a doubt whether the service is away or its name mistyped."""
    ended = site.call("instances", "ordesr")
    assert ended.exit_code == 0
    assert ended.stderr == "hydra-asgi: no instance of 'ordesr' is registered (there are orders, shop)\n"
