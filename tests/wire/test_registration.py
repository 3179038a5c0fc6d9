"""The registration body as it arrives."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.binding import Binding
from hydra_asgi.core.instance import Address, Dialect, FragmentDeclaration, MenuItem, Route, RouteKind
from hydra_asgi.errors import RefusedError
from hydra_asgi.wire.registration import Registration, parse_registration
from tests.pace import at_usual_pace

RECORDINGS = Path(__file__).parent.parent / "recordings" / "medusa-0.9.5"
JAVA: dict[str, Any] = {
    "webProtocol": "http",
    "host": "10.1.2.3",
    "port": 8881,
    "socketPort": 0,
    "name": "one",
    "version": 0,
    "activeSince": 1795461686002,
    "awakening": None,
    "endpoints": ["/one", "/one/counters"],
    "sockets": [],
    "staticResources": ["css/", "css/site.css", "websocket.js"],
    "menuItems": {},
}
OURS: dict[str, Any] = {"protocol": 1, "library": "0.1.0", "lease": "L" * 24}


def parse(**changes: Any) -> Registration:
    return parse_registration(json.dumps({**JAVA, **changes}).encode())


def parse_ours(**changes: Any) -> Registration:
    return parse(hydraAsgi={**OURS, **changes})


def refused(body: bytes | dict[str, Any]) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        parse_registration(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


@pytest.mark.parametrize(("name", "service"), [("registration", "one"), ("registration-second", "two")])
def test_recordings(name: str, service: str) -> None:
    """What unmodified Medusas sent is read in full."""
    body = (RECORDINGS / f"{name}.request.http").read_bytes().partition(b"\r\n\r\n")[2]
    registration = parse_registration(body)
    instance = registration.instance
    assert instance.service == service
    assert instance.dialect is Dialect.MEDUSA
    assert instance.resources == {"websocket.js", "css/one.css", "css/two.css"}
    assert Route(f"/{service}/detail/{{type}}") in instance.routes
    assert len(instance.routes) == 5
    assert instance.fragments is None
    assert registration.lease == f"medusa:{instance.address}"


def test_only_name_host_and_port() -> None:
    """Everything else may be missing; an absent scheme is https, as the Java gateway takes it."""
    registration = parse_registration(b'{"name":"one","host":"10.1.2.3","port":8881}')
    assert registration.instance.address == Address("https", "10.1.2.3", 8881)
    assert registration.instance.routes == ()
    assert registration.instance.weight == 10.0


@pytest.mark.parametrize("field", ["name", "port"])
def test_required_fields(field: str) -> None:
    """The message names the missing field."""
    error = refused({key: value for key, value in JAVA.items() if key != field})
    assert error.status == 422
    assert error.reason.startswith(f"{field}: ")


def test_java_names_its_host() -> None:
    """A Java service without a host is refused; one of ours means the address it calls from."""
    assert "host" in refused({**JAVA, "host": ""}).reason
    assert parse(host="", hydraAsgi=OURS).instance.address.host == ""


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may say more, at every level."""
    assert parse(something={"deep": [1]}).instance.service == "one"
    assert parse_ours(newer=True).lease == OURS["lease"]


@pytest.mark.parametrize("field", ["endpoints", "staticResources"])
@pytest.mark.parametrize("value", [None, "/one", {"a": 1}, [None], [1], [["/one"]]])
def test_lists_are_lists(field: str, value: object) -> None:
    """A null list would break every later route rebuild of a Java gateway; here it is refused with its name."""
    error = refused({**JAVA, field: value})
    assert error.status == 422
    assert error.reason.startswith(field)


@pytest.mark.parametrize("field", ["sockets", "menuItems"])
def test_harmless_nulls(field: str) -> None:
    """Null is accepted where it means nothing."""
    assert parse(**{field: None}).instance.service == "one"


def test_numbers_java_writes_loosely() -> None:
    """A numeric text is a port; null numbers are 0."""
    assert parse(port="8881", socketPort=None, version=None, activeSince=None).instance.address.port == 8881


@pytest.mark.parametrize("port", [None, 0, "0", 70000, "99999999999999999999999", "x", "8 ", 1.5, True, [], 6379])
def test_wrong_ports(port: object) -> None:
    """A port is a number that a web app may listen on."""
    assert refused({**JAVA, "port": port}).status in {403, 422}


