"""What we say about the client."""

import pytest

from hydra_asgi.core.headers.forwarded import forwarding_fields


@pytest.mark.parametrize(
    ("client", "plain", "member"),
    [
        ("203.0.113.9", b"203.0.113.9", b"for=203.0.113.9"),
        ("2001:db8::1", b"2001:db8::1", b'for="[2001:db8::1]"'),
        ("", b"unknown", b"for=unknown"),
        ("evil, 1.2.3.4", b"unknown", b"for=unknown"),
        ("x\r\ny: z", b"unknown", b"for=unknown"),
    ],
)
def test_the_peer_is_named_safely(client: str, plain: bytes, member: bytes) -> None:
    """An IPv6 address is quoted in Forwarded, and what is no address is called unknown."""
    fields = dict(forwarding_fields([], client=client, scheme="http", host=b"site"))
    assert fields[b"x-forwarded-for"] == plain
    assert fields[b"forwarded"] == member + b";host=site;proto=http"


def test_a_host_with_a_port_is_quoted() -> None:
    """`host:port` is not a token, so Forwarded quotes it, and escapes what could end the quotes."""
    fields = dict(forwarding_fields([], client="::1", scheme="https", host=b'a:1"\\'))
    assert b';host="a:1\\"\\\\";' in fields[b"forwarded"]
    assert fields[b"x-forwarded-host"] == b'a:1"\\'
