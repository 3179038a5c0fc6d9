"""The place of one fragment in a page, from its start tag to what stands there in the end."""

from collections.abc import Callable

from hydra_asgi.core.events import Fallback
from hydra_asgi.core.fragment import FragmentCause
from hydra_asgi.core.html.fragment_tag import FragmentTag

__all__ = ["Fallback", "FragmentSlot", "Piece"]


class FragmentSlot:
    """Waits for two things: its outcome (HTML or a failure) and its end tag. Then it has pieces.

    Args:
        tag: what the start tag says, with the service as it is to be asked.
        start: the start tag's bytes.
        depth: how many fallbacks deep it stands, plus the depth of the page itself.
        seen: when its start tag was complete, on the loop's clock.
        last: when the time of the page around it is over, on the same clock.
        settle: called once, when both are there.
    """

    __slots__ = (
        "_closed",
        "_settle",
        "body",
        "cause",
        "depth",
        "detail",
        "html",
        "last",
        "pieces",
        "seen",
        "start",
        "tag",
    )

    def __init__(
        self,
        tag: FragmentTag,
        start: bytes,
        *,
        depth: int,
        seen: float,
        last: float,
        settle: Callable[["FragmentSlot"], None],
    ) -> None:
        self.tag = tag
        self.start = start
        self.depth = depth
        self.seen = seen
        self.last = last
        self.body = b""
        self.html: bytes | None = None
        self.cause: FragmentCause | None = None
        self.detail = ""
        self.pieces: list[Piece] | None = None
        self._closed = False
        self._settle = settle

    @property
    def is_open(self) -> bool:
        """Nothing is known yet about what will stand here."""
        return self.html is None and self.cause is None and self.pieces is None

    @property
    def closed(self) -> bool:
        """The end tag is there, so `body` is the whole fallback."""
        return self._closed

    @property
    def deadline(self) -> float:
        """Until when its fragment may come; the tag's own timeout only ever shortens it."""
        return self.last if self.tag.timeout is None else min(self.last, self.seen + self.tag.timeout)

    def answer(self, html: bytes) -> None:
        """The fragment was rendered."""
        if self.is_open:
            self.html = html
            self._settle_if_complete()

    def fail(self, cause: FragmentCause, detail: str = "") -> None:
        """The fragment was not rendered; only the first outcome counts."""
        if self.is_open:
            self.cause, self.detail = cause, detail
            self._settle_if_complete()

    def close(self, body: bytes) -> None:
        """The end tag came."""
        self.body = body
        self._closed = True
        self._settle_if_complete()

    def abandon(self, raw: bytes) -> None:
        """No end tag will come: start tag and what followed are text of the page."""
        self.pieces = [self.start, raw]

    def _settle_if_complete(self) -> None:
        if self._closed and not self.is_open:
            self._settle(self)


Piece = bytes | FragmentSlot
"""A part of a page in document order: bytes as they are, or a place that is still to be filled."""
