"""Why a peer did not answer questions about fragments."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from hydra_asgi.core.error_kind import OUTCOMES, ErrorKind
from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.errors import HydraError, UpstreamError

__all__ = ["CAUSES", "PeerFailedError"]

CAUSES: Mapping[ErrorKind, FragmentCause] = MappingProxyType(
    {
        ErrorKind.NO_INSTANCE: FragmentCause.UNAVAILABLE,
        ErrorKind.OVERLOADED: FragmentCause.UNAVAILABLE,
        ErrorKind.CONNECT_REFUSED: FragmentCause.REFUSED,
        ErrorKind.CONNECT_TIMEOUT: FragmentCause.TIMEOUT,
        ErrorKind.TLS: FragmentCause.REFUSED,
        ErrorKind.FIRST_BYTE_TIMEOUT: FragmentCause.TIMEOUT,
        ErrorKind.IDLE_TIMEOUT: FragmentCause.TIMEOUT,
        ErrorKind.RESET: FragmentCause.BROKEN,
        ErrorKind.TRUNCATED: FragmentCause.BROKEN,
        ErrorKind.PROTOCOL: FragmentCause.BROKEN,
        ErrorKind.TOO_LARGE: FragmentCause.TOO_LARGE,
        ErrorKind.LOOP: FragmentCause.FAILED,
        ErrorKind.CLIENT_GONE: FragmentCause.FAILED,
        ErrorKind.CLIENT_SLOW: FragmentCause.FAILED,
    }
)
"""What a failed request means for its fragments."""


class PeerFailedError(HydraError):
    """A peer's answer did not come, or broke off; what was read before stands. Never leaves the askers.

    Args:
        cause: what to say about the questions that are still open.
        detail: what happened, without the peer's address.
        untouched: the peer cannot have seen the question, so another one may be asked.
        status: the HTTP status when that is the cause, else 0.
    """

    def __init__(self, cause: FragmentCause, detail: str, *, untouched: bool = False, status: int = 0) -> None:
        super().__init__(f"{cause.value}: {detail}")
        self.cause = cause
        self.detail = detail
        self.untouched = untouched
        self.status = status

    @classmethod
    def of(cls, error: UpstreamError) -> Self:
        """The failure that a failed request is."""
        return cls(CAUSES[error.kind], str(error), untouched=OUTCOMES[error.kind].untouched)