@pytest.mark.parametrize(
    "change",
    [
        {"awakening": "LAST_WINS"},
        {"version": 2**63},
        {"version": "2"},
        {"version": 1.5},
        {"activeSince": 10**30},
        {"webProtocol": None},
        {"webProtocol": "ftp"},
        {"host": None},
        {"host": "127.1"},
        {"host": "user@host"},
        {"hydraAsgi": []},
        {"hydraAsgi": {}},
        {"endpoints": ["/a\x00b"]},
        {"endpoints": ["/a\r\nb"]},
        {"endpoints": ["/a/{x"]},
        {"endpoints": ["/" + "a" * 3000]},
        {"endpoints": ["/\u202eabc"]},
        {"menuItems": {"top": None}},
        {"menuItems": {"top": [{"label": "x"}]}},
        {"menuItems": {"top": [{"endpoint": "//evil.example"}]}},
        {"menuItems": {"top": [{"endpoint": "/\\evil.example"}]}},
        {"menuItems": {"top": [{"endpoint": "javascript:alert(1)"}]}},
        {"menuItems": {"top": [{"endpoint": "/a", "label": "\x1b[2J"}]}},
        {"menuItems": {"top": [{"endpoint": "/a", "label": "x" * 300}]}},
    ],
)
def test_wrong_values(change: dict[str, Any]) -> None:
    """A value that is not acceptable is refused with 422 and the field's name."""
    error = refused({**JAVA, **change})
    assert error.status == 422
    assert len(error.reason) < 600
    assert error.reason.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "a:b",
        "*",
        "{x}",
        "../x",
        "x" * 10_240,
        "",
        "a\x00",
        "a\r\nb",
        "\u202eab",
        "\u043ene",
        "1a",
        "h",
        "static",
        "Self",
        None,
        1,
    ],
)
def test_wrong_names(name: object) -> None:
    """A name that could mean something else in a URL, a key or a log is refused."""
    error = refused({**JAVA, "name": name})
    assert error.status == 422
    assert error.reason.startswith("name: ")
    assert error.reason.isprintable()


@pytest.mark.parametrize("endpoint", ["/h", "/h/", "/h/discovery/x"])
def test_the_control_plane_is_ours(endpoint: str) -> None:
    """Nobody publishes under /h/; names that only begin so are free."""
    assert refused({**JAVA, "endpoints": [endpoint]}).status == 403
    assert refused({**JAVA, "hydraAsgi": {**OURS, "routes": [{"template": endpoint}]}}).status == 403
    assert parse(endpoints=["/hello"]).instance.routes == (Route("/hello"),)


def test_spring_patterns() -> None:
    """Patterns become templates of ours; the same one twice is one route."""
    routes = parse(endpoints=["/a/{id:[0-9]+}", "/a/{id}", "/files/**", "/"]).instance.routes
    assert routes[0] == Route("/a/{id}")
    assert len(routes) == 3


def test_resources_that_cannot_be_files_are_skipped() -> None:
    """A class-path scan lists directories and junk; that is no reason to refuse a service."""
    entries = ["css/", "", "a b.css", "{x}.js", "../secret", "a/./b", "a\x00b", "x" * 2000, "ok.css", "\ud800"[:0]]
    assert parse(staticResources=entries).instance.resources == {"a b.css", "{x}.js", "ok.css"}


def test_menu_items() -> None:
    """Menus are read in order; a null label shows the path."""
    menus = {"top": [{"endpoint": "/one", "label": None}, {"endpoint": "/one/x", "label": "X"}]}
    assert parse(menuItems=menus).instance.menu_items == (MenuItem("top", "/one"), MenuItem("top", "/one/x", "X"))


def test_our_own_extension() -> None:
    """Routes, fragments, weight, base and lease of our nodes come from `hydraAsgi`, whatever `endpoints` says."""
    registration = parse_ours(
        routes=[
            {"template": "/items/{id:int}", "methods": ["GET", "POST"], "kind": "http", "host": "{t}.example.org"},
            {"template": "/ws", "methods": None, "kind": "websocket", "host": None},
        ],
        fragments=[{"ref": "checkout", "imports": ["dob", "countryOrigin as country"], "exports": []}],
        weight=90,
        base="/base/",
    )
    instance = registration.instance
    assert registration.lease == OURS["lease"]
    assert instance.dialect is Dialect.HYDRA
    assert instance.routes == (
        Route("/items/{id:int}", frozenset({"GET", "POST"}), RouteKind.HTTP, "{t}.example.org"),
        Route("/ws", None, RouteKind.WEBSOCKET),
    )
    bindings = (Binding("dob", "dob"), Binding("countryOrigin", "country"))
    assert instance.fragments == (FragmentDeclaration("checkout", bindings),)
    assert instance.weight == 90
    assert instance.address.base == "/base"


