"""A blocking client for a Redis server, for tests that look at it or do it harm: one command, one connection."""

import contextlib
import socket
from typing import BinaryIO

__all__ = ["Answer", "RedisError", "ask", "encode"]

Answer = bytes | int | list["Answer"] | None
"""What a server says: a string, a number, a list, or nothing."""


class RedisError(Exception):
    """The server refused the command; its own words."""


def ask(port: int, *command: str | bytes | int, password: str = "", seconds: float = 5.0) -> Answer:
    """Send one command to a server on loopback and return its answer.

    Raises:
        OSError: nobody listens, or nothing came in time.
        RedisError: the server refused.
    """
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), seconds))
        stream = stack.enter_context(connection.makefile("rb"))
        if password:
            connection.sendall(encode("AUTH", password))
            _read(stream)
        connection.sendall(encode(*command))
        return _read(stream)


def encode(*command: str | bytes | int) -> bytes:
    """A command as it is sent (RESP2: an array of bulk strings)."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _read(stream: BinaryIO) -> Answer:
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the server closed the connection")
    kind, rest = line[:1], line[1:-2]
    match kind:
        case b"+":
            return rest
        case b"-":
            raise RedisError(rest.decode(errors="replace"))
        case b":":
            return int(rest)
        case b"$":
            return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
        case b"*":
            return None if rest == b"-1" else [_read(stream) for _ in range(int(rest))]
    raise AssertionError(f"not an answer of Redis: {line!r}")
