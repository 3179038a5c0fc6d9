"""An announced instance as a document: nothing is lost, equal content is equal bytes, rubbish is one error."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.instance import Address, FragmentDeclaration, MenuItem, Route, RouteKind, ServiceInstance
from hydra_asgi.wire.stored_document import StoredDocumentError
from hydra_asgi.wire.stored_instance import content_digest, dump_instance, parse_instance
from tests.wire.stored_strategies import instances

SMALL = ServiceInstance("orders", Address("http", "10.0.0.1", 8001))
RICH = replace(
    SMALL,
    address=Address("https", "fd00::1", 8443, "/base", pinned="fd00::1"),
    routes=(Route("/é/{id:int}", frozenset({"POST", "GET"}), RouteKind.WEBSOCKET, "{t}.test"), Route("/x")),
    resources=frozenset({"b.css", "a.css"}),
    fragments=(FragmentDeclaration("checkout", path="/frag"),),
    menu_items=(MenuItem("main", "/o", "Orders"), MenuItem("main", "/x"), MenuItem("foot", "/y")),
)


def altered(**changes: object) -> bytes:
    return json.dumps(json.loads(dump_instance(RICH)) | changes).encode()


@given(instances)
def test_what_is_written_is_read(instance: ServiceInstance) -> None:
    """Any instance comes back as it was announced, the pinned address too."""
    again = parse_instance(dump_instance(instance), "x")
    assert again == instance
    assert again.address.pinned == instance.address.pinned


def test_the_form() -> None:
    """Names are sorted, there is no space, and what is empty is left out: the form that every version can read."""
    assert dump_instance(SMALL) == (
        b'{"active_since":0,"address":{"host":"10.0.0.1","port":8001,"scheme":"http"},"dialect":"hydra",'
        b'"schema":1,"service":"orders","version":0,"weight":10.0}'
    )
    assert json.loads(dump_instance(RICH)) == {
        "schema": 1,
        "service": "orders",
        "address": {"scheme": "https", "host": "fd00::1", "port": 8443, "base": "/base", "pinned": "fd00::1"},
        "version": 0,
        "weight": 10.0,
        "routes": [
            {"template": "/é/{id:int}", "methods": ["GET", "POST"], "kind": "websocket", "host": "{t}.test"},
            {"template": "/x"},
        ],
        "resources": ["a.css", "b.css"],
        "fragments": [{"ref": "checkout", "path": "/frag"}],
        "menu_items": [
            {"menu": "main", "endpoint": "/o", "label": "Orders"},
            {"endpoint": "/x"},
            {"menu": "foot", "endpoint": "/y"},
        ],
        "active_since": 0,
        "dialect": "hydra",
    }


def test_equal_content_is_equal_bytes() -> None:
    """Neither the kind of a number nor what the store added makes a difference."""
    assert dump_instance(replace(SMALL, weight=10, token=1_000_000_007, order=3, active=False)) == dump_instance(SMALL)
    assert dump_instance(replace(SMALL, weight=-0.0)) == dump_instance(replace(SMALL, weight=0))


def test_no_fragments_differ_from_none() -> None:
    """A service that declares none may be asked for any; one with an empty list for nothing."""
    for fragments in (None, ()):
        assert parse_instance(dump_instance(replace(SMALL, fragments=fragments)), "x").fragments == fragments


def test_a_digest_names_the_news() -> None:
    """When a worker started is no news; every other field is, and so is where connections go."""
    assert content_digest(replace(RICH, active_since=5, token=7, active=False)) == content_digest(RICH)
    changes: list[dict[str, object]] = [
        {"weight": 1.0},
        {"version": 1},
        {"compose": True},
        {"address": replace(RICH.address, pinned="")},
        {"routes": RICH.routes[::-1]},
    ]
    digests = {content_digest(replace(RICH, **change)) for change in changes}  # type: ignore[arg-type]
    assert len(digests | {content_digest(RICH)}) == len(changes) + 1


def test_unknown_fields_are_passed_over() -> None:
    """A newer node may add fields that older ones need not understand."""
    assert parse_instance(altered(schema=7, reads=1, colour={"deep": [1, None]}), "x") == RICH


WRONG = [
    ({"service": "../x"}, "is not a service name"),
    ({"service": 7}, "service is 7"),
    ({"service": None}, "service is None"),
    ({"address": "http://x"}, "address: 'http://x' is not an object"),
    ({"address": {"scheme": "redis", "host": "a", "port": 1}}, "scheme is 'redis': expected one of http, https"),
    ({"address": {"scheme": "http", "host": "a", "port": 0}}, "address: port is 0"),
    ({"address": {"scheme": "http", "host": "a", "port": True}}, "address: port is True"),
    ({"address": {"scheme": "http", "host": "a/b", "port": 1}}, "address: host is 'a/b'"),
    ({"address": {"scheme": "http", "port": 1}}, "address: host is missing"),
    ({"address": {"scheme": "http", "host": "a", "port": 1, "base": "/a?b"}}, "address: base is '/a?b'"),
    ({"address": {"scheme": "http", "host": "a", "port": 1, "pinned": "dead.beef"}}, "pinned is 'dead.beef'"),
    ({"version": 2**63}, "version is 9223372036854775808"),
    ({"version": 1.5}, "version is 1.5"),
    ({"weight": -1}, "weight is -1"),
    ({"weight": 1e7}, "weight is 10000000.0"),
    ({"weight": "8"}, "weight is '8'"),
    ({"weight": True}, "weight is True"),
    ({"routes": {}}, "routes is a dict of 0"),
    ({"routes": [{"template": "/x"}] * 5001}, "routes is a list of 5001: expected a list of at most 5000"),
    ({"routes": ["/x"]}, "routes[0]: '/x' is not an object"),
    ({"routes": [{"template": "/x"}, {"template": "/a{b}"}]}, "routes[1]: path template '/a{b}'"),
    ({"routes": [{"template": "/" + "x" * 5000}]}, "routes[0]: template is"),
    ({"routes": [{"template": "/x", "methods": ["get"]}]}, "routes[0]: methods[0] is 'get'"),
    ({"routes": [{"template": "/x", "methods": [1]}]}, "routes[0]: methods[0] is 1"),
    ({"routes": [{"template": "/x", "kind": "grpc"}]}, "routes[0]: kind is 'grpc': expected one of http, websocket"),
    ({"routes": [{"template": "/x", "kind": []}]}, "routes[0]: kind is a list of 0"),
    ({"routes": [{"template": "/x", "host": "a_b.{c"}]}, "routes[0]: host 'a_b.{c'"),
    ({"resources": ["a\nb"]}, "resources[0] is 'a\\nb'"),
    ({"resources": ["x" * 1025]}, "expected at most 1024 characters"),
    ({"fragments": [{"ref": "a b"}]}, "fragments[0]: ref is 'a b'"),
    ({"fragments": [{"ref": "a", "imports": ["1"]}]}, "fragments[0]: '1' is not a name"),
    ({"fragments": [{"ref": "a", "path": "x"}]}, "fragments[0]: path is 'x'"),
    ({"menu_items": [{"menu": "m", "endpoint": "//evil"}]}, "menu_items[0]: endpoint is '//evil'"),
    ({"menu_items": [{"menu": "m", "endpoint": "/", "label": "\u202e"}]}, "menu_items[0]: label is"),
    ({"dialect": "grpc"}, "dialect is 'grpc': expected one of medusa, hydra, plain"),
    ({"compose": 1}, "compose is 1: expected true or false"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_a_field_that_cannot_be_used(changes: dict[str, object], reason: str) -> None:
    """The error names the entry, the field, the value and what was expected."""
    with pytest.raises(StoredDocumentError) as error:
        parse_instance(altered(**changes), "orders at somewhere")
    assert reason in str(error.value)
    assert str(error.value).startswith("the store's entry 'orders at somewhere': ")
    assert error.value.entry == "orders at somewhere"


UNWRITABLE = [
    ({"service": "h"}, "reserved"),
    ({"weight": float("nan")}, "no form in JSON"),
    ({"weight": 2e6}, "weight is 2000000.0"),
    ({"routes": (Route("items"),)}, "path template"),
    ({"menu_items": (MenuItem("m", "/", "\ud800"),)}, "no form in JSON"),
    ({"resources": frozenset(f"{number}-{'x' * 1000}" for number in range(3000))}, "at most 2097152 are read"),
    ({"fragments": (FragmentDeclaration("a", path="é"),)}, "fragments[0]: path"),
    ({"version": True}, "version is True"),
]


@pytest.mark.parametrize(("changes", "reason"), UNWRITABLE, ids=[reason for _, reason in UNWRITABLE])
def test_what_could_not_be_read_is_not_written(changes: dict[str, object], reason: str) -> None:
    """Nobody can put an entry into the store that the others have to leave out."""
    with pytest.raises(StoredDocumentError) as error:
        dump_instance(replace(SMALL, **changes))  # type: ignore[arg-type]
    assert reason in str(error.value)
    assert error.value.entry.endswith("at http://10.0.0.1:8001")


def test_what_would_be_read_as_something_else_is_not_written() -> None:
    """A list of imports that is no list of names any more would come back different."""
    with pytest.raises(StoredDocumentError, match="another instance"):
        dump_instance(replace(SMALL, address=Address("http", "a", 1), routes=[Route("/x")]))  # type: ignore[arg-type]


@given(st.integers(0, 600), st.integers(0, 255), st.booleans())
def test_a_damaged_document_is_a_document_or_the_one_error(place: int, byte: int, cut: bool) -> None:
    """Whatever happens to the bytes, nothing else is raised."""
    body = bytearray(dump_instance(RICH))
    body[place % len(body)] = byte
    damaged = bytes(body[: place % len(body)] if cut else body)
    try:
        parsed = parse_instance(damaged, "x")
    except StoredDocumentError:
        return
    assert parse_instance(dump_instance(parsed), "x") == parsed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(dump_instance(RICH)))), JSON)
def test_any_value_in_any_field(name: str, value: object) -> None:
    """A field of any other shape is a document or the one error."""
    try:
        parsed = parse_instance(altered(**{name: value}), "x")
    except StoredDocumentError:
        return
    assert parse_instance(dump_instance(parsed), "x") == parsed
