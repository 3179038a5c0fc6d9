"""Interim responses (RFC 9110 section 15.2) are told to whoever asked for them, in their order, when they arrive."""

import asyncio
from types import TracebackType
from typing import Self

from hydra_asgi.backends.native_upstream.response_reader import ResponseReader
from hydra_asgi.ports import UpstreamRequest

__all__ = ["InterimTeller", "tell_interim"]


async def tell_interim(reader: ResponseReader, request: UpstreamRequest) -> None:
    """Tell those that have come, and those that come meanwhile."""
    while told := reader.interim:
        reader.interim = []
        if request.on_interim is not None:
            for status, headers in told:
                await request.on_interim(status, headers)


class InterimTeller:
    """Tells in a task of its own, while the one that sends the request waits for the next piece of its body. A context,
    which ends when everything was told; an error ends it at once.

    Args:
        reader: gets them.
        request: says whom to tell.
    """

    __slots__ = ("_reader", "_request", "_telling")

    def __init__(self, reader: ResponseReader, request: UpstreamRequest) -> None:
        self._reader = reader
        self._request = request
        self._telling: asyncio.Task[None] | None = None

    def hear(self) -> None:
        """Look whether something has come. Once telling has failed, nothing more is told."""
        telling = self._telling
        is_free = telling is None or (telling.done() and telling.exception() is None)
        if is_free and self._reader.interim:
            self._telling = asyncio.get_running_loop().create_task(tell_interim(self._reader, self._request))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        telling = self._telling
        if telling is None:
            return
        if error is not None:
            telling.cancel()
        await asyncio.wait((telling,))
        failure = None if telling.cancelled() else telling.exception()
        if failure is not None and error is None:
            raise failure
