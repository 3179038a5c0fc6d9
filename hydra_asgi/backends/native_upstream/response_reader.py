"""Reads the responses of one connection. Sans-IO: what comes out is a function of the bytes that go in.

`httptools` splits heads and chunks. What it forgives, or could forgive in another version, is checked here: heads
against the grammar in `response_head`, chunks against a budget for what is not body. A response is answered by what it
says, never by what follows it: bytes behind a response spoil the connection, not the response.
"""

from typing import Final

import httptools

from hydra_asgi.backends.native_upstream.response_head import (
    BODILESS,
    CHUNKED,
    MAX_FIELDS,
    UNTIL_CLOSE,
    framing_of,
    head_problem,
    unfinished_problem,
)
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.ports import Headers

__all__ = ["MAX_PIECE", "ResponseReader"]

MAX_INTERIM: Final = 16
"""Interim responses before the final one. Real servers send one or two."""

MAX_PIECE: Final = 65_536
"""Bytes of a body given out at once: whoever works on a piece holds up the loop for as long."""

CHUNK_ALLOWANCE: Final = 32
"""Bytes that a chunk may take for its size and line ends: sixteen digits are 64 bits."""

FRAMING_ALLOWANCE: Final = 16_384
"""Bytes of chunk extensions and trailers in one response, all together."""

