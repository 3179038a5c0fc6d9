"""Lets uvicorn send the head of an answer together with its body.

uvicorn writes the head to its transport with one message and the body with the next: two system calls and two packets,
the first of which wakes the client for nothing. ASGI has no message for both at once. So for the moment between the two
the transport that uvicorn writes to is one of ours, which keeps the head until the body follows. uvicorn checks, counts
and logs as ever. Where `send` was wrapped by something else, or belongs to another server, nothing is done.
"""

from typing import Any, Final

__all__ = ["OneWrite"]

_SERVER: Final = "uvicorn.protocols.http."

MAX_JOINED: Final = 16_384
"""Bytes of a body that are copied behind the head; more are handed over beside it."""

_is_known: dict[type, bool] = {}


class OneWrite:
    """Stands in for the transport of one answer, from before its head until behind its body.

    Args:
        cycle: uvicorn's request and response, whose `transport` is replaced.
    """

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head = b""
        cycle.transport = self

    @classmethod
    def of(cls, send: object) -> "OneWrite | None":
        """Begin for an answer that goes out by `send`; None where nothing can be done. `end` has to follow."""
        cycle = getattr(send, "__self__", None)
        kind = type(cycle)
        known = _is_known.get(kind)
        if known is None:
            known = _is_known[kind] = kind.__module__.startswith(_SERVER) and hasattr(cycle, "transport")
        return cls(cycle) if known else None

    def write(self, data: bytes) -> None:
        """Keep the first that is written, and send it with the second."""
        if not self._head:
            self._head = data
            return
        transport, head = self._transport, self._head
        self._head = b""
        self._cycle.transport = transport
        if len(data) <= MAX_JOINED:
            transport.write(head + data)
        else:
            transport.writelines((head, data))

    def end(self) -> None:
        """Send what was kept, if nothing followed, and stand in no longer."""
        cycle = self._cycle
        if cycle.transport is not self:
            return
        cycle.transport = self._transport
        if self._head and not self._transport.is_closing():
            self._transport.write(self._head)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real transport's, behind what was kept."""
        self.end()
        return getattr(self._transport, name)
