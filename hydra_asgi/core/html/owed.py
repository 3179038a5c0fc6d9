"""Pieces of a page that were told before they were walked through, so many and no more."""

from typing import Final

__all__ = ["MAX_OWED", "Owed"]

MAX_OWED: Final = 65_536
"""How many bytes may be owed: more than most pages have, little to keep for each."""

_MAX_PIECES: Final = 256
"""A page that comes in tiny pieces would need much more memory than it has bytes."""


class Owed:
    """The pieces in order.

    Attributes:
        size: their bytes.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    @property
    def is_due(self) -> bool:
        """Whether enough is owed."""
        return self.size > MAX_OWED or len(self._pieces) > _MAX_PIECES

    def add(self, piece: bytes) -> None:
        """Owe a piece more."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece)

    def take(self) -> bytes:
        """All of it; nothing is owed any more."""
        owed = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return owed
