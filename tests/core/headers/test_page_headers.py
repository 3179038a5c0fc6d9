"""Which responses are composed, and what that does to headers."""

import pytest

from hydra_asgi.core.headers.page_headers import (
    Composable,
    app_request_headers,
    composed_headers,
    declared_length,
    fragment_codec,
    may_compose,
)

HTML = (b"Content-Type", b"text/html; charset=utf-8")


def test_a_page_may_be_composed() -> None:
    """A whole HTML response is composed, whatever the method and however it reports errors."""
    for status in (200, 201, 404, 500):
        for method in ("GET", "HEAD", "POST"):
            assert may_compose(status, method, [HTML]) is Composable.YES


@pytest.mark.parametrize("status", [101, 103, 204, 205, 206, 304])
def test_a_response_that_is_no_whole_page_is_left_alone(status: int) -> None:
    """Parts of pages and responses without a body are never composed."""
    assert may_compose(status, "GET", [HTML]) is Composable.NO


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"application/json")],
        [(b"content-type", b"text/htmlx")],
        [(b"content-type", b"text/html; charset=UTF-16LE")],
        [HTML, (b"content-range", b"bytes 0-1/2")],
    ],
)
def test_what_is_no_page_is_left_alone(headers: list[tuple[bytes, bytes]]) -> None:
    """Only HTML in a character set that contains ASCII is composed."""
    assert may_compose(200, "GET", headers) is Composable.NO


def test_a_tunnel_is_left_alone() -> None:
    """CONNECT has no page."""
    assert may_compose(200, "CONNECT", [HTML]) is Composable.NO


@pytest.mark.parametrize(
    ("codings", "verdict"),
    [
        ([b"identity"], Composable.YES),
        ([b""], Composable.YES),
        ([b"gzip"], Composable.YES_GZIP),
        ([b" X-GZip "], Composable.YES_GZIP),
        ([b"identity, gzip"], Composable.YES_GZIP),
        ([b"br"], Composable.UNKNOWN_CODING),
        ([b"zstd"], Composable.UNKNOWN_CODING),
        ([b"gzip", b"br"], Composable.UNKNOWN_CODING),
        ([b"gzip, gzip"], Composable.UNKNOWN_CODING),
    ],
)
def test_codings_are_told_apart(codings: list[bytes], verdict: Composable) -> None:
    """Identity and one gzip can be read; anything else passes and is named."""
    assert may_compose(200, "GET", [HTML, *((b"Content-Encoding", coding) for coding in codings)]) is verdict


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        (b"text/html", "utf-8"),
        (b'TEXT/HTML ; Charset="UTF-8"', "utf-8"),
        (b"text/html; a=b; charset=", "utf-8"),
        (b"text/html; charset=ISO-8859-1", "ascii"),
        (b"text/html; charset=iso-2022-jp", None),
        (b"text/plain", None),
    ],
)
def test_the_codec_fits_the_page(content_type: bytes, codec: str | None) -> None:
    """Fragments become UTF-8, or ASCII with character references where the page is something else."""
    assert fragment_codec([(b"content-type", content_type)]) == codec


def test_a_composed_page_claims_nothing() -> None:
    """Length, validators, digests, ages and lifetimes go; the rest stays in order, and nobody may store the page."""
    kept = [
        HTML,
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"Content-Encoding", b"gzip"),
        (b"Vary", b"Cookie"),
    ]
    gone = [
        (name, b"x")
        for name in (
            *(b"Content-Length", b"ETag", b"Last-Modified", b"Accept-Ranges", b"Digest", b"Content-Digest"),
            *(b"Repr-Digest", b"Content-MD5", b"Age", b"Expires", b"Cache-Control", b"CDN-Cache-Control"),
            b"Surrogate-Control",
        )
    ]
    assert composed_headers([*gone[:6], *kept, *gone[6:]]) == [*kept, (b"cache-control", b"no-store")]
    assert (b"Content-Encoding", b"gzip") not in composed_headers(kept, decoded=True)


CONDITIONS = [(b"if-none-match", b"x"), (b"If-Modified-Since", b"x"), (b"if-range", b"x"), (b"Range", b"bytes=0-1")]
ACCEPT = (b"Accept", b"application/json, Text/HTML;q=0.9, */*")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_app_sees_no_conditions_on_a_page(method: str) -> None:
    """A navigation is never answered with 304 or 206."""
    assert app_request_headers([(b"host", b"a"), *CONDITIONS, ACCEPT], method) == [(b"host", b"a"), ACCEPT]


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ([*CONDITIONS, ACCEPT], "POST"),
        ([ACCEPT], "GET"),
        ([*CONDITIONS], "GET"),
        ([*CONDITIONS, (b"accept", b"*/*")], "GET"),
        ([*CONDITIONS, (b"accept", b"text/html;q=0.0")], "GET"),
    ],
)
def test_other_requests_are_the_same_list(headers: list[tuple[bytes, bytes]], method: str) -> None:
    """Where nothing is taken away, the very list comes back."""
    assert app_request_headers(headers, method) is headers


@pytest.mark.parametrize(
    ("value", "length"), [(b"12", 12), (b"0", 0), (b"+5", None), (b"1_0", None), (b"", None), (b"9" * 20, None)]
)
def test_a_declared_length_is_a_number_or_nothing(value: bytes, length: int | None) -> None:
    """Only digits are a length."""
    assert declared_length([(b"Content-Length", value)]) == length
    assert declared_length([]) is None
