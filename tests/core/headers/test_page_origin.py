"""The origin of a page."""

import pytest

from hydra_asgi.core.headers.page_origin import page_origin, split_origin


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", b"site.test", "http://site.test"),
        ("https", b"site.test:8443", "https://site.test:8443"),
        ("ws", b"[::1]:80", "http://[::1]:80"),
        ("https", b"", ""),
        ("https", b'a"b', ""),
        ("https", b"a/b", ""),
    ],
)
def test_origin_of_a_request(scheme: str, host: bytes, origin: str) -> None:
    """Scheme and Host make the origin; a Host that could not stand in a link makes none."""
    assert page_origin({"scheme": scheme, "headers": [(b"accept", b"*/*"), (b"host", host)]}) == origin


def test_without_host_and_scheme() -> None:
    """A request without a Host has no origin, one without a scheme is http."""
    assert page_origin({"headers": []}) == ""
    assert page_origin({"headers": [(b"host", b"a.test")]}) == "http://a.test"


def test_split() -> None:
    """An origin comes apart again; an unknown one stands for nobody's site."""
    assert split_origin("https://site.test:1") == ("https", b"site.test:1")
    assert split_origin("") == ("http", b"localhost")
