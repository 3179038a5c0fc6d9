"""What forwarding requests and WebSockets have in common."""

from typing import Any

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.headers.field_names import field_names
from hydra_asgi.core.headers.header_fields import Fields, field_values
from hydra_asgi.errors import UpstreamError
from hydra_asgi.gateway.crossing import Crossing
from hydra_asgi.gateway.forwarding_terms import ForwardingTerms
from tests.exchange import http_scope

HOST = (b"host", b"site.test")


def terms(**changes: Any) -> ForwardingTerms:
    given = {"pseudonym": "node-7f", "trusted": lambda peer: False, "vouch": lambda token: None}
    return ForwardingTerms(**given | changes)


def crossing(scope: dict[str, Any], **changes: Any) -> Fields:
    return terms(**changes).request_fields(scope, field_names(scope["headers"]), "orders")


def test_our_name_in_via() -> None:
    """Every request and every response says that it came through us."""
    assert terms().via == (b"via", b"1.1 node-7f")
    assert field_values(crossing(http_scope()), b"via") == [b"1.1 node-7f"]


@pytest.mark.parametrize("headers", [[(b"via", b"1.1 node-7F (us)")], [(b"max-forwards", b"0")]])
def test_a_loop_is_refused(headers: Fields) -> None:
    """A request that has been here, or may go nowhere, is sent to nobody."""
    with pytest.raises(UpstreamError) as caught:
        terms().refuse_loops(headers, field_names(headers))
    assert caught.value.kind is ErrorKind.LOOP


@pytest.mark.parametrize("headers", [[HOST], [(b"via", b"1.1 other")], [(b"max-forwards", b"1")]])
def test_what_is_no_loop_goes_on(headers: Fields) -> None:
    """Other nodes may have passed it on."""
    terms().refuse_loops(headers, field_names(headers))


@pytest.mark.parametrize(
    ("kind", "scheme", "told"),
    [
        ("http", "https", b"https"),
        ("http", None, b"http"),
        ("websocket", "wss", b"https"),
        ("websocket", "ws", b"http"),
        ("websocket", None, b"http"),
    ],
)
def test_the_scheme_is_told_as_that_of_a_page(kind: str, scheme: str | None, told: bytes) -> None:
    """A WebSocket's handshake is an HTTP request, and a server that does not say the scheme means the plain one."""
    scope = http_scope(scheme=scheme or "") | {"type": kind}
    if scheme is None:
        del scope["scheme"]
    assert field_values(crossing(scope), b"x-forwarded-proto") == [told]


def test_a_service_gets_the_cookies_that_are_for_it() -> None:
    """What is special to the service is done to the fields, too."""
    scope = http_scope(headers=[HOST, (b"cookie", b"a=1; b=2")])
    fields = crossing(scope, crossing=Crossing(cookies={"orders": {"b"}}))
    assert field_values(fields, b"cookie") == [b"b=2"]
