"""Undoes a gzip coding piece by piece, never making more than a bounded piece at once (RFC 1952)."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError

__all__ = ["GzipPieces"]

_PIECE: Final = 65536
"""What a kilobyte of gzip becomes may be a megabyte: it is handed out in steps that can be waited for."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class GzipPieces:
    """A decoder for one body; members may follow one another."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode what is there.

        Raises:
            UpstreamError: PROTOCOL, this is not gzip (any more); what was decoded before has been handed out.
        """
        piece = b""
        while data or len(piece) == _PIECE:  # a full piece: the decoder may hold more, though it took all input
            if self._decoder.eof:
                if not data:
                    break
                self._decoder = zlib.decompressobj(_GZIP)
            before = self._decoder.copy()
            try:
                piece = self._decoder.decompress(data, _PIECE)
            except zlib.error as error:
                yield from _salvaged(before, data)
                raise UpstreamError(ErrorKind.PROTOCOL, f"the page's gzip body is corrupt: {error}") from error
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
            if piece:
                yield piece

    def close(self) -> None:
        """The body has ended.

        Raises:
            UpstreamError: TRUNCATED, more should have come.
        """
        if not self._decoder.eof:
            raise UpstreamError(ErrorKind.TRUNCATED, "the page's gzip body ends in the middle")


def _salvaged(decoder: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What comes before the corrupt byte: a failing call keeps its output to itself, so go on byte by byte."""
    pieces: list[bytes] = []
    with suppress(zlib.error):
        pieces.extend(decoder.decompress(data[at : at + 1]) for at in range(len(data)))
    yield b"".join(pieces)