_NOT_IN_TRAILERS: Final = frozenset(
    {
        b"authorization", b"connection", b"content-encoding", b"content-length", b"content-range", b"content-type",
        b"host", b"set-cookie", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Fields for framing, routing, authentication and how to read the body are dropped (RFC 9110 section 6.5.1)."""


class _Extra(Exception):  # noqa: N818 -- a signal that stops the parser, not an error
    """A second response begins where only one was asked for."""


class ResponseReader:
    """The reading half of a connection: `begin`, then `feed` and `end`, then look at the attributes.

    Attributes:
        status: of the final response; 0 until its head is whole.
        headers: of the final response, names spelled as they came.
        trailers: fields after a chunked body, there when the response is complete.
        interim: heads of 1xx responses that nobody has taken yet, as (status, headers).
        may_continue: a 100 has come.
        buffered: how many bytes of the body wait to be taken.
        is_complete: the response is whole. Before the first `begin` nothing is owed, which is the same.
        keeps_alive: another request may follow once the response is whole.
        has_begun: at least one byte came since `begin`.
        failure: what went wrong, for good: a kind and words for the log.
        leftover: what came behind a 101, in the new protocol.
    """

    __slots__ = (
        "_chunks", "_fields", "_framing", "_has_fields", "_held", "_interim_count", "_is_over", "_left", "_overhead",
        "_parser", "_pieces", "_spoiled", "_tail", "_wants_head_only", "_wants_upgrade", "buffered", "failure",
        "has_begun", "headers", "interim", "is_complete", "keeps_alive", "leftover", "may_continue", "status",
        "trailers",
    )  # fmt: skip

    def __init__(self) -> None:
        self.failure: tuple[ErrorKind, str] | None = None
        self.keeps_alive = True
        self._spoiled: tuple[ErrorKind, str] | None = None
        self.buffered = 0
        self.headers: Headers = []
        self.leftover = b""
        self._fields: Headers = []
        self._held = bytearray()
        self._pieces: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self.begin()
        self.is_complete = True

    def begin(self, *, head_only: bool = False, may_upgrade: bool = False) -> None:
        """Expect the response to one request.

        Args:
            head_only: the request is a HEAD: the response has no body, whatever its fields say.
            may_upgrade: a 101 is a legal answer.
        """
        self.failure = self._spoiled
        self.status = 0
        self.trailers: Headers = []
        self.interim: list[tuple[int, Headers]] = []
        self.may_continue = self.has_begun = self.is_complete = False
        self._wants_head_only = head_only
        self._wants_upgrade = may_upgrade
        self._interim_count = self._chunks = self._overhead = 0
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Take what came from the connection."""
        self.has_begun = True
        if self.failure is not None:
            return
        if self.is_complete:
            self.keeps_alive = False
            self._spoiled = (ErrorKind.PROTOCOL, "bytes that nobody asked for")
        elif self.status:
            self._feed_body(data)
        else:
            self._feed_head(data)

    def end(self, error: BaseException | None = None) -> None:
        """The connection ended.

        Args:
            error: how it broke; None when the instance closed it in order.
        """
        self.keeps_alive = False
        if self._spoiled is None:
            self._spoiled = (ErrorKind.RESET, "closed without an answer")
        if self.is_complete or self.failure is not None:
            return
        if error is not None:
            self.fail(ErrorKind.RESET, f"the connection broke: {str(error)[:200] or type(error).__name__}")
        elif not self.status:
            self.fail(ErrorKind.RESET, "closed inside a head" if self.has_begun else "closed without an answer")
        elif self._framing == UNTIL_CLOSE:
            self.is_complete = True
        else:
            self.fail(ErrorKind.TRUNCATED, "closed inside the body")

    def fail(self, kind: ErrorKind, words: str) -> None:
        """Give the response up; the first reason stays."""
        self.keeps_alive = False
        if self.failure is None:
            self.failure = (kind, words)

    def take(self) -> bytes:
        """What is there of the body, at most `MAX_PIECE` bytes of it; empty when there is nothing."""
        pieces = self._pieces
        if self.buffered > MAX_PIECE:
            pieces, self._pieces = _cut(pieces, MAX_PIECE)
            self.buffered -= MAX_PIECE
        else:
            self._pieces = []
            self.buffered = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _feed_head(self, data: bytes) -> None:
        held = self._held
        searched = max(len(held) - 3, 0)
        if held:
            held += data
        end = (held or data).find(b"\r\n\r\n", searched) + 4
        if end < 4:
            if not held:
                held += data
            self._refuse(unfinished_problem(held))
            return
        if held:
            data = bytes(held)
            held.clear()
        head, rest = (data, b"") if len(data) == end else (data[:end], data[end:])
        self._refuse(head_problem(head) or self._read_head(head, rest))

    def _refuse(self, problem: str | None) -> None:
        if problem is not None:
            self.fail(ErrorKind.PROTOCOL, problem)

    def _read_head(self, head: bytes, rest: bytes) -> str | None:
        self._has_fields = self._is_over = False
        problem = self._parse(head)
        if not self._has_fields:
            return problem or "a head without an end"
        if b" \r\n" in head or b"\t\r\n" in head:
            self.headers = _without_trailing_space(self.headers)
        status = int(head[9:12])
        if status < 200:
            return self._read_interim(status, rest)
        self._framing = self._left = framing_of(self.headers)
        if self._framing < UNTIL_CLOSE or (self._framing == CHUNKED and head[7:8] == b"0"):
            return "no single, certain end of the body"
        self.status = status
        if self._is_over or self._wants_head_only or status in BODILESS:
            self._complete_without_body(rest)
        elif rest:
            self._feed_body(rest)
        return None

    def _complete_without_body(self, rest: bytes) -> None:
        self.is_complete = True
        if not self._is_over:  # the parser does not know that this answers a HEAD, and waits for a body
            self._parser = httptools.HttpResponseParser(self)
        if rest:
            self.keeps_alive = False

    def _read_interim(self, status: int, rest: bytes) -> str | None:
        self._interim_count += 1
        if self._interim_count > MAX_INTERIM:
            return f"more than {MAX_INTERIM} interim responses"
        if status == 101:
            return self._switch(rest)
        self.interim.append((status, self.headers))
        self.may_continue = self.may_continue or status == 100
        if rest:
            self._feed_head(rest)
        return None

    def _switch(self, rest: bytes) -> str | None:
        if not self._wants_upgrade:
            return "a switch of protocols that nobody asked for"
        self.status = 101
        self.leftover = rest
        self.is_complete = True
        self.keeps_alive = False
        return None

    def _feed_body(self, data: bytes) -> None:
        if self._framing == CHUNKED:
            return self._feed_chunks(data)
        if self._framing >= 0:
            if len(data) > self._left:
                self.keeps_alive = False
                data = data[: self._left]
            self._left -= len(data)
        self._refuse(self._parse(data))
        self.is_complete = self._is_over
        return None

    def _feed_chunks(self, data: bytes) -> None:
        before = self.buffered
        problem = self._parse(data)
        self._overhead += len(data) - (self.buffered - before)
        self._tail = (self._tail + data[-5:])[-5:]
        if self._overhead > FRAMING_ALLOWANCE + CHUNK_ALLOWANCE * self._chunks or len(self._fields) > MAX_FIELDS:
            self.fail(ErrorKind.PROTOCOL, "chunk extensions or trailers without measure")
        elif self._is_over:
            self.is_complete = True
            trailers = [pair for pair in self._fields if pair[0].lower() not in _NOT_IN_TRAILERS]
            self.trailers = _without_trailing_space(trailers)
            # The parser skips line ends between messages, so a problem does not tell of them.
            if problem is not None or not self._tail.endswith(b"\r\n\r\n") or self._tail[0] in b"\r\n":
                self.keeps_alive = False
        else:
            self._refuse(problem)

    def _parse(self, data: bytes) -> str | None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return str(error) or type(error).__name__
        return None

    # The parser calls what follows.

    def on_message_begin(self) -> None:
        if self.status:
            raise _Extra
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._has_fields = True
        self.keeps_alive = self._parser.should_keep_alive()
        self.headers = self._fields
        self._fields = []

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.buffered += len(piece)

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_message_complete(self) -> None:
        self._is_over = True


def _cut(pieces: list[bytes], size: int) -> tuple[list[bytes], list[bytes]]:
    """The first `size` bytes of pieces that hold more, and the rest."""
    taken = 0
    while size >= len(pieces[taken]):
        size -= len(pieces[taken])
        taken += 1
    return [*pieces[:taken], pieces[taken][:size]], [pieces[taken][size:], *pieces[taken + 1 :]]


def _without_trailing_space(fields: Headers) -> Headers:
    """The parser strips values in front only (RFC 9112 section 5.1)."""
    return [(name, value.rstrip(b" \t")) for name, value in fields]
