"""Addresses of instances in an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.headers.public_location import InternalOrigins
from hydra_asgi.core.instance import Address

ORIGINS = InternalOrigins.of(
    [
        Address("http", "10.0.0.5", 8000),
        Address("http", "orders.internal", 80, "/app", pinned="10.0.0.6"),
        Address("http", "orders.internal", 80, "/app/v2"),
        Address("https", "fd00::7", 443),
    ]
)


@pytest.mark.parametrize(
    ("said", "public"),
    [
        (b"http://10.0.0.5:8000/x?q=1#there", b"/x?q=1#there"),
        (b"HTTP://10.0.0.5:8000/x", b"/x"),
        (b"http://10.0.0.5:8000", b"/"),
        (b"http://10.0.0.5:8000?q", b"/?q"),
        (b"http://10.0.0.5:8000#there", b"/#there"),
        (b"http://Orders.Internal/app/x", b"/x"),
        (b"http://orders.internal:80/app", b"/"),
        (b"http://orders.internal:/app?q", b"/?q"),
        (b"http://10.0.0.6/app/x", b"/x"),
        (b"http://orders.internal/app/v2/x", b"/x"),
        (b"https://[fd00::7]/x", b"/x"),
        (b"https://[FD00::7]:443/x", b"/x"),
    ],
)
def test_internal_addresses(said: bytes, public: bytes) -> None:
    """What the directory lists becomes a path, without the base path that only we know."""
    assert ORIGINS.public(said) == public


@pytest.mark.parametrize(
    "said",
    [
        b"/x",
        b"x",
        b"",
        b"//10.0.0.5:8000/x",
        b"https://10.0.0.5:8000/x",
        b"http://10.0.0.5:8001/x",
        b"http://10.0.0.5/x",
        b"http://10.0.0.50:8000/x",
        b"http://10.0.0.5:8000.evil.test/x",
        b"http://10.0.0.5:8000@evil.test/x",
        b"http://user@10.0.0.5:8000/x",
        b"http://evil.test/?to=http://10.0.0.5:8000/x",
        b"http://orders.internal/",
        b"http://orders.internal/apples",
        b"ftp://10.0.0.5:8000/x",
        b" http://10.0.0.5:8000/x",
        b"http://\xff/x",
    ],
)
def test_everything_else(said: bytes) -> None:
    """Other addresses are the app's own business, however much they look like ours."""
    assert ORIGINS.public(said) == said


@pytest.mark.parametrize(
    ("said", "public"),
    [(b"/app/x", b"/x"), (b"/app", b"/"), (b"/app?q", b"/?q"), (b"/apples", b"/apples"), (b"/x", b"/x"), (b"x", b"x")],
)
def test_paths_of_an_app_with_a_base_path(said: bytes, public: bytes) -> None:
    """An app that lives under a base path names its pages with it, and the public knows them without."""
    assert ORIGINS.public(said, b"/app") == public


@pytest.mark.parametrize(
    "rest", [b"//evil.test/x", b"/\\evil.test", b"/\t/evil.test", b"/ /evil.test", b"/\\\\evil.test"]
)
@pytest.mark.parametrize(("before", "base"), [(b"http://10.0.0.5:8000", b""), (b"/app", b"/app")])
def test_paths_that_browsers_take_for_hosts(before: bytes, base: bytes, rest: bytes) -> None:
    """No link becomes one to another site by what we take away from it (RFC 3986 section 4.2)."""
    assert ORIGINS.public(before + rest, base) == b"/." + rest


@given(st.binary(max_size=40))
def test_any_path(rest: bytes) -> None:
    """Whatever follows an internal origin stays a path on the site, or is left as it came."""
    said = b"http://10.0.0.5:8000" + rest
    public = ORIGINS.public(said)
    assert public == said or (public[:1] == b"/" and public[1:2] not in {b"/", b"\\", b"\t", b"\r", b"\n", b" "})
    assert public.endswith(rest)


def test_fields() -> None:
    """Both fields that hold an address are made public; others stay as they are, and so does what has none."""
    inner = b"http://10.0.0.5:8000/x"
    fields = [(b"location", inner), (b"x-where", inner), (b"content-location", inner), (b"location", b"/y")]
    expected = [(b"location", b"/x"), (b"x-where", inner), (b"content-location", b"/x"), (b"location", b"/y")]
    assert ORIGINS.made_public(fields) == expected
    assert ORIGINS.made_public([(b"location", b"/app/x")], b"/app") == [(b"location", b"/x")]
    untouched = [(b"x-where", inner)]
    assert ORIGINS.made_public(untouched) is untouched
