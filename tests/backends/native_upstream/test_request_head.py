"""The head of a request: exact bytes out, and nothing that could be read as more than one request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hydra_asgi.backends.native_upstream import request_head
from hydra_asgi.backends.native_upstream.request_head import expects_continue, is_repeatable, write_head
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.instance import Address
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import UpstreamRequest

ADDRESS = Address("http", "10.0.0.7", 8002)
HOST = (b"host", b"site.test")


async def nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


def asking(method: str = "GET", target: bytes = b"/", headers: Any = (), **changes: Any) -> UpstreamRequest:
    return UpstreamRequest(ADDRESS, method, target, [HOST, *headers], **changes)


def test_what_is_written_is_what_was_given() -> None:
    """Target, spelling, order and repeated fields go out as they are."""
    fields = [(b"X-B", b"1"), (b"cookie", b"a=1"), (b"x-empty", b""), (b"cookie", b"\xe9\t b")]
    assert write_head(asking("GET", b"//a/../%zz?;&&", fields))[0] == (
        b"GET //a/../%zz?;&& HTTP/1.1\r\nhost: site.test\r\n"
        b"X-B: 1\r\ncookie: a=1\r\nx-empty: \r\ncookie: \xe9\t b\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("body", "length", "framing"),
    [
        (None, None, b""),
        (b"", None, b"content-length: 0\r\n"),
        (b"abc", 7, b"content-length: 3\r\n"),
        (nothing(), 7, b"content-length: 7\r\n"),
        (nothing(), None, b"transfer-encoding: chunked\r\n"),
    ],
)
def test_the_body_decides_the_framing(body: Any, length: int | None, framing: bytes) -> None:
    """No body has no framing, a known length is declared, anything else is chunked."""
    wire = write_head(asking("POST", body=body, length=length))[0]
    assert wire == b"POST / HTTP/1.1\r\nhost: site.test\r\n" + framing + b"\r\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GE T"},
        {"method": ""},
        {"method": "GÉT"},
        {"method": "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"},
        {"target": b""},
        {"target": b"/a b"},
        {"target": b"/a\r\nx: y"},
        {"target": b"/caf\xc3\xa9"},
        {"target": b"/\x00"},
        {"headers": [(b"x", b"a\r\ny: b")]},
        {"headers": [(b"x", b"a\r\n\r\nGET / HTTP/1.1")]},
        {"headers": [(b"x", b"a\nb")]},
        {"headers": [(b"x", b"a\rb")]},
        {"headers": [(b"x", b"a\x00b")]},
        {"headers": [(b"x", b"a\x7fb")]},
        {"headers": [(b"x y", b"a")]},
        {"headers": [(b"x ", b"a")]},
        {"headers": [(b"", b"a")]},
        {"headers": [(b"x\r\ny", b"a")]},
        {"headers": [(b"x: a\r\ny", b"b")]},
        {"headers": [(b"x:y", b"a")]},
        {"headers": [(b"content-length:3", b"a")]},
        {"headers": [(b"x\n", b"a")]},
        {"headers": [(b"x", b"a\r\n"), (b"y", b"b")]},
        {"headers": [(b"Content-Length", b"3")]},
        {"headers": [(b"transfer-encoding", b"chunked")]},
        {"headers": [(b"content-length: 3, x", b"a")]},
        {"headers": [(b"content-length", b"3")], "body": b"abc"},
        {"headers": [HOST]},
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(changes: Any) -> None:
    """Line breaks, illegal characters, a second host and framing of the caller's own never leave."""
    with pytest.raises(UpstreamError, match=r"10\.0\.0\.7:8002: a request that cannot be sent") as refused:
        write_head(asking(**changes))
    assert refused.value.kind is ErrorKind.PROTOCOL


def test_names_are_text_and_no_template() -> None:
    """A percent sign is legal in a name, and names nothing."""
    assert b"\r\n%b%%: %s\r\n" in write_head(asking(headers=[(b"%b%%", b"%s")]))[0]


def test_what_is_remembered_about_names_is_bounded() -> None:
    """Long lists are worked out anew each time, and the oldest list makes room."""
    write_head(asking(headers=[(b"x" * 3000, b"y")]))
    for number in range(600):
        for _ in range(2):
            assert b"\r\nx-%d: y\r\n" % number in write_head(asking(headers=[(b"x-%d" % number, b"y")]))[0]
    assert len(request_head._shapes) == 512
    assert sum(len(shape.template) for shape in request_head._shapes.values()) < 2200 * 512


def test_a_host_is_needed() -> None:
    """HTTP/1.1 has no request without a host (RFC 9112 section 3.2)."""
    with pytest.raises(UpstreamError, match="exactly one host"):
        write_head(UpstreamRequest(ADDRESS, "GET", b"/", [(b"x", b"y")]))


@pytest.mark.parametrize(
    ("method", "body", "repeatable"),
    [
        ("GET", None, True),
        ("PUT", b"x", True),
        ("DELETE", None, True),
        ("POST", None, False),
        ("PATCH", b"x", False),
        ("GET", nothing(), False),
    ],
)
def test_only_harmless_requests_may_be_repeated(method: str, body: Any, repeatable: bool) -> None:
    """An idempotent method, and a body that can be had twice."""
    assert is_repeatable(asking(method, body=body)) is repeatable


@pytest.mark.parametrize(
    ("value", "body", "expects"),
    [(b"100-Continue", b"x", True), (b"100-continue", None, False), (b"200-ok", b"x", False)],
)
def test_a_body_may_wait_for_a_hundred(value: bytes, body: bytes | None, expects: bool) -> None:
    """Only with the one expectation that exists, and only if there is a body."""
    request = asking("PUT", headers=[(b"Expect", value)], body=body)
    assert expects_continue(request, write_head(request)[1]) is expects


@pytest.mark.parametrize(("headers", "asks"), [([(b"Upgrade", b"chat")], True), ([], False)])
def test_an_upgrade_is_asked_for_by_its_field(headers: Any, asks: bool) -> None:
    """Who sends no upgrade field gets no other protocol."""
    assert write_head(asking(headers=headers))[1].asks_upgrade is asks
