"""`hydra-asgi explain`."""

import json

import pytest

from hydra_asgi.core.instance import Route, RouteKind
from hydra_asgi.core.service_settings import ServiceSettings
from tests.cli.live_site import LiveSite, instance, site

__all__ = ["site"]  # a fixture

KEY = "a-key-of-16-char"


def test_an_answer_with_its_reasons(site: LiveSite) -> None:
    """First who answers, then why, then every instance with its turn; good in a pipe."""
    ended = site.call("explain", "get", "/products/7?x=1#y")
    assert ended.exit_code == 0
    token = str(site.token(1))
    assert [line.split() for line in ended.stdout.splitlines()] == [
        ["GET", "/products/7", "->", "shop", "v1", "at", "http://10.0.0.1:1"],
        [],
        ["-", "/products/{id}", "of", "shop", "is", "the", "most", "specific", "route", "that", "fits"],
        ["-", "/{rest:path}", "of", "shop", "fits", "too,", "but", "is", "less", "specific"],
        ["-", "it", "is", "the", "only", "instance", "that", "gets", "such", "requests"],
        [],
        ["turn", "token", "version", "address", "weight", "users", "why"],
        ["1", token, "v1", "http://10.0.0.1:1", "10", "100", "%", "answers"],
    ]
    assert "\x1b" not in ended.stdout


def test_nobody_answers(site: LiveSite) -> None:
    """The exit code says so, for a script that waits for a route."""
    site.instances = site.instances[1:]
    ended = site.call("explain", "GET", "/nowhere")
    assert ended.exit_code == 1
    assert ended.stdout.startswith("GET /nowhere -> nobody: no service publishes a route that fits\n\n- the app of")


def test_the_json_form(site: LiveSite) -> None:
    """The same for programs; who answers is named only where it does not depend on the user."""
    given = json.loads(site.call("explain", "GET", "/orders/7", "--json").stdout)
    assert (given["request"], given["outcome"], given["service"]) == ("GET /orders/7", "answered", "orders")
    assert (given["template"], given["version"], given["instance"]) == ("/orders/{id:int}", None, None)
    assert given["reasons"]
    given = json.loads(site.call("explain", "GET", "/orders/7", "--key", KEY, "--json").stdout)
    assert given["instance"]["token"] == given["instances"][0]["token"]
    assert [one["turn"] for one in given["instances"]] == [1, 2, None]
    assert given["instances"][2] == {
        "turn": None,
        "token": site.token(4),
        "version": 2,
        "address": "http://10.0.0.1:4",
        "weight": 0.0,
        "users": 0.0,
        "why": "drained",
    }
    site.instances = []
    nobody = json.loads(site.call("explain", "GET", "/static/x", "--host", "a.test", "--json").stdout)
    assert (nobody["request"], nobody["service"], nobody["template"]) in [
        ("GET a.test/static/x", "shop", "/{rest:path}"),  # what is registered lives for some seconds
        ("GET a.test/static/x", None, None),
    ]


def test_the_key_comes_from_where_a_browser_has_it(site: LiveSite) -> None:
    """The cookie or the header of a request that was recorded will do; all give the same answer."""
    given = [
        site.call("explain", "GET", "/orders", *arguments).stdout
        for arguments in (
            ["--key", KEY],
            ["--header", f"Cookie: a=b; hydra-key={KEY}"],
            ["--header", f"Hydra-Key: {KEY}"],
            ["--key", KEY, "--header", "hydra-key: another-key-of-one"],
        )
    ]
    assert f"the key {KEY} falls to it" in given[0]
    assert given == [given[0]] * 4


def test_headers_meet_conditions(site: LiveSite) -> None:
    """Their names in any case."""
    site.call("weights", "set", "orders", "v1=1", "--when", "header:X-Tester=yes=v2")
    assert "-> orders v1 at" in site.call("explain", "GET", "/orders").stdout
    assert "-> orders v2 at" in site.call("explain", "GET", "/orders", "--header", "X-TESTER:yes ").stdout


def test_hosts_urls_and_sockets(site: LiveSite) -> None:
    """A host is an option, a header or a part of a URL; WEBSOCKET stands in the method's place."""
    socket = Route("/live", kind=RouteKind.WEBSOCKET, host="h.test")
    site.add(instance("live", 9, 1, socket, Route("/é x", host="h.test")))
    for arguments in (
        ["websocket", "/live", "--host", "h.test:8000"],
        ["WEBSOCKET", "https://h.test/live?a"],
        ["WEBSOCKET", "/live", "--header", "Host: h.test"],
        ["GET", "/é x", "--host", "h.test"],
        ["GET", "/%C3%A9%20x", "--host", "h.test"],
    ):
        assert "-> live v1 at" in site.call("explain", *arguments).stdout
    assert "GET h.test/ -> shop" in site.call("explain", "GET", "http://h.test").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["GET", "orders"], "'orders' is no path: expected one that starts with '/', or a URL"),
        (["GET", "https:///orders"], "the URL names no host"),
        (["GET", "https://me:hush@shop.test/"], "or a user beside it: expected http://host/path"),
        (["GET", "/a/../b"], "is a dot segment"),
        (["GET", "/h/ready"], "/h/ belongs to the control plane"),
        (["GET", "/a%2"], "has a '%' without two hexadecimal digits"),
        (["G T", "/"], "'G T' is no method: expected GET, POST, ... or WEBSOCKET"),
        (["GET", "/", "--key", "short"], "--key is 'short': a key is 16 to 64 letters, digits, - and _"),
        (["GET", "/", "--header", "X-Tester"], "--header is 'X-Tester': expected 'NAME: VALUE'"),
        (["GET", "/", "--header", "X: a\r\nb"], "expected 'NAME: VALUE'"),
    ],
)
def test_wrong_calls(site: LiveSite, arguments: list[str], told: str) -> None:
    """What is wrong is said before the store is asked."""
    ended = site.call("explain", *arguments)
    assert ended.exit_code == 2
    assert told in ended.stderr
    assert ended.stdout == ""


def test_brackets_in_a_path_are_no_markup(site: LiveSite) -> None:
    """What is shown is what was typed."""
    site.ask(lambda store: store.configure("orders", ServiceSettings({1: 1.0})))
    assert "GET /[bold]x[/bold] -> shop v1" in site.call("explain", "GET", "/[bold]x[/bold]").stdout
