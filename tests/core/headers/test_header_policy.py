"""Which header fields cross a node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydra_asgi.core.headers.header_policy import (
    HOP_BY_HOP,
    MAX_HOPS,
    SPOOFABLE,
    end_to_end,
    hops_are_spent,
    loops,
    request_headers,
    response_headers,
)

Pairs = list[tuple[bytes, bytes]]
VIA = b"1.1 node-7f"
ADD = [(b"hydra-path", b"1234567890"), (b"hydra-key", b"k")]


def sent(headers: Pairs, *, trusted: bool = False, add: Pairs = ADD, client: str = "203.0.113.9") -> Pairs:
    return request_headers(headers, client=client, scheme="https", host=b"site.test", via=VIA, trusted=trusted, add=add)


def values(headers: Pairs, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


names = st.one_of(
    st.sampled_from(
        [
            *sorted(HOP_BY_HOP | SPOOFABLE),
            *(b"cookie", b"Set-Cookie", b"Content-Length", b"host", b"X-Forwarded-For", b"x_real_ip", b"Hydra-Path"),
        ]
    ),
    st.from_regex(rb"[A-Za-z-]{1,8}", fullmatch=True),
)
options = st.lists(names, max_size=4).map(b", ".join)
pairs = st.one_of(
    st.tuples(st.sampled_from([b"Connection", b"connection"]), options),
    st.tuples(names, st.binary(max_size=6)),
)
header_lists = st.lists(pairs, max_size=12)


@given(header_lists)
def test_no_hop_by_hop_or_connection_named_field_crosses(headers: Pairs) -> None:
    """Nothing meant for one hop, and nothing that Connection names, travels on in either direction."""
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    for crossed in (end_to_end(headers), response_headers(headers)):
        assert not {name for name, _ in crossed} & (HOP_BY_HOP | named)
    ours = len(sent([]))
    theirs = sent(headers)[1 : len(sent(headers)) - ours + 1]
    assert not {name for name, _ in theirs} & (HOP_BY_HOP | named | {b"content-length", b"expect", b"host"})


@given(header_lists)
def test_removing_twice_removes_nothing_more(headers: Pairs) -> None:
    """What crossed one node crosses the next unchanged."""
    once = end_to_end(headers)
    assert end_to_end(once) == once
    assert response_headers(response_headers(headers)) == response_headers(headers)


@given(header_lists)
def test_the_rest_keeps_its_order_and_its_repetitions(headers: Pairs) -> None:
    """What stays is a subsequence of what came, with every repetition of a name that stays."""
    kept = end_to_end(headers)
    names_kept = {name for name, _ in kept}
    assert kept == [(name.lower(), value) for name, value in headers if name.lower() in names_kept]


@given(header_lists)
def test_what_we_add_survives_any_connection_value(headers: Pairs) -> None:
    """No Connection field of a client takes away the Host or a field of ours."""
    result = sent(headers)
    assert result[0] == (b"host", b"site.test")
    assert result[-6:] == [
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"site.test"),
        (b"forwarded", b"for=203.0.113.9;host=site.test;proto=https"),
        (b"via", VIA),
        *ADD,
    ]
    assert values(result, b"x-forwarded-for") == [b"203.0.113.9"]


def test_connection_names_are_removed_from_the_clients_set_only() -> None:
    """`Connection: close, X-Forwarded-For, Authorization` drops the client's fields and not ours."""
    result = sent(
        [
            (b"Connection", b"close, X-Forwarded-For, Authorization , X-Hydra-Service,"),
            (b"Authorization", b"Basic eA=="),
            (b"X-Forwarded-For", b"1.2.3.4"),
            (b"Accept", b"*/*"),
        ]
    )
    assert values(result, b"authorization") == []
    assert values(result, b"accept") == [b"*/*"]
    assert values(result, b"x-forwarded-for") == [b"203.0.113.9"]


@pytest.mark.parametrize("name", [b"hydra-path", b"Hydra-Key", b"X-Hydra-Service", b"X_Forwarded_For", b"Remote_User"])
@pytest.mark.parametrize("trusted", [False, True])
def test_names_of_our_own_never_come_from_outside(name: bytes, trusted: bool) -> None:
    """Not even a trusted peer can say what only a node says, nor hide a name behind an underscore."""
    assert b"evil" not in [value for _, value in sent([(name, b"evil")], trusted=trusted)]


@pytest.mark.parametrize("name", [*sorted(SPOOFABLE), b"x-forwarded-for", b"x-forwarded-prefix", b"x-forwarded-port"])
def test_words_about_the_client_are_believed_of_trusted_peers_only(name: bytes) -> None:
    """A forged X-Real-IP, X-Original-URL or Forwarded of an untrusted peer is gone, a trusted peer's stays."""
    assert b"said" not in [value for _, value in sent([(name, b"said")])]
    assert (name, b"said") in sent([(name, b"said")], trusted=True)


def test_a_trusted_peers_chain_is_continued() -> None:
    """Behind a proxy of ours the lists grow by one member and the first hop's scheme and host stay."""
    said = [
        (b"x-forwarded-for", b"198.51.100.1"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"www.site.test"),
        (b"forwarded", b"for=198.51.100.1"),
        (b"via", b"1.0 edge"),
    ]
    result = sent(said, trusted=True)
    assert values(result, b"x-forwarded-for") == [b"198.51.100.1", b"203.0.113.9"]
    assert values(result, b"x-forwarded-proto") == [b"http"]
    assert values(result, b"x-forwarded-host") == [b"www.site.test"]
    assert values(result, b"forwarded") == [b"for=198.51.100.1", b"for=203.0.113.9;host=site.test;proto=https"]
    assert values(result, b"via") == [b"1.0 edge", VIA]