def test_fragments_may_be_none() -> None:
    """No list of fragments means that every ref may be tried; an empty list means that there are none."""
    assert parse_ours().instance.fragments is None
    assert parse_ours(fragments=None).instance.fragments is None
    assert parse_ours(fragments=[]).instance.fragments == ()


@pytest.mark.parametrize(
    "change",
    [
        {"weight": -1}, {"weight": 1e308}, {"weight": 2**63}, {"weight": "8"}, {"weight": True}, {"weight": None},
        {"protocol": 0}, {"protocol": "1"}, {"lease": "short"}, {"lease": "medusa:http://10.1.2.3:1"},
        {"lease": "a.b" * 8}, {"lease": None}, {"routes": None}, {"routes": [{"template": "no-slash"}]},
        {"routes": [{"template": "/{a}{b}"}]}, {"routes": [{"template": "/x", "methods": ["get"]}]},
        {"routes": [{"template": "/x", "methods": "GET"}]}, {"routes": [{"template": "/x", "kind": "ftp"}]},
        {"routes": [{"template": "/x", "host": "a b"}]}, {"fragments": [{"ref": "a b"}]},
        {"fragments": [{"ref": "a"}, {"ref": "a"}]}, {"fragments": [{"ref": "a", "imports": ["not a name!"]}]},
        {"fragments": [{"ref": "a", "imports": None}]}, {"base": "/../x"}, {"base": "//x"},
    ],
)  # fmt: skip
def test_wrong_extension(change: dict[str, Any]) -> None:
    """Wrong values inside `hydraAsgi` are refused as all others are."""
    error = refused({**JAVA, "hydraAsgi": {**OURS, **change}})
    assert error.status == 422
    assert error.reason.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"staticResources": [f"r{n}" for n in range(10_001)]},
        {"endpoints": [f"/r{n}" for n in range(2_001)]},
        {"hydraAsgi": {**OURS, "routes": [{"template": f"/r{n}"} for n in range(2_001)]}},
        {"hydraAsgi": {**OURS, "fragments": [{"ref": f"r{n}"} for n in range(501)]}},
        {"menuItems": {"a": [{"endpoint": "/a"}] * 600, "b": [{"endpoint": "/b"}] * 600}},
    ],
)
def test_caps(change: dict[str, Any]) -> None:
    """There is a most of everything."""
    assert refused({**JAVA, **change}).status == 422


def test_at_the_caps() -> None:
    """What Medusas with thousands of entries send is still read."""
    instance = parse(
        staticResources=[f"webjars/r{n}.js" for n in range(10_000)], endpoints=[f"/r{n}" for n in range(2_000)]
    ).instance
    assert (len(instance.resources), len(instance.routes)) == (10_000, 2_000)


HOSTILE = {
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 40_000,
    "huge digits": b'{"port":' + b"9" * 200_000 + b"}",
    "huge fraction": b'{"port":1.' + b"3" * 500_000 + b"}",
    "duplicate keys": b'{"name":"a","name":"b"}',
    "nan": b'{"port":NaN}',
    "infinity": b'{"port":-Infinity}',
    "overflow": b'{"version":1e999}',
    "lone surrogate": b'{"name":"\\ud800","host":"a","port":8000}',
    "not utf-8": b"\xff\xfe{}",
    "utf-16": '{"name":"a"}'.encode("utf-16"),
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}",
    "too large": b" " * 1_048_577,
    "empty": b"",
    "list": b"[]",
    "text": b'"one"',
    "null": b"null",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_end_quickly(name: str) -> None:
    """Every trick of JSON ends in a refusal, in a twentieth of a second of work."""
    started = time.process_time()
    error = refused(HOSTILE[name])
    assert error.status in {400, 413, 422}
    taken = time.process_time() - started
    assert taken < at_usual_pace(0.5)  # ten times the aim: the machine that runs this is shared


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """No bytes lead to anything but a refusal."""
    assert 400 <= refused(body).status < 500


@given(
    st.sampled_from(sorted(JAVA)),
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists),
)
def test_any_value_in_any_field(field: str, value: object) -> None:
    """Any JSON value in any field is read or refused."""
    status = 400
    try:
        parse(**{field: value})
    except RefusedError as error:
        status = error.status
    assert 400 <= status < 500
