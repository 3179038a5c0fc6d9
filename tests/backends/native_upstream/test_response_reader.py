"""The reader: a function of bytes. Every case is fed whole and byte by byte, and has to come out the same."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_asgi.backends.native_upstream.chunked_body import CHUNK_ALLOWANCE, FRAMING_ALLOWANCE
from hydra_asgi.backends.native_upstream.response_reader import MAX_INTERIM, MAX_PIECE, ResponseReader
from hydra_asgi.core.error_kind import ErrorKind

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"content-length: 5\r\n\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@dataclass
class Outcome:
    """What a reader made of some bytes."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    is_complete: bool = False
    keeps_alive: bool = False
    kind: ErrorKind | None = None
    leftover: bytes = b""


def outcome_of(reader: ResponseReader, *parts: bytes) -> Outcome:
    body = b""
    leftover = b""
    for part in parts:
        if reader.status == 101:  # the connection speaks another protocol now, past this reader
            leftover += part
            continue
        reader.feed(part)
        while piece := reader.take():
            body += piece
    kind = reader.failure[0] if reader.failure else None
    return Outcome(
        reader.status,
        reader.headers if reader.status else [],
        body,
        reader.trailers,
        [status for status, _ in reader.interim],
        reader.is_complete,
        reader.keeps_alive,
        kind,
        reader.leftover + leftover,
    )


def read(data: bytes, **wants: Any) -> Outcome:
    whole, slow = ResponseReader(), ResponseReader()
    whole.begin(**wants)
    slow.begin(**wants)
    outcome = outcome_of(whole, data)
    assert outcome_of(slow, *[data[at : at + 1] for at in range(len(data))]) == outcome
    return outcome


def test_a_body_with_a_length() -> None:
    """Ends with its last byte, and the connection may go on."""
    assert read(LENGTH + b"hello") == Outcome(
        200, [(b"content-length", b"5")], b"hello", is_complete=True, keeps_alive=True
    )


def test_fields_come_as_they_are() -> None:
    """Spelling, order and repetition stay; only the space around values goes."""
    head = OK + b"Set-Cookie: a\r\nX:  b c\t \r\nset-cookie:\r\nContent-Length: 0\r\n\r\n"
    assert read(head).headers == [
        (b"Set-Cookie", b"a"),
        (b"X", b"b c"),
        (b"set-cookie", b""),
        (b"Content-Length", b"0"),
    ]


def test_a_chunked_body_with_trailers() -> None:
    """Chunks are joined, extensions skipped, trailers kept but for those that may not be there."""
    wire = CHUNKED + b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1 \r\nHost: evil\r\ntransfer-encoding: x\r\n\r\n"
    outcome = read(wire)
    assert (outcome.body, outcome.trailers) == (b"hello!", [(b"X-Sum", b"1")])
    assert outcome.is_complete
    assert outcome.keeps_alive


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No\r\n\r\n",
        b"HTTP/1.1 204 No\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 304 No\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
def test_some_responses_end_with_their_head(head: bytes) -> None:
    """204 and 304 have no body, whatever they say about one; another response may follow."""
    reader = ResponseReader()
    for _ in range(2):
        reader.begin()
        outcome = outcome_of(reader, head)
        assert outcome.is_complete
        assert outcome.keeps_alive
        assert outcome.body == b""


