"""A large transfer and the memory it takes: `python -m tests.backends.native_upstream.transfer down|up PORT BYTES`."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from hydra_asgi.backends.native_upstream import NativeUpstream
from hydra_asgi.core.instance import Address
from hydra_asgi.ports import UpstreamRequest

__all__ = ["Giant"]

PIECE = b"x" * 65_536


class Giant(asyncio.Protocol):
    """A server: `GET /BYTES` sends so many, and `PUT` says how many came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.room = asyncio.Event()
        self.room.set()
        self.head = b""
        self.left = 0
        self.received = 0

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def data_received(self, data: bytes) -> None:
        if not self.left:
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.head = b""
            if head.startswith(b"GET"):
                self.sending = asyncio.get_running_loop().create_task(self.send(int(head.split(b" ")[1][1:])))
                return
            self.received = 0
            self.left = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        self.left -= len(data)
        self.received += len(data)
        if not self.left:
            told = b"%d" % self.received
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))

    async def send(self, size: int) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(PIECE)):
            await self.room.wait()
            self.transport.write(PIECE)


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield PIECE


async def moved(upstream: NativeUpstream, direction: str, address: Address, size: int) -> int:
    """Move so many bytes; how many arrived."""
    headers = [(b"host", b"site.test")]
    if direction == "up":
        request = UpstreamRequest(address, "PUT", b"/", headers, pieces(size), size)
        async with await upstream.send(request) as response:
            return int(b"".join([piece async for piece in response.body()]))
    arrived = 0
    async with await upstream.send(UpstreamRequest(address, "GET", b"/%d" % size, headers)) as response:
        async for piece in response.body():
            arrived += len(piece)
            if not arrived % (1 << 24):
                await asyncio.sleep(0.005)  # a reader that is slower than the instance
    return arrived


def memory(field: str) -> int:
    """Bytes that this process has now (`VmRSS`) or had at most (`VmHWM`; `getrusage` would count the parent's too)."""
    return int(Path("/proc/self/status").read_text(encoding="ascii").partition(field + ":")[2].split()[0]) * 1024


async def main(direction: str, port: int, size: int) -> None:
    upstream = NativeUpstream()
    address = Address("http", "127.0.0.1", port)
    await moved(upstream, direction, address, 1 << 22)
    before = memory("VmRSS")
    arrived = await moved(upstream, direction, address, size)
    sys.stdout.write(json.dumps({"bytes": arrived, "growth": memory("VmHWM") - before}))
    await upstream.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
