"""A TCP proxy that does harm on request, with the toxics that Toxiproxy names, changeable while connections are open.

with FaultProxy(redis.port) as proxy:
    store = RedisStore(f"redis://127.0.0.1:{proxy.port}")
    proxy.poison(latency=0.2)
    proxy.poison(answers=Toxics(black_hole=True))    # a half-open link: only one direction is dead
    proxy.heal()
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

from tests.e2e.processes import free_port
from tests.faults.loop_thread import LoopThread

__all__ = ["FaultProxy", "Toxics"]

PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Toxics:
    """What happens to the bytes of one direction.

    Attributes:
        latency: seconds by which each piece arrives later; pieces do not wait for each other.
        bandwidth: bytes a second; None for no limit.
        slow_close: seconds by which the end of the stream arrives later.
        black_hole: nothing arrives, no end of the stream either, until this is taken back: as when packets are lost.
        slices: pieces of at most so many bytes, one write each; None leaves them as they are.
        slice_pause: seconds between two slices.
        limit: after so many bytes of a connection it is closed; None for no limit.
    """

    latency: float = 0.0
    bandwidth: float | None = None
    slow_close: float = 0.0
    black_hole: bool = False
    slices: int | None = None
    slice_pause: float = 0.0
    limit: int | None = None


@dataclass
class _Link:
    """One connection through the proxy: both sockets, the tasks that carry bytes, and whether it is to be harmed."""

    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    is_chosen: bool = True


class FaultProxy:
    """Stands before a server on loopback.

    Args:
        target: the server's port.
        host: the server's address.
        only: what a client must have said on a connection to be harmed (`b"SUBSCRIBE"`); None harms everybody.

    Attributes:
        port: where the proxy listens.
        accepted: connections so far.
    """

    def __init__(self, target: int, *, host: str = "127.0.0.1", only: bytes | None = None) -> None:
        self.port = free_port()
        self.accepted = 0
        self._target = (host, target)
        self._only = only
        self._requests = self._answers = Toxics()
        self._is_changed = asyncio.Event()
        self._thread = LoopThread()
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], _Link] = {}

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def poison(
        self, both: Toxics | None = None, *, requests: Toxics | None = None, answers: Toxics | None = None
    ) -> None:
        """Change what happens to bytes, on connections that are open as well.

        Args:
            both: for both directions.
            requests: from the client to the server.
            answers: from the server to the client.
        """
        self._thread.do(self._poison(requests or both or Toxics(), answers or both or Toxics()))

    def heal(self) -> None:
        """No more harm; what was held back arrives."""
        self.poison(Toxics())

    def reset(self) -> None:
        """Reset every open connection, on both sides."""
        self._thread.do(self._reset())

    def go_down(self) -> None:
        """Refuse connections and reset those that are open."""
        self._thread.do(self._close())

    def come_up(self) -> None:
        """Listen again, after `go_down`."""
        self._thread.do(self._listen())

    def __enter__(self) -> Self:
        self._thread.__enter__()
        self.come_up()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._thread.do(self._close())
        finally:
            self._thread.__exit__(*exception)

    async def _poison(self, requests: Toxics, answers: Toxics) -> None:
        self._requests, self._answers = requests, answers
        self._is_changed.set()
        self._is_changed = asyncio.Event()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=PIECE)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        serving = list(self._links)
        for link in self._links.values():
            for writer in link.writers:
                _abort(writer)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        link = self._links[task] = _Link([writer], is_chosen=self._only is None)
        try:
            await self._carry_both(reader, writer, link)
        except OSError:
            for one in link.writers:
                _abort(one)
        except asyncio.CancelledError:
            pass  # by `reset`; the server that called us must not hear of it
        finally:
            for one in link.tasks:
                one.cancel()
            await asyncio.gather(*link.tasks, return_exceptions=True)
            for one in link.writers:
                one.transport.abort()
            self._links.pop(task, None)

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> None:
        to_reader, to_writer = await asyncio.open_connection(*self._target, limit=PIECE)
        link.writers.append(to_writer)
        link.tasks += [
            asyncio.create_task(self._carry(reader, to_writer, link, is_request=True)),
            asyncio.create_task(self._carry(to_reader, writer, link, is_request=False)),
        ]
        done, _ = await asyncio.wait(link.tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        for one in link.writers:
            await _flush(one)

    def _toxics(self, link: _Link, *, is_request: bool) -> Toxics:
        if not link.is_chosen:
            return Toxics()
        return self._requests if is_request else self._answers

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, is_request: bool
    ) -> None:
        """One direction. Pieces are read ahead and stamped, so that latency does not add up."""
        pieces: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(64)
        reading = asyncio.create_task(_read(reader, pieces))
        carried = 0
        try:
            while True:
                arrived, piece = await pieces.get()
                if piece is None:
                    raise ConnectionResetError
                if not piece:
                    await self._end(writer, link, arrived, is_request=is_request)
                    return
                if is_request and self._only is not None and self._only in piece.upper():
                    link.is_chosen = True
                carried = await self._pass(piece, arrived, carried, writer, link, is_request=is_request)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _pass(
        self,
        piece: bytes,
        arrived: float,
        carried: int,
        writer: asyncio.StreamWriter,
        link: _Link,
        *,
        is_request: bool,
    ) -> int:
        await self._until(link, arrived, is_request=is_request)
        while piece:
            toxics = self._toxics(link, is_request=is_request)
            part = piece[: _most(toxics, carried)]
            if toxics.bandwidth:
                await asyncio.sleep(len(part) / toxics.bandwidth)
            writer.write(part)
            await writer.drain()
            carried += len(part)
            piece = piece[len(part) :]
            if toxics.limit is not None and carried >= toxics.limit:
                await _flush(writer)
                raise ConnectionAbortedError("the limit is reached")
            if piece and toxics.slices and toxics.slice_pause:
                await asyncio.sleep(toxics.slice_pause)
        return carried

    async def _end(self, writer: asyncio.StreamWriter, link: _Link, arrived: float, *, is_request: bool) -> None:
        extra = self._toxics(link, is_request=is_request).slow_close
        await self._until(link, arrived + extra, is_request=is_request)
        if writer.can_write_eof():
            writer.write_eof()

    async def _until(self, link: _Link, arrived: float, *, is_request: bool) -> None:
        """Wait as long as the toxics want; they may change meanwhile."""
        loop = asyncio.get_running_loop()
        while True:
            toxics, changed = self._toxics(link, is_request=is_request), self._is_changed
            rest = None if toxics.black_hole else arrived + toxics.latency - loop.time()
            if rest is not None and rest <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await changed.wait()


def _most(toxics: Toxics, carried: int) -> int:
    """How many bytes may be written at once."""
    bounds = [toxics.slices or PIECE]
    if toxics.bandwidth:
        bounds.append(max(1, int(toxics.bandwidth / 20)))
    if toxics.limit is not None:
        bounds.append(max(0, toxics.limit - carried))
    return min(bounds)


async def _read(reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes | None]]) -> None:
    """Pieces with the time of their arrival; an empty one is the end of the stream, None a reset."""
    loop = asyncio.get_running_loop()
    piece: bytes | None = b"-"
    while piece:
        try:
            piece = await reader.read(PIECE)
        except OSError:
            piece = None
        await pieces.put((loop.time(), piece))


async def _flush(writer: asyncio.StreamWriter) -> None:
    """Close when everything is written, as far as the peer takes it within a second."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            writer.close()
            await writer.wait_closed()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
