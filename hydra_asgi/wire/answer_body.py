"""Turns the head and the body of a response to C3 or C4 into answers, in whichever dialect it comes; without I/O."""

from collections.abc import Iterable, Iterator, Sequence

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.core.fragments.gzip_pieces import GzipPieces
from hydra_asgi.errors import UpstreamError
from hydra_asgi.wire.answer_lines import LINES_TYPE, AnswerLines
from hydra_asgi.wire.fragment_answers import MAX_HTML, parse_answers
from hydra_asgi.wire.peer_failure import PeerFailedError

__all__ = ["AnswerBody", "open_answer"]

MAX_FULL = 4
"""How many fragments of the largest size one plain array may hold, so that a peer cannot fill our memory."""


class AnswerBody:
    """Reads answers from the pieces of a body.

    Args:
        ids: the ids that were asked for.
        lines: the body is NDJSON, whose answers come as they arrive; else one array, whose answers come at the end.
        gzip: it is compressed.
    """

    __slots__ = ("_array", "_gzip", "_ids", "_left", "_lines")

    def __init__(self, ids: Sequence[str], *, lines: bool, gzip: bool) -> None:
        count = len(ids) if lines else min(len(ids), MAX_FULL)
        # Half a fragment more than the largest ones, for what JSON puts around and between them.
        self._left = count * MAX_HTML + MAX_HTML // 2
        self._ids = ids
        self._gzip = GzipPieces() if gzip else None
        self._lines = AnswerLines() if lines else None
        self._array = bytearray()

    def feed(self, data: bytes) -> Iterator[FragmentAnswer]:
        """Take a piece; gives the answers that became complete.

        Raises:
            UpstreamError: while iterating: TOO_LARGE or PROTOCOL.
        """
        # Decoded bytes are counted, piece by piece, so that a gzip bomb is noticed before it has gone off.
        for piece in (data,) if self._gzip is None else self._gzip.feed(data):
            self._left -= len(piece)
            if self._left < 0:
                raise UpstreamError(ErrorKind.TOO_LARGE, "the answer is larger than anything we keep")
            if self._lines is None:
                self._array += piece
            else:
                yield from self._lines.feed(piece)

    def close(self) -> Iterable[FragmentAnswer]:
        """The body has ended; gives the answers that are left.

        Raises:
            UpstreamError: TRUNCATED, or while iterating as `feed`.
        """
        if self._gzip is not None:
            self._gzip.close()
        return parse_answers(bytes(self._array), self._ids) if self._lines is None else self._lines.close()


def open_answer(status: int, headers: Iterable[tuple[bytes, bytes]], ids: Sequence[str]) -> AnswerBody:
    """Choose how to read a response by its head.

    Args:
        status: of the response.
        headers: names in any case.
        ids: the ids that were asked for.

    Raises:
        PeerFailedError: another status than 200, another type than the two of ours, or an unknown coding.
    """
    fields = {name.lower(): value for name, value in headers}
    if 300 <= status < 400:
        where = fields.get(b"location", b"?")[:100].decode("latin-1")
        raise PeerFailedError(FragmentCause.REDIRECT, f"status {status} to {where!r}, redirects are not followed")
    if status != 200:
        raise PeerFailedError(FragmentCause.STATUS, f"status {status}", status=status)
    kind = fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in {LINES_TYPE, b"application/json"}:
        raise PeerFailedError(FragmentCause.CONTENT_TYPE, f"content type {kind[:100].decode('latin-1')!r}")
    coding = fields.get(b"content-encoding", b"identity").strip().lower()
    if coding not in {b"identity", b"", b"gzip", b"x-gzip"}:
        raise PeerFailedError(FragmentCause.BROKEN, f"content coding {coding[:40].decode('latin-1')!r}")
    return AnswerBody(ids, lines=kind == LINES_TYPE, gzip=coding in {b"gzip", b"x-gzip"})
