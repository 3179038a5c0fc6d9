"""A small HTTP client that hides nothing: what is odd on the wire is an error, and nothing is repeated."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

__all__ = ["Answer", "HttpClient", "HttpError"]

IDLE = 2.0
"""A connection that was idle for longer is not used again: uvicorn closes after five seconds, and what we measure is
not the race between the two."""


class HttpError(Exception):
    """What came back is not what should have come back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; `head` has the last of several fields of one name, by lower-case name."""

    status: int
    head: dict[str, str]
    body: bytes


class HttpClient:
    """Kept-alive connections to one server, as many as there are requests at a time.

    Args:
        host: the server's address.
        port: the server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: bytes = b"", fields: str = "") -> Answer:
        """The answer to one request; `fields` are more header lines, each with its line end.

        Raises:
            OSError: the connection failed.
            HttpError: the answer is none, or is cut.
        """
        reader, writer = await self._connection()
        is_whole = False
        try:
            length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: site.test\r\n{length}{fields}\r\n".encode() + body)
            status, head = await _head(reader)
            answer = await _body(reader, head)
            is_whole = True
        except asyncio.IncompleteReadError as error:
            raise HttpError(f"the answer from {self.port} broke off after {error.partial[:100]!r}") from None
        finally:
            if is_whole and head.get("connection") != "close":
                self._idle.append((time.monotonic(), reader, writer))
            else:
                writer.transport.abort()
        return Answer(status, head, answer)

    async def events(self, path: str, silence: float) -> AsyncIterator[bytes]:
        """Server-sent events, on a connection of their own.

        Raises:
            OSError: the connection failed.
            HttpError: the answer is no stream of events, is cut, or nothing came for `silence` seconds.
        """
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            async with asyncio.timeout(silence):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: site.test\r\n\r\n".encode())
                status, head = await _head(reader)
            if status != 200 or head.get("transfer-encoding") != "chunked":
                raise HttpError(f"{status} from {self.port} in the place of events")
            pending = b""
            while True:
                async with asyncio.timeout(silence):
                    chunk = await _chunk(reader)
                if not chunk:
                    return
                *whole, pending = (pending + chunk).split(b"\n\n")
                for event in whole:
                    yield event + b"\n\n"
        except TimeoutError:
            raise HttpError(f"no event from {self.port} within {silence:g} s") from None
        except asyncio.IncompleteReadError:
            raise HttpError(f"the stream from {self.port} broke off") from None
        finally:
            writer.transport.abort()

    def close(self) -> None:
        """Close what is idle."""
        for _, _, writer in self._idle:
            writer.transport.abort()
        self._idle.clear()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < IDLE and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.transport.abort()
        return await asyncio.open_connection(self.host, self.port)


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if words[0] != "HTTP/1.1" or not words[1].isdigit():
        raise HttpError(f"{lines[0][:200]!r} is not the start of an answer")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(words[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _body(reader: asyncio.StreamReader, head: dict[str, str]) -> bytes:
    if "content-length" in head:
        return await reader.readexactly(int(head["content-length"]))
    if head.get("transfer-encoding") != "chunked":
        raise HttpError("an answer without a length")
    body = b""
    while chunk := await _chunk(reader):
        body += chunk
    return body


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
    chunk = await reader.readexactly(size + 2)
    if not chunk.endswith(b"\r\n"):
        raise HttpError("a chunk with the wrong end")
    return chunk[:-2]