@pytest.mark.parametrize("framing", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
def test_the_answer_to_a_head_request_ends_with_its_head(framing: bytes) -> None:
    """The length is that of the body that a GET would have got; a GET may follow."""
    reader = ResponseReader()
    reader.begin(head_only=True)
    assert outcome_of(reader, OK + framing + b"\r\n").is_complete
    reader.begin()
    assert outcome_of(reader, LENGTH + b"hello").body == b"hello"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_some_connections_serve_once(head: bytes) -> None:
    """What says close, or is HTTP/1.0, is not used again."""
    assert read(head + b"hello").is_complete
    assert not read(head + b"hello").keeps_alive


def test_a_body_may_end_with_its_connection() -> None:
    """Without a framing field the end of the connection is the end of the body, if it is in order."""
    reader = ResponseReader()
    reader.begin()
    reader.feed(OK + b"\r\nhel")
    reader.feed(b"lo")
    assert not reader.is_complete
    reader.end()
    assert reader.is_complete
    assert not reader.keeps_alive
    assert reader.take() == b"hello"


@pytest.mark.parametrize(
    ("wire", "error", "kind"),
    [
        (b"", None, ErrorKind.RESET),
        (b"HTTP/1.1 2", None, ErrorKind.RESET),
        (LENGTH + b"hel", None, ErrorKind.TRUNCATED),
        (CHUNKED + b"5\r\nhello\r\n", None, ErrorKind.TRUNCATED),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", None, ErrorKind.TRUNCATED),
        (LENGTH + b"hel", ConnectionResetError(), ErrorKind.RESET),
        (OK + b"\r\nhello", ConnectionResetError("by peer"), ErrorKind.RESET),
    ],
)
def test_an_end_too_early_is_a_failure(wire: bytes, error: Exception | None, kind: ErrorKind) -> None:
    """A cut response never looks whole."""
    reader = ResponseReader()
    reader.begin()
    reader.feed(wire) if wire else None
    reader.end(error)
    assert reader.failure is not None
    assert reader.failure[0] is kind
    assert not reader.is_complete


def test_an_end_after_the_end_takes_nothing_away() -> None:
    """A whole response stays whole when its connection closes."""
    reader = ResponseReader()
    reader.begin()
    reader.feed(LENGTH + b"hello")
    reader.end(ConnectionResetError())
    assert reader.failure is None
    assert not reader.keeps_alive
    assert reader.take() == b"hello"


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\n",
        OK + b"x: y\r\n z\r\n\r\n",
        OK + b"x : y\r\n\r\n",
        OK + b"x(: y\r\n\r\n",
        OK + b"x: a\x00b\r\n\r\n",
        OK + b"x: a\rb\r\n\r\n",
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 2\r\n\r\nok",
        OK + b"content-length: 2, 2\r\n\r\nok",
        OK + b"content-length: 9999999999999999\r\n\r\nok",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: gzip\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 304 No\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\n\r\n",
    ],
)
def test_a_head_that_is_not_certain_is_no_answer(wire: bytes) -> None:
    """Nothing of it is given on, and the connection is spoilt."""
    outcome = read(wire)
    assert (outcome.kind, outcome.status, outcome.body) == (ErrorKind.PROTOCOL, 0, b"")
    assert not outcome.keeps_alive
    assert not outcome.is_complete


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b";a\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;a\x00\r\nhello\r\n0\r\n\r\n",
        b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
        b"0\r\nt: v\r\n w\r\n\r\n",
        b"0\r\nt: v\n\r\n",
        b"0\r\nt : v\r\n\r\n",
        b"0\r\nt: v\x00\r\n\r\n",
        b"0\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_a_chunk_that_is_not_certain_ends_the_body(chunks: bytes) -> None:
    """What came before it is kept, what follows is not read, and the body is not whole."""
    outcome = read(CHUNKED + chunks)
    assert outcome.kind is ErrorKind.PROTOCOL
    assert not outcome.is_complete
    assert outcome.body in {b"", b"hello"}


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (LENGTH + b"hello", b"hello"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (CHUNKED + b"0\r\nx: y\r\n\r\n", b""),
        (OK + b"content-length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No\r\n\r\n", b""),
    ],
)
@pytest.mark.parametrize(
    "extra",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", b"x", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"],
)
def test_what_follows_a_response_spoils_the_connection_only(response: bytes, body: bytes, extra: bytes) -> None:
    """The response is whole; the next request goes elsewhere, and would not be answered by the rest."""
    outcome = read(response + extra)
    assert (outcome.status in {200, 204}, outcome.body, outcome.is_complete) == (True, body, True)
    assert outcome.kind is None
    assert not outcome.keeps_alive


