"""The answer to C3 and C4 between our own nodes: one JSON object a line, sent as soon as its fragment is rendered.

The media type is `application/x-ndjson`. An object is an entry of the plain array and two properties that say why
there is no HTML: `{"id", "renderedHTML", "cause", "detail"}`. Objects without an `id` are left out, so that a later
version may send other things in between.
"""

import json
from collections.abc import Iterator

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.errors import UpstreamError
from hydra_asgi.wire.fragment_answers import MAX_DETAIL, answer_from, checked_answer
from hydra_asgi.wire.strict_json import dump_json

__all__ = ["LINES_TYPE", "MAX_LINE", "MAX_LINES", "AnswerLines", "answer_line"]

LINES_TYPE = b"application/x-ndjson"

MAX_LINE = 2_097_152
"""Bytes of one line: what a reader holds of an answer that is not complete."""

MAX_LINES = 10_000
"""Lines of one body, fifty for each question that may be put: megabytes of empty ones would keep the loop busy."""


def answer_line(answer: FragmentAnswer) -> bytes:
    """Write one answer with its line feed; one that does not fit into a line is refused as TOO_LARGE."""
    line = _line(checked_answer(answer))
    if len(line) <= MAX_LINE:
        return line
    detail = f"{len(line)} bytes of JSON, at most {MAX_LINE} go into one line"
    return _line(FragmentAnswer(answer.id, None, FragmentCause.TOO_LARGE, detail))


class AnswerLines:
    """Reads answers from pieces of a body, cut anywhere.

    After an error the rest of the body is worthless, the answers that were read before it stand.
    """

    __slots__ = ("_buffer", "_left", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._left = MAX_LINES

    def feed(self, data: bytes) -> Iterator[FragmentAnswer]:
        """Take a piece; gives the answers that became complete.

        Raises:
            UpstreamError: while iterating: PROTOCOL for a line that is no JSON object, TOO_LARGE for one without an
                end within `MAX_LINE` bytes, or for too many of them.
        """
        self._buffer += data
        return self._complete()

    def close(self) -> Iterator[FragmentAnswer]:
        """The body has ended as it should; its last line may lack the line feed."""
        return self.feed(b"\n") if self._buffer else iter(())

    def _complete(self) -> Iterator[FragmentAnswer]:
        start = 0
        try:
            # Only what was not searched before is searched, so that a drip of single bytes stays linear.
            while (end := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
                line = bytes(self._buffer[start:end])
                start = end + 1
                if len(line) >= MAX_LINE:
                    break
                self._left -= 1
                if self._left < 0:
                    raise UpstreamError(ErrorKind.TOO_LARGE, f"more than {MAX_LINES} lines")
                if (answer := _read_line(line)) is not None:
                    yield answer
        finally:
            del self._buffer[:start]
            self._searched = len(self._buffer)
        if end >= 0 or self._searched >= MAX_LINE:
            raise UpstreamError(ErrorKind.TOO_LARGE, f"a line is longer than {MAX_LINE} bytes")


def _read_line(line: bytes) -> FragmentAnswer | None:
    if not line.strip():
        return None
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise UpstreamError(ErrorKind.PROTOCOL, f"a line is not JSON: {str(error)[:100]}") from None
    if not isinstance(value, dict):
        raise UpstreamError(ErrorKind.PROTOCOL, f"a line is a JSON {type(value).__name__}, not an object")
    return answer_from(value)


def _line(answer: FragmentAnswer) -> bytes:
    value = {
        "id": answer.id,
        "renderedHTML": answer.html,
        "cause": None if answer.cause is None else answer.cause.value,
        "detail": answer.detail[:MAX_DETAIL].encode("utf-8", "replace").decode(),
    }
    return dump_json(value) + b"\n"
