"""Reads the responses of one connection. Sans-IO: what comes out is a function of the bytes that go in.

A response is answered by what it says, never by what follows it: bytes behind a response spoil the connection, not the
response.
"""

from typing import Final

from hydra_asgi.backends.native_upstream.chunked_body import ChunkedBody
from hydra_asgi.backends.native_upstream.response_head import (
    BODILESS,
    CHUNKED,
    MAX_KNOWN_BYTES,
    UNTIL_CLOSE,
    known_head,
    read_head,
    unfinished_problem,
)
from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.ports import Headers

__all__ = ["MAX_INTERIM", "MAX_PIECE", "ResponseReader"]

MAX_INTERIM: Final = 16
"""Interim responses before the final one. Real servers send one or two."""

MAX_PIECE: Final = 65_536
"""Bytes of a body given out at once: whoever works on a piece holds up the loop for as long."""


_Pieces = list[bytes | memoryview]


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
        "_chunked", "_framing", "_held", "_interim_count", "_left", "_pieces", "_spoiled", "_wants_head_only",
        "_wants_upgrade", "buffered", "failure", "has_begun", "headers", "interim", "is_complete", "keeps_alive",
        "leftover", "may_continue", "status", "trailers",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.trailers: Headers = []
        self.interim: list[tuple[int, Headers]] = []
        self.may_continue = self.has_begun = False
        self.is_complete = self.keeps_alive = True
        self.buffered = 0
        self.failure: tuple[ErrorKind, str] | None = None
        self.leftover = b""
        self._spoiled: tuple[ErrorKind, str] | None = None
        self._held = bytearray()
        self._pieces: _Pieces = []
        self._chunked: ChunkedBody | None = None
        self._framing = self._left = self._interim_count = 0
        self._wants_head_only = self._wants_upgrade = False

    def begin(self, *, head_only: bool = False, may_upgrade: bool = False) -> None:
        """Expect the response to one request.

        Args:
            head_only: the request is a HEAD: the response has no body, whatever its fields say.
            may_upgrade: a 101 is a legal answer.
        """
        self.failure = self._spoiled
        self.status = 0
        self.has_begun = self.is_complete = False
        self._wants_head_only = head_only
        self._wants_upgrade = may_upgrade
        if self._interim_count:
            self.interim = []
            self.may_continue = False
            self._interim_count = 0
        if self.trailers:
            self.trailers = []

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
        elif self._held:
            self._feed_held(data)
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
        if len(pieces) != 1:
            return b"".join(pieces)
        piece = pieces[0]
        return piece if isinstance(piece, bytes) else bytes(piece)

    def _feed_head(self, data: bytes) -> None:
        """Read a head from its first byte, and what comes behind it."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._hold(data)
            return
        head = known_head(data[:end]) if end <= MAX_KNOWN_BYTES else read_head(data[:end])
        rest = data[end:]
        if isinstance(head, str):
            self.fail(ErrorKind.PROTOCOL, head)
            return
        status, headers, framing, keeps_alive = head
        if status < 200:
            self._read_interim(status, [*headers], rest)
            return
        self.status = status
        self.headers = [*headers]
        self.keeps_alive = keeps_alive
        if not framing or self._wants_head_only or status in BODILESS:
            self.is_complete = True
            self.keeps_alive = keeps_alive and not rest
            return
        size = len(rest)
        if size == framing:  # nearly all that are small
            self._pieces.append(rest)
            self.buffered += size
            self.is_complete = True
            return
        self._framing = self._left = framing
        if framing == CHUNKED:
            self._chunked = self._chunked or ChunkedBody()
            self._chunked.begin()
        if rest:
            self._feed_body(rest)

    def _feed_held(self, data: bytes) -> None:
        """Go on with a head that came in parts; the search for its end goes on where it stopped."""
        held = self._held
        searched = max(len(held) - 3, 0)
        held += data
        if held.find(b"\r\n\r\n", searched) < 0:
            self._hold(b"")
            return
        data = bytes(held)
        held.clear()
        self._feed_head(data)

    def _hold(self, data: bytes) -> None:
        self._held += data
        problem = unfinished_problem(self._held)
        if problem is not None:
            self.fail(ErrorKind.PROTOCOL, problem)

    def _read_interim(self, status: int, headers: Headers, rest: bytes) -> None:
        self._interim_count += 1
        if self._interim_count > MAX_INTERIM:
            self.fail(ErrorKind.PROTOCOL, f"more than {MAX_INTERIM} interim responses")
        elif status == 101:
            self._switch(headers, rest)
        else:
            self.interim.append((status, headers))
            self.may_continue = self.may_continue or status == 100
            if rest:
                self._feed_head(rest)

    def _switch(self, headers: Headers, rest: bytes) -> None:
        if not self._wants_upgrade:
            self.fail(ErrorKind.PROTOCOL, "a switch of protocols that nobody asked for")
            return
        self.status = 101
        self.headers = headers
        self.leftover = rest
        self.is_complete = True
        self.keeps_alive = False

    def _feed_body(self, data: bytes) -> None:
        if self._framing == CHUNKED:
            self._feed_chunks(data)
            return
        size = len(data)
        if self._framing >= 0:
            if size > self._left:
                self.keeps_alive = False
                data = data[: self._left]
                size = self._left
            self._left -= size
            self.is_complete = not self._left
        self._pieces.append(data)
        self.buffered += size

    def _feed_chunks(self, data: bytes) -> None:
        body = self._chunked
        assert body is not None  # noqa: S101 -- made with the head
        pieces, problem = body.feed(data)
        self._pieces += pieces
        self.buffered += sum(map(len, pieces))
        if problem is not None:
            self.fail(ErrorKind.PROTOCOL, problem)
        elif body.is_complete:
            self.is_complete = True
            self.trailers = body.trailers
            if not body.is_clean:
                self.keeps_alive = False


def _cut(pieces: _Pieces, size: int) -> tuple[_Pieces, _Pieces]:
    """The first `size` bytes of pieces that hold more, and the rest, of which nothing is copied."""
    taken = 0
    while size >= len(pieces[taken]):
        size -= len(pieces[taken])
        taken += 1
    view = memoryview(pieces[taken])
    head: _Pieces = [view[:size]] if size else []
    return pieces[:taken] + head, [view[size:], *pieces[taken + 1 :]]
