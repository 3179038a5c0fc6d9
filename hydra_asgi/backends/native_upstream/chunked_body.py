"""Reads chunked bodies. Sans-IO; `httptools` splits the chunks, and what it forgives, or could forgive in another
version, is checked here: against a budget for what is not body, and by how a body ends.
"""

from typing import Final

import httptools

from hydra_asgi.backends.native_upstream.response_head import MAX_FIELDS, without_trailing_space
from hydra_asgi.ports import Headers

__all__ = ["CHUNK_ALLOWANCE", "FRAMING_ALLOWANCE", "ChunkedBody"]

CHUNK_ALLOWANCE: Final = 32
"""Bytes that a chunk may take for its size and line ends: sixteen digits are 64 bits."""

FRAMING_ALLOWANCE: Final = 16_384
"""Bytes of chunk extensions and trailers in one response, all together."""

_HEAD: Final = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
"""Heads are read elsewhere; the parser is told this one, always the same."""

_NOT_IN_TRAILERS: Final = frozenset(
    {
        b"authorization", b"connection", b"content-encoding", b"content-length", b"content-range", b"content-type",
        b"host", b"set-cookie", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Fields for framing, routing, authentication and how to read the body are dropped (RFC 9110 section 6.5.1)."""


class _Extra(Exception):  # noqa: N818 -- a signal that stops the parser, not an error
    """Something begins behind the body."""


class ChunkedBody:
    """One body after another: `begin`, then `feed` until it is complete.

    Attributes:
        trailers: the fields behind the last chunk, once the body is complete.
        is_complete: the body is whole.
        is_clean: and nothing came behind it, so that the next one may follow.
    """

    __slots__ = ("_chunks", "_fields", "_is_over", "_overhead", "_parser", "_pieces", "_tail", "is_clean",
                 "is_complete", "trailers")  # fmt: skip

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._is_over = True

    def begin(self) -> None:
        """Expect a body. Only where there was none before, or one that is clean."""
        self.trailers: Headers = []
        self.is_complete = self.is_clean = self._is_over = False
        self._pieces: list[bytes] = []
        self._fields: Headers = []
        self._parser.feed_data(_HEAD)
        self._fields.clear()
        self._chunks = self._overhead = 0
        self._tail = b""

    def feed(self, data: bytes) -> tuple[list[bytes], str | None]:
        """The pieces of the body in these bytes; and what is wrong with them, in words."""
        problem = self._parse(data)
        pieces, self._pieces = self._pieces, []
        self._overhead += len(data) - sum(map(len, pieces))
        self._tail = (self._tail + data[-5:])[-5:]
        if self._overhead > FRAMING_ALLOWANCE + CHUNK_ALLOWANCE * self._chunks or len(self._fields) > MAX_FIELDS:
            return pieces, "chunk extensions or trailers without measure"
        if not self._is_over:
            return pieces, problem
        self.is_complete = True
        # The parser skips line ends between messages, so a problem does not tell of them.
        self.is_clean = problem is None and self._tail.endswith(b"\r\n\r\n") and self._tail[0] not in b"\r\n"
        if self._fields:
            fields = [pair for pair in self._fields if pair[0].lower() not in _NOT_IN_TRAILERS]
            self.trailers = without_trailing_space(fields)
        return pieces, None

    def _parse(self, data: bytes) -> str | None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return str(error) or type(error).__name__
        return None

    # The parser calls what follows.

    def on_message_begin(self) -> None:
        if self._is_over:
            raise _Extra

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_message_complete(self) -> None:
        self._is_over = True
