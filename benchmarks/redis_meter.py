"""What a Redis has done so far, as it counts that itself."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["Meter", "Reading", "Spent", "parse_info"]

OURS = ("evalsha", "eval", "set", "subscribe", "ping")
"""What nodes send. Commands inside a script are counted by Redis, too, under their own names, and are none of these."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What something has cost the server.

    Attributes:
        commands: that clients have sent.
        received: bytes from them.
        sent: bytes to them.
        cpu: seconds on a core, user and system.
    """

    commands: float
    received: float
    sent: float
    cpu: float

    def per(self, count: float) -> "Spent":
        """The same for one of `count`, things or seconds."""
        return Spent(self.commands / count, self.received / count, self.sent / count, self.cpu / count)

    def times(self, count: float) -> "Spent":
        """The same for `count` of it."""
        return self.per(1 / count) if count else Spent(0, 0, 0, 0)

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.commands + other.commands,
            self.received + other.received,
            self.sent + other.sent,
            self.cpu + other.cpu,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the counters.

    Attributes:
        total: since the server began.
        memory: bytes that it uses.
        size: bytes of this very answer, which the next look will find among those sent.
    """

    total: Spent
    memory: int
    size: int

    def since(self, before: "Reading") -> Spent:
        """What was spent between two looks, without the looks."""
        now, then = self.total, before.total
        return Spent(
            now.commands - then.commands,
            now.received - then.received,
            now.sent - then.sent - before.size,
            now.cpu - then.cpu,
        )


def parse_info(text: str) -> dict[str, str]:
    """The fields of an answer to `INFO`."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


class Meter:
    """Looks at a server on a connection of its own.

    Args:
        port: of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5.0)
        self._file = self._socket.makefile("rb")

    def read(self) -> Reading:
        """Look now."""
        return reading(*self._ask("stats cpu memory commandstats"))

    def version(self) -> str:
        """Of the server."""
        return self._ask("server")[0].get("redis_version", "unknown")

    def _ask(self, sections: str) -> tuple[dict[str, str], int]:
        self._socket.sendall(f"INFO {sections}\r\n".encode())
        head = self._file.readline()
        body = self._file.read(int(head[1:]) + 2)
        return parse_info(body.decode()), len(head) + len(body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._socket.close()


def reading(fields: Mapping[str, str], size: int) -> Reading:
    """The figures that count among the fields of an answer of `size` bytes."""
    calls = [fields.get(f"cmdstat_{name}", "calls=0,").partition(",")[0].removeprefix("calls=") for name in OURS]
    return Reading(
        Spent(
            commands=sum(map(int, calls)),
            received=int(fields["total_net_input_bytes"]),
            sent=int(fields["total_net_output_bytes"]),
            cpu=float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"]),
        ),
        memory=int(fields["used_memory"]),
        size=size,
    )
