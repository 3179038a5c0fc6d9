"""The weight key in headers and cookies."""

import pytest

from hydra_asgi.core.routing.weight_key import cookie_field, key_in_cookie, may_set_cookie, read_key

KEY = "abcdefghijklmnop_-09"


def test_reads_the_cookie_among_others() -> None:
    """The key is found in any position of a Cookie field, quoted or not."""
    for value in (f"hydra-key={KEY}", f"a=1; hydra-key={KEY}; b=2", f'x=y;hydra-key="{KEY}"'):
        assert read_key([(b"accept", b"*/*"), (b"cookie", value.encode())]) == KEY


def test_header_wins_over_cookie() -> None:
    """A node that was handed the key uses it and not the cookie."""
    headers = [(b"cookie", b"hydra-key=" + b"c" * 16), (b"hydra-key", KEY.encode())]
    assert read_key(headers) == KEY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"cookie", b"hydra-key=short")],
        [(b"cookie", b"other-hydra-key=" + b"a" * 20)],
        [(b"cookie", b"hydra-key=" + b"a" * 65)],
        [(b"cookie", b"hydra-key=aaaaaaaaaaaaaaaa\x00bbbb")],
        [(b"hydra-key", b"x" * 20 + b"\r\nSet-Cookie: a=b")],
    ],
)
def test_malformed_keys_are_no_keys(headers: list[tuple[bytes, bytes]]) -> None:
    """What is not a key of our form counts as absent."""
    assert read_key(headers) == ""


def test_cookie_attributes() -> None:
    """The cookie is first-party, hidden from scripts, lives 30 days, and is Secure on https only."""
    plain = cookie_field(KEY, secure=False)
    assert plain == b"hydra-key=" + KEY.encode() + b"; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
    assert cookie_field(KEY, secure=True) == plain + b"; Secure"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ([], True),
        ([(b"Cache-Control", b"no-store")], True),
        ([(b"cache-control", b"private, max-age=60")], True),
        ([(b"cache-control", b"max-age=60")], False),
        ([(b"cache-control", b"public")], False),
        ([(b"cache-control", b"s-maxage=1")], False),
        ([(b"etag", b'"x"')], False),
        ([(b"Last-Modified", b"Tue, 24 Nov 2026 08:00:00 GMT")], False),
        ([(b"etag", b'"x"'), (b"cache-control", b"no-cache")], True),
    ],
)
def test_never_on_what_shared_caches_keep(headers: list[tuple[bytes, bytes]], allowed: bool) -> None:
    """The cookie does not ride on responses that shared caches may store."""
    assert may_set_cookie(headers) is allowed


def test_the_key_in_one_field() -> None:
    """Where the field is at hand, no other has to be looked at."""
    assert key_in_cookie(b"a=b; hydra-key=0123456789abcdef") == "0123456789abcdef"
    assert key_in_cookie(b"hydra-key=short") == ""
