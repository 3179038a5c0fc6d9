"""Reads the answers of one peer as they arrive, until the deadline; says why when they stop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from hydra_asgi.core.fragment import FragmentAnswer, FragmentCause
from hydra_asgi.core.fragments.fragment_tally import AnswerTally
from hydra_asgi.errors import UpstreamError
from hydra_asgi.wire.answer_body import open_answer
from hydra_asgi.wire.iterators import closed
from hydra_asgi.wire.peer_failure import PeerFailedError

__all__ = ["read_answers"]


class Response(Protocol):
    """As much of an upstream response as is read here."""

    status: int
    headers: list[tuple[bytes, bytes]]

    def body(self) -> AsyncIterator[bytes]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


async def read_answers(
    send: Callable[[], Awaitable[Response]], ids: Sequence[str], deadline: float
) -> AsyncGenerator[FragmentAnswer, None]:
    """Send a question and give the answers, at most one for each id. Closing this closes the response.

    Args:
        send: sends the question and returns at the head of the response.
        ids: the ids that were asked for; answers to others are left out.
        deadline: on the clock of the running loop, in seconds.

    Raises:
        PeerFailedError: why no further answer comes. Ids may be left open without it.
    """
    tally = AnswerTally(ids)
    try:
        # Each wait has a timeout of its own: one around a `yield` would fire inside whoever reads this.
        async with asyncio.timeout_at(deadline):
            response = await send()
        async with response, closed(response.body()) as pieces:
            body = open_answer(response.status, response.headers, ids)
            while (piece := await _next(pieces, deadline)) is not None:
                for answer in body.feed(piece):
                    if (taken := tally.take(answer)) is not None:
                        yield taken
            for answer in body.close():
                if (taken := tally.take(answer)) is not None:
                    yield taken
    except TimeoutError:
        got = len(ids) - len(tally.open_ids)
        raise PeerFailedError(FragmentCause.TIMEOUT, f"{got} of {len(ids)} answers within the budget") from None
    except UpstreamError as error:
        raise PeerFailedError.of(error) from None


async def _next(pieces: AsyncIterator[bytes], deadline: float) -> bytes | None:
    async with asyncio.timeout_at(deadline):
        return await anext(pieces, None)
