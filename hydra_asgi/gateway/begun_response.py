"""A response whose body has begun to arrive before anything of it is passed on."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from hydra_asgi.core.error_kind import ErrorKind
from hydra_asgi.errors import UpstreamError
from hydra_asgi.ports import Headers, UpstreamResponse

__all__ = ["BegunResponse"]


class BegunResponse:
    """Implements `ports.UpstreamResponse` over one whose first piece was read already.

    A server that is killed may leave the head of a response without its body. As long as the client has seen nothing of
    it, a request that may be repeated is better off with another instance.
    """

    __slots__ = ("_first", "_pieces", "_response", "headers", "is_checked", "status")

    whole = None

    def __init__(self, response: UpstreamResponse, first: bytes, pieces: AsyncIterator[bytes]) -> None:
        self.status = response.status
        self.headers = response.headers
        self.is_checked = response.is_checked
        self._response = response
        self._first = first
        self._pieces = pieces

    @classmethod
    async def wait(cls, response: UpstreamResponse) -> Self:
        """Wait for the first piece of a response.

        Raises:
            UpstreamError: RESET when the connection ended instead, as if it had ended before the head.
        """
        pieces = response.body()
        try:
            first = await anext(pieces, b"")
        except UpstreamError as error:
            if error.kind is not ErrorKind.TRUNCATED:
                raise
            raise UpstreamError(ErrorKind.RESET, error.detail) from None
        return cls(response, first, pieces)

    @property
    def trailers(self) -> Headers:
        """Fields behind the body, once that was read."""
        return self._response.trailers

    def body(self) -> AsyncIterator[bytes]:
        """All pieces, the first included."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, b""
        return first or await anext(self._pieces)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._response.__aexit__(kind, error, trace)