def test_a_request_loses_framing_and_expectation() -> None:
    """Length, coding and Expect are hop business: whoever sends frames the body it has."""
    framing = [(b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"Expect", b"100-continue")]
    assert sent(framing) == sent([])


def test_max_forwards_is_counted_down() -> None:
    """Max-Forwards loses one with each node, never passes zero, and nonsense in it is left alone."""
    assert values(sent([(b"Max-Forwards", b"7")]), b"max-forwards") == [b"6"]
    assert values(sent([(b"Max-Forwards", b"0")]), b"max-forwards") == [b"0"]
    assert values(sent([(b"Max-Forwards", b"many")]), b"max-forwards") == [b"many"]
    assert values(sent([(b"Max-Forwards", b"9" * 30)]), b"max-forwards") == [b"9" * 30]


@pytest.mark.parametrize(
    ("value", "spent"), [(b"0", True), (b" 00 ", True), (b"1", False), (b"", False), (b"-0", False), (b"x", False)]
)
def test_zero_max_forwards_ends_the_way(value: bytes, spent: bool) -> None:
    """A request with Max-Forwards 0 goes no further."""
    assert hops_are_spent([(b"max-forwards", value)]) is spent
    assert hops_are_spent([(b"accept", b"0")]) is False


def test_cookies_of_a_request_are_one_field() -> None:
    """HTTP/2 clients send them in pieces; the first of these has all of them, in order, and the rest stays in place."""
    sent = [(b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2; c=3"), (b"x-a", b"1"), (b"cookie", b"d=4")]
    crossed = request_headers(sent, client="10.1.1.1", scheme="https", host=b"h", via=b"1.1 n", trusted=False)
    assert crossed[1:4] == [(b"cookie", b"a=1; b=2; c=3; d=4"), (b"accept", b"*/*"), (b"x-a", b"1")]
    dropped = [*sent, (b"connection", b"cookie")]
    crossed = request_headers(dropped, client="10.1.1.1", scheme="https", host=b"h", via=b"1.1 n", trusted=False)
    assert crossed[1:3] == [(b"accept", b"*/*"), (b"x-a", b"1")]


def test_three_cookies_set_stay_three() -> None:
    """A response keeps every Set-Cookie as a field of its own, in order, and its Content-Length."""
    cookies = [(b"Set-Cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"), (b"set-cookie", b"b=2")]
    response = response_headers(
        [
            *cookies,
            (b"Content-Length", b"3"),
            (b"Hydra-Signature", b"v1"),
            (b"X_Own", b"1"),
            (b"Set-Cookie", b"c"),
            (b"Keep-Alive", b"timeout=5"),
        ],
        via=VIA,
    )
    assert values(response, b"set-cookie") == [cookies[0][1], b"b=2", b"c"]
    assert values(response, b"content-length") == [b"3"]
    assert values(response, b"x_own") == [b"1"]
    assert values(response, b"hydra-signature") == values(response, b"keep-alive") == []
    assert response[-1] == (b"via", VIA)


@pytest.mark.parametrize(
    ("via", "looped"),
    [
        ([], False),
        ([b"1.1 node-7f"], True),
        ([b"1.0 edge, HTTP/1.1 NODE-7F (hydra, the 2nd)"], True),
        ([b"1.1 node-7"], False),
        ([b"1.1 node-7f0"], False),
        ([b"1.1 edge (was 1.1 node-7f, once)"], False),
        ([b"1.1 edge"], False),
        ([b"1.1 edge", b"2 other, 1.1 node-7f"], True),
        ([b"1.1 a"] * (MAX_HOPS - 1), False),
        ([b"1.1 a"] * MAX_HOPS, True),
        ([b"garbage", b",,,", b"("], False),
    ],
)
def test_our_own_name_in_via_is_a_loop(via: list[bytes], looped: bool) -> None:
    """One repetition of our name ends the way, and so do too many members of any name."""
    assert loops([(b"via", value) for value in via], "node-7f") is looped


def test_a_long_hostile_via_is_read_in_linear_time() -> None:
    """Sixty kilobytes of brackets, half members or one endless word cost no more than their length."""
    for value in (b"(" * 60000, b"a/" * 30000, b"a" * 60000, b"(\\" * 30000):
        assert loops([(b"via", value)], "n") is False


def test_date_and_server_are_the_front_servers() -> None:
    """The server in front of the client says `Date` and `Server`; an instance's are left out, so none stands twice."""
    headers = [(b"Date", b"Tue, 24 Nov 2026 08:00:00 GMT"), (b"Server", b"uvicorn"), (b"etag", b'"1"')]
    assert response_headers(headers) == [(b"etag", b'"1"')]


@pytest.mark.parametrize("value", [b"keep-alive", b"Close", b"KEEP-alive , x-a"])
def test_usual_connection_fields_take_nothing_else_away(value: bytes) -> None:
    """What nearly every message says about its connection names no other field; what it does name goes with it."""
    kept = response_headers([(b"Connection", value), (b"X-A", b"1"), (b"x-b", b"2")])
    assert kept == ([(b"x-b", b"2")] if b"x-a" in value else [(b"x-a", b"1"), (b"x-b", b"2")])
