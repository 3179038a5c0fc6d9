"""Fields behind a body."""

import pytest

from hydra_asgi.core.headers.field_names import field_names
from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.core.headers.trailer_fields import (
    MAX_TRAILER_BYTES,
    MAX_TRAILERS,
    announced_trailers,
    crossing_trailers,
    takes_trailers,
)


@pytest.mark.parametrize(
    ("values", "takes"),
    [
        ([b"trailers"], True),
        ([b"gzip;q=0.5, Trailers"], True),
        ([b"gzip", b"\ttrailers "], True),
        ([b"trailers;q=1"], False),
        ([b"nottrailers"], False),
        ([b""], False),
        ([], False),
    ],
)
def test_who_takes_trailers_says_so(values: list[bytes], takes: bool) -> None:
    """`trailers` is a member of the list in `TE`, in any case and without a weight."""
    headers = [(b"te", value) for value in values]
    assert takes_trailers(headers, field_names(headers)) is takes


@pytest.mark.parametrize(
    ("values", "announced"),
    [
        ([b"X-Sum, Server-Timing"], b"x-sum, server-timing"),
        ([b"x-sum", b"x-sum,, x-time"], b"x-sum, x-time"),
        ([b"Content-Length, x-sum, Set-Cookie, Hydra-Key"], b"x-sum"),
        ([b"transfer-encoding"], b""),
        ([b"x sum"], b""),
        ([b"x-sum, a\nb"], b""),
        ([b"x" * (MAX_TRAILER_BYTES + 1)], b""),
        ([b""], b""),
        ([], b""),
    ],
)
def test_what_is_announced_is_what_may_come(values: list[bytes], announced: bytes) -> None:
    """The announcement names each trailer once, and none that may not be one; a malformed one counts for nothing."""
    assert announced_trailers([(b"Trailer", value) for value in values]) == announced


def test_a_long_announcement_is_cut() -> None:
    """Nobody has to look at thousands of names."""
    names = [b"x-%d" % number for number in range(10_000)]
    assert announced_trailers([(b"trailer", b",".join(names))]).split(b", ") == names[:MAX_TRAILERS]


def test_trailers_cross_with_their_order_and_names_in_lower_case() -> None:
    """Values are untouched, and a name may repeat."""
    trailers = [(b"X-Sum", b"1"), (b"Server-Timing", b"db;dur=5"), (b"X-Sum", b"2 \xff")]
    assert crossing_trailers(trailers) == [(b"x-sum", b"1"), (b"server-timing", b"db;dur=5"), (b"x-sum", b"2 \xff")]
    assert crossing_trailers([]) == []


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length", b"Transfer-Encoding", b"Trailer", b"TE", b"Connection", b"Upgrade", b"Host",
        b"Content-Type", b"Content-Encoding", b"Content-Range", b"Authorization", b"WWW-Authenticate", b"Cookie",
        b"Set-Cookie", b"Proxy-Authenticate", b"Cache-Control", b"Age", b"Expires", b"Date", b"Vary", b"Location",
        b"Retry-After", b"Content-Security-Policy", b"Hydra-Gateway", b"X-Hydra-Anything", b"Via", b"X-Request-Id",
    ],
)  # fmt: skip
def test_what_has_no_place_behind_a_body_is_left_out(name: bytes) -> None:
    """Framing, routing, how to read the body, what may be kept and who may do what are said before it or not at all."""
    assert crossing_trailers([(name, b"1"), (b"x-sum", b"2")]) == [(b"x-sum", b"2")]


@pytest.mark.parametrize(
    "trailers",
    [
        [(b"x-a", b"1\r\nset-cookie: a=1")],
        [(b"x-a", b"1\n")],
        [(b"x-a", b"\0")],
        [(b"x a", b"1")],
        [(b"x-a\r\nb", b"1")],
        [(b"", b"1")],
        [(b":status", b"200")],
        [(b"x-a", b"1")] * (MAX_TRAILERS + 1),
        [(b"x-a", b"1" * MAX_TRAILER_BYTES)],
    ],
)
def test_where_one_is_wrong_none_crosses(trailers: Fields) -> None:
    """What is malformed, or without measure, takes the others with it."""
    assert crossing_trailers([(b"x-good", b"1"), *trailers]) == []
