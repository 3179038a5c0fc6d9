"""The grammar of heads, where a body ends, and whether the connection goes on."""

from itertools import product

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.backends.native_upstream.response_head import (
    CHUNKED,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    UNTIL_CLOSE,
    ResponseHead,
    read_head,
    unfinished_problem,
)

OK = b"HTTP/1.1 200 OK\r\n"
UNCERTAIN = "no single, certain end of the body"


def wire(headers: list[tuple[bytes, bytes]], start: bytes = OK) -> bytes:
    return start + b"".join(name + b":" + value + b"\r\n" for name, value in headers) + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 404 \r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 200 Gut\xe9 \t!\r\nX-A_b.1:y\r\nx:\r\ny: \xff\t z \r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_FIELDS + b"\r\n",
    ],
)
def test_what_rfc_9112_allows_is_allowed(head: bytes) -> None:
    """Empty reasons and values, any token, and bytes above ASCII are legal."""
    assert isinstance(read_head(head), ResponseHead)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\nx: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: y\nz: w\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n x: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\t: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx(: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\xe9: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\x00: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x01b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\x7fb\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * (MAX_FIELDS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
def test_anything_else_is_refused(head: bytes) -> None:
    """Bare line feeds, folds, space before colons, illegal characters, other versions, too much: none is forgiven."""
    assert isinstance(read_head(head), str)


@pytest.mark.parametrize("start", [b"", b"H", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200 OK\r\nx: y\r\n"])
def test_a_head_may_arrive_in_parts(start: bytes) -> None:
    """What may still become a head is waited for."""
    assert unfinished_problem(start) is None


@pytest.mark.parametrize("start", [b"S", b"HTTP/2", b"\r\n", b"HTTP/1.1 200 OK\n", b"HTTP/1.1 " + b"x" * 65536])
def test_garbage_is_known_before_its_end(start: bytes) -> None:
    """What cannot become a head is refused at once: it would only end in a timeout."""
    assert unfinished_problem(start) is not None


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        ([], UNTIL_CLOSE),
        ([(b"x-content-lengt", b"5")], UNTIL_CLOSE),
        ([(b"xxxxxxxxxxxxxx", b"5"), (b"xxxxxxxxxxxxxxxxx", b"5")], UNTIL_CLOSE),
        ([(b"Content-Length", b"5")], 5),
        ([(b"content-length", b"0")], 0),
        ([(b"Transfer-Encoding", b"Chunked")], CHUNKED),
        ([(b"content-length", b"5"), (b"content-length", b"5")], UNCERTAIN),
        ([(b"content-length", b"5, 5")], UNCERTAIN),
        ([(b"content-length", b"+5")], UNCERTAIN),
        ([(b"content-length", b"-1")], UNCERTAIN),
        ([(b"content-length", b"0x5")], UNCERTAIN),
        ([(b"content-length", b"1_0")], UNCERTAIN),
        ([(b"content-length", b"")], UNCERTAIN),
        ([(b"content-length", b"9" * 20)], UNCERTAIN),
        ([(b"content-length", b"5"), (b"transfer-encoding", b"chunked")], UNCERTAIN),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"5")], UNCERTAIN),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], UNCERTAIN),
        ([(b"transfer-encoding", b"gzip, chunked")], UNCERTAIN),
        ([(b"transfer-encoding", b"chunked, identity")], UNCERTAIN),
        ([(b"transfer-encoding", b"xchunked")], UNCERTAIN),
        ([(b"transfer-encoding", b"")], UNCERTAIN),
    ],
)
def test_a_body_has_one_end_or_none_that_is_certain(headers: list[tuple[bytes, bytes]], framing: int | str) -> None:
    """Two lengths, a length and a coding, or a coding that we do not speak name no end."""
    head = read_head(wire(headers))
    assert (head if isinstance(head, str) else head.framing) == framing


def test_a_coding_is_younger_than_http_1_0() -> None:
    """RFC 9112 section 6.1: who speaks HTTP/1.0 cannot mean it."""
    assert read_head(wire([(b"transfer-encoding", b"chunked")], b"HTTP/1.0 200 OK\r\n")) == UNCERTAIN


def test_fields_come_as_they_are() -> None:
    """Spelling, order and repetition stay; only the space around values goes, and a colon in them is no border."""
    head = read_head(OK + b"Set-Cookie: a\r\nX:  b:c\t \r\nset-cookie:\r\nConnection:\tclose \r\n\r\n")
    assert isinstance(head, ResponseHead)
    assert head.headers == ((b"Set-Cookie", b"a"), (b"X", b"b:c"), (b"set-cookie", b""), (b"Connection", b"close"))
    assert head.status == 200


@pytest.mark.parametrize(
    ("version", "options", "keeps_alive"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"close"], False),
        (b"1.1", [b"Keep-Alive, Close"], False),
        (b"1.1", [b"keep-alive", b" x ,\tclose "], False),
        (b"1.1", [b"closed"], True),
        (b"1.0", [], False),
        (b"1.0", [b"Keep-Alive"], True),
        (b"1.0", [b"keep-alive, close"], False),
    ],
)
def test_whether_a_connection_goes_on_is_said_in_the_head(
    version: bytes, options: list[bytes], keeps_alive: bool
) -> None:
    """HTTP/1.1 goes on unless it says close; HTTP/1.0 ends unless it says keep-alive."""
    headers = [(b"Connection", option) for option in options]
    for length in ([], [(b"content-length", b"0 ")]):
        head = read_head(wire([*headers, *length], b"HTTP/" + version + b" 200 OK\r\n"))
        assert isinstance(head, ResponseHead)
        assert head.keeps_alive is keeps_alive


class Told:
    """What the other parser calls."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_whole = True


LINES = st.sampled_from(
    [b":".join(pair) for pair in product(
        [b"Content-Length", b"transfer-encoding", b"connection", b"X-A", b"upgrade", b"y ", b"", b" z"],
        [b"", b"1", b" 1 ", b" chunked", b"\tChunked", b"close", b"keep-alive", b"a,b", b"\xff", b"\x00", b"\r", b":"],
    )]
)  # fmt: skip
STARTS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 404", b"HTTP/1.1 500 ", b"HTTP/1.1 103 Early", b"HTTP/1.1 1"])


@settings(max_examples=400, deadline=None)
@given(STARTS, st.lists(LINES, max_size=5), st.sampled_from([b"\r\n", b"\n", b"\r\n\t"]))
def test_nobody_is_stricter_than_we_are(start: bytes, lines: list[bytes], end: bytes) -> None:
    """A head that we read is one that llhttp reads, with the same fields and the same answer about the connection."""
    head = read_head(end.join([start, *lines]) + b"\r\n\r\n")
    if isinstance(head, str):
        return
    told = Told()
    parser = httptools.HttpResponseParser(told)
    parser.feed_data(end.join([start, *lines]) + b"\r\n\r\n")
    assert told.is_whole
    assert tuple(told.headers) == head.headers
    assert parser.get_status_code() == head.status
    if head.framing not in {UNTIL_CLOSE, 0} and head.status >= 200:
        assert parser.should_keep_alive() is head.keeps_alive
