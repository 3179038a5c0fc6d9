"""An `Upstream` with prepared responses, for tests of whatever asks other instances."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from inspect import isawaitable
from types import TracebackType
from typing import Self

from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers, UpstreamRequest

__all__ = ["FakeResponse", "FakeUpstream"]

Piece = bytes | UpstreamError | Awaitable[object]
"""A piece of a body: bytes, an error that cuts it off, or something to wait for before it goes on."""


class FakeResponse:
    """A prepared response.

    Args:
        status: the HTTP status.
        body: the pieces in their order.
        content_type: left out when empty.
        headers: further fields.
        trailers: fields behind the body.

    Attributes:
        whole: None: the body streams, as from every upstream that does not say otherwise.
        is_checked: False: whoever passes it on looks at the head.
        is_open: it was handed out and is not closed yet.
    """

    def __init__(
        self,
        status: int = 200,
        body: bytes | Sequence[Piece] = b"",
        *,
        content_type: bytes = b"application/json",
        headers: Sequence[tuple[bytes, bytes]] = (),
        trailers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self.status = status
        self.whole: bytes | None = None
        self.trailers: Headers = [*trailers]
        self.is_checked = False
        self.headers: Headers = [(b"content-type", content_type)] if content_type else []
        self.headers += headers
        self.is_open = False
        self._pieces: Sequence[Piece] = [body] if isinstance(body, bytes) else body

    async def body(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, UpstreamError):
                raise piece
            if isinstance(piece, bytes):
                yield piece
            else:
                await piece

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_open = False


Answer = FakeResponse | UpstreamError | Callable[[UpstreamRequest], FakeResponse | Awaitable[FakeResponse]]
"""What comes of a request: a response, an error, or a function that decides by the request."""


class FakeUpstream:
    """Answers requests from a list, in order; the last entry answers all that follow.

    Attributes:
        requests: what was sent.
        responses: what was handed out.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[UpstreamRequest] = []
        self.responses: list[FakeResponse] = []

    @property
    def open_responses(self) -> int:
        """How many responses were handed out and not closed."""
        return sum(response.is_open for response in self.responses)

    async def send(self, request: UpstreamRequest) -> FakeResponse:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, UpstreamError):
            raise answer
        if not isinstance(answer, FakeResponse):
            decided = answer(request)
            answer = await decided if isawaitable(decided) else decided
        answer.is_open = True
        self.responses.append(answer)
        return answer

    async def close(self) -> None:
        """Nothing to close."""
