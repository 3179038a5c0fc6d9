"""Our own check of requests and responses."""

from typing import Any

import pytest

from hydra_asgi.core.headers.request_check import (
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    Problem,
    check_request,
    check_response,
    declared_length,
    is_host,
    is_length,
)
from tests.exchange import http_scope

HOST = (b"host", b"site.test")


def problem(*headers: tuple[bytes, bytes], **changes: Any) -> Problem | None:
    return check_request({**http_scope(headers=headers), **changes})


def status(*headers: tuple[bytes, bytes], **changes: Any) -> int | None:
    found = problem(*headers, **changes)
    return None if found is None else found.status


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-length", b"5")],
        [(b"content-length", b"0" * 18 + b"1")],
        [(b"content-length", b"5"), (b"Content-Length", b"5")],  # no server does, but a middleware may
        [(b"transfer-encoding", b"Chunked")],
        [(b"x", b"\x80\xff tab\there")],
    ],
)
def test_ordinary_requests_pass(headers: list[tuple[bytes, bytes]]) -> None:
    """One framing, one Host and clean fields give no reason to refuse."""
    assert problem(HOST, *headers) is None


@pytest.mark.parametrize("value", [b"+5", b"-1", b"0x5", b"1_0", b"", b"5,5", b" 5", b"1" * 20, b"\xb2"])
def test_a_length_that_is_not_one_number_is_refused(value: bytes) -> None:
    """Signs, hexadecimal, underscores, lists and twenty digits are no Content-Length."""
    found = problem(HOST, (b"content-length", value))
    assert found == Problem(400, "The Content-Length is not one number.", close=True)


def test_two_different_lengths_are_refused() -> None:
    """Two lengths that differ frame two messages."""
    assert status(HOST, (b"content-length", b"5"), (b"content-length", b"6")) == 400


def test_length_and_coding_together_are_refused() -> None:
    """Content-Length and Transfer-Encoding together are how requests are smuggled."""
    assert status(HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")) == 400


@pytest.mark.parametrize("value", [b"gzip, chunked", b"xchunked", b"chunked, identity", b"identity", b""])
def test_codings_other_than_chunked_are_refused(value: bytes) -> None:
    """What we do not decode we cannot frame again."""
    assert status(HOST, (b"transfer-encoding", value)) == 501
    assert status(HOST, (b"transfer-encoding", b"chunked\x0b")) == 400
    assert status(HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")) == 501


@pytest.mark.parametrize("version", ["1.0", "2", "3"])
def test_only_http_1_1_has_codings(version: str) -> None:
    """Transfer-Encoding on HTTP/1.0, 2 or 3 is an attack or a mistake."""
    assert status(HOST, (b"transfer-encoding", b"chunked"), http_version=version) == 400


def test_there_is_exactly_one_host() -> None:
    """No Host is fine for HTTP/1.0 only, and two are never."""
    assert status() == 400
    assert status(http_version="1.0") is None
    assert status(HOST, HOST) == 400


@pytest.mark.parametrize(
    "host",
    [b"", b"a b", b"a,b", b"user@site", b"site:70000", b"site:x", b"-a", b"[::1", b"::1", b"a/b", b"\xc3\xa4", b"a:"],
)
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    """User information, lists, blanks and impossible ports are no Host."""
    assert status((b"host", host)) == 400


@pytest.mark.parametrize("host", [b"site.test", b"localhost:8000", b"[2001:db8::1]:80", b"10.0.0.1", b"a_b.c"])
def test_names_and_addresses_are_hosts(host: bytes) -> None:
    """DNS names, IPv4 and bracketed IPv6 with an optional port are Hosts."""
    assert status((b"host", host)) is None


@pytest.mark.parametrize(
    ("method", "expected"),
    [("GET", None), ("PURGE", None), ("CONNECT", 501), ("connect", 501), ("TRACE", 405), ("G T", 400), ("", 400)],
)
def test_methods_that_belong_to_other_proxies_are_refused(method: str, expected: int | None) -> None:
    """CONNECT and TRACE are refused, unknown tokens pass, anything else is no method."""
    assert status(HOST, method=method) == expected


@pytest.mark.parametrize("pair", [(b"", b"x"), (b"a b", b"x"), (b"a:", b"x"), (b"a\x00", b""), (b"\xc3", b"")])
def test_names_are_tokens(pair: tuple[bytes, bytes]) -> None:
    """A field name that is no RFC 9110 token is refused."""
    assert status(HOST, pair) == 400


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\x00b", b"\x1b", b"\x7f"])
def test_values_hold_no_control_characters(value: bytes) -> None:
    """A value that could become two fields is refused."""
    assert status(HOST, (b"x", value)) == 400


def test_too_many_or_too_large_fields_are_refused() -> None:
    """The number and the size of header fields are bounded."""
    assert status(HOST, *[(b"x", b"")] * (MAX_FIELDS - 1)) is None
    assert status(HOST, *[(b"x", b"")] * MAX_FIELDS) == 431
    assert status(HOST, (b"x", b"y" * (MAX_FIELD_BYTES - 14))) is None
    assert status(HOST, (b"x", b"y" * (MAX_FIELD_BYTES - 13))) == 431


def test_a_websocket_scope_has_no_method() -> None:
    """The same check serves WebSocket handshakes, which name no method."""
    scope = http_scope()
    del scope["method"]
    assert check_request(scope) is None


@pytest.mark.parametrize(
    ("code", "headers", "accepted"),
    [
        (200, [], True),
        (599, [(b"Content-Length", b"3")], True),
        (101, [], False),
        (600, [], False),
        (200, [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")], False),
        (200, [(b"content-length", b"3"), (b"content-length", b"4")], False),
        (200, [(b"x", b"a\r\nb")], False),
        (200, [(b"x", b"y" * MAX_FIELD_BYTES)], False),
    ],
)
def test_responses_are_checked_as_well(code: int, headers: list[tuple[bytes, bytes]], accepted: bool) -> None:
    """A response with a bad status, two framings or a split field is not passed on."""
    assert (check_response(code, headers) is None) is accepted


def test_the_declared_length_is_a_number_or_nothing() -> None:
    """Equal repetitions are one length; nothing, differing and malformed ones are none."""
    assert declared_length([(b"content-length", b"7"), (b"content-length", b"7")]) == 7
    assert declared_length([]) is None
    assert declared_length([(b"content-length", b"7"), (b"content-length", b"8")]) is None
    assert declared_length([(b"content-length", b"x")]) is None


def test_single_values() -> None:
    """What one value may look like, for whoever has picked it already."""
    assert is_host(b"site.test:80")
    assert not is_host(b"a b")
    assert not is_host(b"a" * 300)
    assert is_length(b"0")
    assert not is_length(b"1,1")
