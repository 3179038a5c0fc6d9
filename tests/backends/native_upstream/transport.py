"""A transport without a socket: what was written can be looked at, and the test says when the peer takes it."""

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["PretendTransport"]


class PretendTransport(asyncio.Transport):
    """Attributes tell what was done to it.

    Attributes:
        writes: every call of `write` or `writelines`; of the latter, all lines together.
        lines: those of the last call of `writelines`.
        unsent: bytes that the peer has not taken.
        is_aborted: it was closed at once.
        reads: the peer's bytes are wanted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.lines: list[Any] = []
        self.unsent = 0
        self.is_aborted = False
        self.reads = True

    @property
    def wire(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.lines = [*list_of_data]
        self.writes.append(b"".join(self.lines))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def is_closing(self) -> bool:
        return self.is_aborted
