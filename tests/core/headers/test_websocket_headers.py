"""Fields of the opening handshake."""

from hydra_asgi.core.headers.websocket_headers import accepted_headers, handshake_headers, refusal_headers


def test_only_what_is_of_one_connection_stays_behind() -> None:
    """Origin, sub-protocols and cookies cross; key, version and extensions are the next connection's own."""
    crossing = [
        (b"origin", b"https://evil.test"),
        (b"sec-websocket-protocol", b"a, b"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
    ]
    staying = [
        (b"sec-websocket-key", b"x"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
    ]
    assert handshake_headers([*staying, *crossing]) == crossing
    assert handshake_headers([*staying, *crossing], ["a", "b"]) == crossing


def test_sub_protocols_that_the_server_took_out_are_put_back() -> None:
    """Servers with wsproto tell them beside the fields only."""
    assert handshake_headers([], ["a", "b"]) == [(b"sec-websocket-protocol", b"a, b")]


def test_an_acceptance_keeps_what_the_service_says() -> None:
    """Cookies and own fields cross; what belongs to one connection does not."""
    headers = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Sec-WebSocket-Accept", b"x"),
        (b"Sec-WebSocket-Protocol", b"a"),
        (b"Sec-WebSocket-Extensions", b"x"),
        (b"Content-Length", b"0"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
    ]
    assert accepted_headers(headers, via=b"1.1 node") == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"via", b"1.1 node"),
    ]


def test_a_refusal_is_a_response_without_length() -> None:
    """A refusal crosses like any response, and whoever sends its body says how long that is."""
    headers = [
        (b"Content-Type", b"text/plain"),
        (b"Content-Length", b"5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Set-Cookie", b"a=1"),
    ]
    kept = refusal_headers(headers, via=b"1.1 node")
    assert kept == [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"via", b"1.1 node")]