def test_bytes_between_two_requests_are_no_answer() -> None:
    """A response that came before it was asked for is refused by the request that finds it."""
    reader = ResponseReader()
    reader.feed(LENGTH + b"hello")
    assert not reader.keeps_alive
    reader.begin()
    assert reader.failure == (ErrorKind.PROTOCOL, "bytes that nobody asked for")
    reader.feed(LENGTH + b"hello")
    assert reader.status == 0


def test_an_end_between_two_requests_is_a_reset() -> None:
    """A request on a connection that is closed already fails without a byte of an answer."""
    reader = ResponseReader()
    reader.end()
    reader.end(ConnectionResetError())
    reader.begin()
    assert reader.failure == (ErrorKind.RESET, "closed without an answer")
    assert not reader.has_begun


def test_interim_responses_are_set_aside() -> None:
    """100 lets the body go, 103 carries links, others are skipped; the final response is the answer."""
    reader = ResponseReader()
    reader.begin()
    reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert reader.may_continue
    assert reader.status == 0
    reader.feed(b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 Early\r\nLink: </a.css>\r\n\r\n" + LENGTH + b"hello")
    assert reader.interim == [(100, []), (102, []), (103, [(b"Link", b"</a.css>")])]
    assert (reader.status, reader.headers, reader.take()) == (200, [(b"content-length", b"5")], b"hello")
    assert reader.keeps_alive


def test_interim_responses_are_counted() -> None:
    """So many are read, and not one more."""
    interim = b"HTTP/1.1 102 P\r\n\r\n"
    assert read(interim * MAX_INTERIM + LENGTH + b"hello").is_complete
    assert read(interim * (MAX_INTERIM + 1)).kind is ErrorKind.PROTOCOL


def test_a_switch_that_was_asked_for_is_an_answer() -> None:
    """What follows its head belongs to the new protocol."""
    head = b"HTTP/1.1 101 Switch\r\nupgrade: chat\r\nconnection: upgrade\r\n\r\n"
    outcome = read(head + b"hello", may_upgrade=True)
    assert (outcome.status, outcome.leftover, outcome.is_complete) == (101, b"hello", True)
    assert not outcome.keeps_alive
    refused = read(b"HTTP/1.1 200 OK\r\nupgrade: chat\r\ncontent-length: 5\r\n\r\nhello", may_upgrade=True)
    assert (refused.status, refused.body) == (200, b"hello")


def feed_in_kilobytes(wire: bytes) -> ResponseReader:
    reader = ResponseReader()
    reader.begin()
    for at in range(0, len(wire), 1024):
        reader.feed(wire[at : at + 1024])
    return reader


@pytest.mark.parametrize(
    "flood",
    [
        OK + b"x: " + b"y" * 70_000,
        OK + b"x: y\r\n" * 20_000,
        CHUNKED + b"5;" + b"a" * (FRAMING_ALLOWANCE + 2000),
        CHUNKED + b"0" * (FRAMING_ALLOWANCE + 2000),
        CHUNKED + (b"1;" + b"a" * (CHUNK_ALLOWANCE * 2) + b"\r\nx\r\n") * 1000,
        CHUNKED + b"0\r\n" + b"x: y\r\n" * 300,
        CHUNKED + b"0\r\nx: " + b"y" * (FRAMING_ALLOWANCE + 2000),
    ],
)
def test_what_has_no_end_is_given_up(flood: bytes) -> None:
    """Heads, chunk extensions, leading zeros and trailers are bounded."""
    failure = feed_in_kilobytes(flood).failure
    assert failure is not None
    assert failure[0] is ErrorKind.PROTOCOL


def test_tiny_chunks_are_no_flood() -> None:
    """A body that was written byte by byte has mostly framing, and is legal."""
    reader = feed_in_kilobytes(CHUNKED + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    assert reader.is_complete
    assert reader.take() == b"x" * 20_000


def test_much_is_given_out_in_measure() -> None:
    """No piece is larger than what may hold up a loop, small ones are joined, and not a byte is lost."""
    body = bytes(range(256)) * 1024
    reader = ResponseReader()
    reader.begin()
    reader.feed(OK + b"content-length: %d\r\n\r\n" % len(body))
    for start, end in ((0, 10), (10, 20), (20, 150_000), (150_000, len(body))):
        reader.feed(body[start:end])
    pieces = []
    while reader.buffered:
        pieces.append(reader.take())
        assert reader.buffered == len(body) - len(b"".join(pieces))
    assert b"".join(pieces) == body
    assert [len(piece) for piece in pieces] == [MAX_PIECE] * 4
    assert reader.take() == b""


def test_a_dripping_head_stays_cheap() -> None:
    """The search for the end of a head goes on where it stopped, wherever the end is cut."""
    head = OK + b"x: y\r\n" * 200 + b"content-length: 0\r\n\r\n"
    for cut in range(len(head) - 5, len(head)):
        reader = ResponseReader()
        reader.begin()
        reader.feed(head[:cut])
        assert reader.status == 0
        reader.feed(head[cut:])
        assert reader.is_complete


def test_the_first_failure_stays() -> None:
    """Whoever gives up later does not hide the reason."""
    reader = ResponseReader()
    reader.begin()
    reader.fail(ErrorKind.IDLE_TIMEOUT, "silent")
    reader.fail(ErrorKind.RESET, "later")
    assert reader.failure == (ErrorKind.IDLE_TIMEOUT, "silent")


TOKENS = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 204 N\r\n",
     b"content-length: 3\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"x: y \r\n", b"x:\r\n",
     b"\r\n", b"\r", b"\n", b"3\r\n", b"abc", b"abc\r\n", b"0\r\n", b"0\r\n\r\n", b";e=1\r\n", b" ", b"\x00", b":"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(TOKENS, max_size=12).map(b"".join), st.lists(st.integers(0, 150), max_size=6), st.booleans(), st.booleans()
)
def test_how_bytes_are_cut_makes_no_difference(
    wire: bytes, cuts: list[int], head_only: bool, starts_well: bool
) -> None:
    """Any bytes, cut anywhere, come out the same, and nothing but a failure comes of nonsense."""
    wire = (CHUNKED if starts_well else b"") + wire
    whole, parts = ResponseReader(), ResponseReader()
    whole.begin(head_only=head_only)
    parts.begin(head_only=head_only)
    borders = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in pairwise(borders) if start < end]
    assert outcome_of(parts, *pieces) == outcome_of(whole, *([wire] if wire else []))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 60))
def test_chunks_are_lossless(pieces: list[bytes], step: int) -> None:
    """The body is what was put into chunks, however they are cut."""
    wire = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    reader = ResponseReader()
    reader.begin()
    outcome = outcome_of(reader, *[wire[at : at + step] for at in range(0, len(wire), step)])
    assert outcome.body == b"".join(pieces)
    assert outcome.keeps_alive


def test_pieces_are_bytes_however_much_came_at_once() -> None:
    """What is more than a piece is given out in several, cut where that is due."""
    reader = ResponseReader()
    reader.begin()
    body = bytes(range(256)) * (3 * MAX_PIECE // 256) + b"tail"
    reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
    for part in (body[:MAX_PIECE], body[MAX_PIECE : MAX_PIECE + 9], body[MAX_PIECE + 9 :]):
        reader.feed(part)
    pieces = []
    while reader.buffered:
        pieces.append(reader.take())
    assert [type(piece) for piece in pieces] == [bytes] * 4
    assert [len(piece) for piece in pieces] == [MAX_PIECE] * 3 + [4]
    assert b"".join(pieces) == body
