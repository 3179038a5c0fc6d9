"""The grammar of heads, and where a body ends."""

import pytest

from hydra_asgi.backends.native_upstream.response_head import (
    CHUNKED,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    UNCERTAIN,
    UNTIL_CLOSE,
    framing_of,
    head_problem,
    unfinished_problem,
)


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
    assert head_problem(head) is None


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
    assert head_problem(head) is not None


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
def test_a_body_has_one_end_or_none_that_is_certain(headers: list[tuple[bytes, bytes]], framing: int) -> None:
    """Two lengths, a length and a coding, or a coding that we do not speak name no end."""
    assert framing_of(headers) == framing
