"""How a node asks others for fragments, be they instances or gateways: by which key, how it signs, what it lends."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hydra_asgi.core.fragment import FragmentCause, PageContext
from hydra_asgi.core.fragments.fragment_lending import allowed_names, lent_by_page
from hydra_asgi.core.headers.header_fields import Fields
from hydra_asgi.wire.peer_failure import PeerFailedError

__all__ = ["AskingTerms"]


def _not_signed(method: str, path: str, body: bytes) -> Fields:
    return []


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingTerms:
    """What asking instances and asking gateways have in common.

    Attributes:
        key: the path key of the site; read at each question, because it may become known later.
        sign: (method, path, body) -> header pairs that prove who asks.
        forward: allow-lists: a service's name, or `*` for every service, -> header names or `cookie:NAME`.
        clock: seconds, the clock of `PageContext.deadline`.
    """

    key: Callable[[], str]
    sign: Callable[[str, str, bytes], Fields] = _not_signed
    forward: Mapping[str, Sequence[str]] = field(default_factory=dict)
    clock: Callable[[], float] = _loop_time

    def left(self, page: PageContext) -> float:
        """Seconds until the page's deadline.

        Raises:
            PeerFailedError: TIMEOUT; there are none.
        """
        left = page.deadline - self.clock()
        if left <= 0:
            raise PeerFailedError(FragmentCause.TIMEOUT, "not asked, the budget was used up")
        return left

    def lent(self, page: PageContext, service: str) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields of a page that a service may see."""
        return lent_by_page(page, allowed_names(self.forward, service))
