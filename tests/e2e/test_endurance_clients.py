"""Many clients that leave without a word, and many that stay without one."""

import asyncio
import contextlib
import resource
import socket
import struct
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.client import get
from tests.e2e.endurance import Gateway, opened, service, sized, tell
from tests.e2e.processes import all_of, wait_until

pytestmark = pytest.mark.e2e

KIB = 1024
AT_A_TIME = 100
GONE = struct.pack("ii", 1, 0)
"""SO_LINGER with zero seconds: the peer sees a reset."""


def test_clients_that_leave(tmp_path: Path) -> None:
    """Clients that break off streams leave no task, socket or place behind, and the service is told within 500 ms."""
    rounds = sized(3, 10)
    behind, url = service(tmp_path)
    gateway = Gateway(tmp_path, ("files", url))
    slowest = 0.0
    with all_of(behind, gateway):
        gateway.wait_for("files")
        before = gateway.gauge
        for _ in range(rounds):
            with contextlib.ExitStack() as clients:
                for _ in range(AT_A_TIME):
                    client = clients.enter_context(socket.create_connection(("127.0.0.1", gateway.serves), 30))
                    client.sendall(b"GET /files/stream HTTP/1.1\r\nHost: site.test\r\n\r\n")
                    assert client.recv(12) == b"HTTP/1.1 200"
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, GONE)
                wait_until(lambda: opened(behind.port).streams == AT_A_TIME, "all streams are open")
                during = gateway.gauge
                assert during.places["files"] == AT_A_TIME
                assert during.connections[2] == AT_A_TIME
            left = time.monotonic()
            wait_until(lambda: opened(behind.port).streams == 0, lambda: f"the service knows\n{gateway.output}")
            slowest = max(slowest, opened(behind.port).ended - left)
        tell(f"{rounds * AT_A_TIME} clients; the last of {AT_A_TIME} was known at most {slowest:.3f} s after it left")
        assert slowest <= sized(2.0, 0.5)  # the bar is for a machine that has nothing else to do
        gateway.calm(before)
        assert get(gateway.serves, "/files/page").status == 200


def test_clients_that_leave_while_they_upload(tmp_path: Path) -> None:
    """Nor do clients that break off in the middle of what they send, or before they are answered."""
    count = sized(100, 1000)
    behind, url = service(tmp_path)
    gateway = Gateway(tmp_path, ("files", url))
    with all_of(behind, gateway):
        gateway.wait_for("files")
        before = gateway.gauge
        for number in range(count):
            with socket.create_connection(("127.0.0.1", gateway.serves), 30) as client:
                client.sendall(b"POST /files/sink HTTP/1.1\r\nHost: site.test\r\nContent-Length: 90000\r\n\r\n")
                client.sendall(bytes(1000 * (number % 80)))
                if number % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, GONE)
        gateway.calm(before)
        assert get(gateway.serves, "/files/page").status == 200


def test_idle_websockets(tmp_path: Path) -> None:
    """Thousands of WebSockets stay open in silence, and every one of them still works after that."""
    count = sized(300, 5000)
    files = 2 * count + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= files, f"{files} files may not be opened here, only {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))  # child processes get it too
    behind, url = service(tmp_path, "--ws", "websockets-sansio", "--ws-ping-interval", "1000")
    gateway = Gateway(tmp_path, ("files", url))
    try:
        with all_of(behind, gateway):
            gateway.wait_for("files")
            before = gateway.gauge
            asyncio.run(hold(gateway, count))
            now = gateway.gauge
            tell(f"{count} WebSockets; {(now.peak - before.memory) / count / KIB:.0f} KiB each")
            assert get(gateway.serves, "/files/page").status == 200
            gateway.calm(before)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def hold(gateway: Gateway, count: int) -> None:
    """Open so many, be silent for a while, and have each of them answer twice."""
    url = f"ws://127.0.0.1:{gateway.serves}/files/ws"
    sockets: list[ClientConnection] = []
    gate = asyncio.Semaphore(20)  # a handshake is given a second or two, also on a slow machine

    async def begin() -> None:
        async with gate:
            connection = await connect(url, compression=None, ping_interval=None, proxy=None, open_timeout=60)
        sockets.append(connection)

    async def ask(connection: ClientConnection, said: str) -> None:
        async with gate, asyncio.timeout(60):
            await connection.send(said)
            assert await connection.recv() == said

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(begin())
        for number in range(2):
            await asyncio.gather(*(ask(connection, f"{number}") for connection in sockets))
            assert len(sockets) == count
            await asyncio.sleep(sized(0.5, 10.0))
    finally:
        await asyncio.gather(*(connection.close() for connection in sockets))
