"""From the head and the body of a response to answers."""

import gzip
import json
import tracemalloc

import pytest

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.errors import UpstreamError
from hydra_asgi.wire.answer_body import AnswerBody, open_answer
from hydra_asgi.wire.answer_lines import answer_line
from hydra_asgi.wire.fragment_answers import MAX_HTML, answers_json
from hydra_asgi.wire.peer_failure import PeerFailedError

JSON = (b"Content-Type", b"application/json;charset=UTF-8")
GZIP = (b"content-encoding", b"gzip")
LINES = (b"content-type", b"application/x-ndjson")
ANSWERS = [FragmentAnswer("a", "<p>é</p>"), FragmentAnswer("b", "")]


def read(body: AnswerBody, data: bytes, size: int = 7) -> list[FragmentAnswer]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [*(answer for piece in pieces for answer in body.feed(piece)), *body.close()]


@pytest.mark.parametrize("coding", [None, b"identity", b"gzip", b"X-GZIP"])
@pytest.mark.parametrize("lines", [True, False])
def test_both_dialects_and_codings(coding: bytes | None, lines: bool) -> None:
    """Lines and arrays are read by the type the response has, compressed or not, cut anywhere."""
    data = b"".join(map(answer_line, ANSWERS)) if lines else answers_json(ANSWERS)
    headers = [LINES if lines else JSON]
    if coding is not None:
        headers.append((b"Content-Encoding", coding))
        data = gzip.compress(data) if b"GZIP" in coding.upper() else data
    assert read(open_answer(200, headers, ["a", "b"]), data) == ANSWERS


def test_lines_come_before_the_end() -> None:
    """An answer that is a line is there before the body ends."""
    body = open_answer(200, [LINES], ["a", "b"])
    assert list(body.feed(answer_line(ANSWERS[0]))) == ANSWERS[:1]
    assert list(body.close()) == []


@pytest.mark.parametrize(
    ("status", "headers", "cause", "detail"),
    [
        (302, [(b"Location", b"http://169.254.169.254/")], FragmentCause.REDIRECT, "169.254"),
        (304, [], FragmentCause.REDIRECT, "304"),
        (403, [(b"content-type", b"text/html")], FragmentCause.STATUS, "status 403"),
        (500, [JSON], FragmentCause.STATUS, "status 500"),
        (204, [], FragmentCause.STATUS, "status 204"),
        (200, [], FragmentCause.CONTENT_TYPE, "''"),
        (200, [(b"content-type", b"text/html")], FragmentCause.CONTENT_TYPE, "text/html"),
        (200, [JSON, (b"content-encoding", b"br")], FragmentCause.BROKEN, "'br'"),
    ],
)
def test_other_heads_are_refused(
    status: int, headers: list[tuple[bytes, bytes]], cause: FragmentCause, detail: str
) -> None:
    """A head after which no answers can come gives a cause and says what came."""
    with pytest.raises(PeerFailedError, match=detail) as caught:
        open_answer(status, headers, ["a"])
    assert caught.value.cause is cause
    assert not caught.value.untouched
    assert caught.value.status == (status if cause is FragmentCause.STATUS else 0)


def test_a_gzip_bomb_is_noticed_early() -> None:
    """200 MB of zeros in a small body are refused at the cap, not after they were unpacked."""
    body = open_answer(200, [JSON, GZIP], ["a"])
    bomb = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(UpstreamError) as caught:
            list(body.feed(bomb))
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_HTML
    finally:
        tracemalloc.stop()
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_corrupt_gzip_is_a_broken_answer() -> None:
    """Bytes that are no gzip raise PROTOCOL."""
    body = open_answer(200, [JSON, GZIP], ["a"])
    with pytest.raises(UpstreamError) as caught:
        list(body.feed(b"no gzip at all"))
    assert caught.value.kind is ErrorKind.PROTOCOL


def test_a_cut_gzip_body_is_truncated() -> None:
    """A compressed body that ends early raises TRUNCATED."""
    body = open_answer(200, [JSON, GZIP], ["a"])
    list(body.feed(gzip.compress(answers_json(ANSWERS))[:-4]))
    with pytest.raises(UpstreamError) as caught:
        body.close()
    assert caught.value.kind is ErrorKind.TRUNCATED


def test_an_array_may_hold_a_large_fragment() -> None:
    """300 KB from a Medusa, and the largest fragment we keep, are taken."""
    for size in (300_000, MAX_HTML):
        data = json.dumps([{"id": "a", "renderedHTML": "x" * size}]).encode()
        (answer,) = read(open_answer(200, [JSON], ["a"]), data, 65_536)
        assert answer.html is not None
        assert len(answer.html) == size


@pytest.mark.parametrize("ids", [1, 200])
def test_an_endless_array_is_refused(ids: int) -> None:
    """An array is kept whole, so it is bounded however many fragments were asked for."""
    body = open_answer(200, [JSON], list(map(str, range(ids))))
    for _ in range(1 if ids == 1 else 4):
        assert list(body.feed(bytes(MAX_HTML))) == []
    with pytest.raises(UpstreamError) as caught:
        list(body.feed(bytes(MAX_HTML)))
    assert caught.value.kind is ErrorKind.TOO_LARGE
