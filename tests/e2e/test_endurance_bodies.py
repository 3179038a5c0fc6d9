"""Large bodies, slow readers and cut answers, through a gateway in a process of its own."""

import contextlib
import random
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.client import get
from tests.e2e.endurance import Gateway, Gauge, service, sized, tell
from tests.e2e.processes import all_of, wait_until

pytestmark = pytest.mark.e2e

MIB = 2**20


def read_all(client: socket.socket) -> tuple[bytes, int]:
    """The head of an answer, and how many bytes of body came until the end of the connection."""
    head, buffer = b"", bytearray(2**18)
    while b"\r\n\r\n" not in head:
        piece = client.recv(65536)
        assert piece, head
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    count = len(body)
    with contextlib.suppress(ConnectionResetError):
        while received := client.recv_into(buffer):
            count += received
    return head, count


def test_large_bodies(tmp_path: Path) -> None:
    """A body of 1 GiB passes in either direction, and the gateway never holds more than 32 MiB of it."""
    size = sized(128, 1024) * MIB
    behind, url = service(tmp_path)
    gateway = Gateway(tmp_path, ("files", url))
    with all_of(behind, gateway):
        gateway.wait_for("files")
        before = gateway.gauge
        with socket.create_connection(("127.0.0.1", gateway.serves), 60) as client:
            client.sendall(f"GET /files/big?{size} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n".encode())
            head, came = read_all(client)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert came == size
        down = gateway.gauge
        with socket.create_connection(("127.0.0.1", gateway.serves), 60) as client:
            fields = f"Host: site.test\r\nContent-Length: {size}\r\nConnection: close\r\n"
            client.sendall(f"POST /files/sink HTTP/1.1\r\n{fields}\r\n".encode())
            piece = bytes(MIB)
            for _ in range(size // MIB):
                client.sendall(piece)
            answer = client.recv(65536)
            while not answer.endswith(str(size).encode()):
                more = client.recv(65536)
                assert more, answer
                answer += more
        up = gateway.gauge
        tell(f"grew by {(down.peak - before.memory) / MIB:.1f} MiB down, {(up.peak - before.memory) / MIB:.1f} in all")
        assert up.peak - before.memory <= 32 * MIB


def test_readers_that_stall(tmp_path: Path) -> None:
    """A client that asks for 1 GiB and does not read costs the gateway at most 8 MiB."""
    count = sized(30, 100)
    behind, url = service(tmp_path)
    gateway = Gateway(tmp_path, ("files", url))
    with all_of(behind, gateway), contextlib.ExitStack() as open_sockets:
        gateway.wait_for("files")
        before = gateway.gauge
        for _ in range(count):
            client = open_sockets.enter_context(socket.create_connection(("127.0.0.1", gateway.serves), 30))
            client.sendall(b"GET /files/big?1073741824 HTTP/1.1\r\nHost: site.test\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        seen = [gateway.gauge]
        wait_until(lambda: seen.append(gateway.gauge) or is_flat(seen[-5:]), "its memory grows no more", 60)
        growth = (seen[-1].peak - before.memory) / count
        tell(f"{growth / MIB:.2f} MiB for each of {count} readers")
        assert growth <= 8 * MIB
        assert get(gateway.serves, "/files/page").status == 200
        open_sockets.close()
        gateway.calm(before)


def is_flat(seen: list[Gauge]) -> bool:
    memory = [one.memory for one in seen]
    return len(seen) == 5 and max(memory) - min(memory) < MIB


class CutShort:
    """A server whose every answer breaks off, in one of the ways in which answers do.

    Args:
        seed: of its choices.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "CutShort":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(ConnectionError):
                    connection.settimeout(5)
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            piece = connection.recv(65536)
            if not piece:
                return
            asked += piece
        if b"/page" in asked:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            return
        whole = self._random.randrange(2, 200_000)
        sent = self._random.randrange(1, whole)
        body = bytes(sent)
        if self._random.random() < 0.5:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % whole
        else:
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            body = self._random.choice([b"%x\r\n%b\r\n" % (sent, body), b"%x\r\n%b" % (whole, body)])
        connection.sendall(head + body)
        if self._random.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_answers_that_break_off(tmp_path: Path) -> None:
    """The client sees of every answer that broke off that it did: its own is cut too, or it is told 502."""
    count, cut, refused = sized(150, 1000), 0, 0
    with CutShort(seed=5) as behind:
        gateway = Gateway(tmp_path, ("files", f"http://127.0.0.1:{behind.port}"))
        with gateway:
            gateway.wait_for("files")
            before = gateway.gauge
            for _ in range(count):
                is_refused, is_whole = ask_once(gateway.serves)
                assert is_refused or not is_whole
                cut, refused = cut + (not is_refused), refused + is_refused
            gateway.calm(before)
    tell(f"of {count} answers {cut} were cut visibly and {refused} refused with 502")
    assert cut > count // 2


def ask_once(port: int) -> tuple[bool, bool]:
    """Whether a GET was refused with 502, and whether its answer seemed whole."""
    deadline = time.monotonic() + 20
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"GET /files/x HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while (piece := client.recv(2**18)) and time.monotonic() < deadline:
                said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    if head.startswith((b"HTTP/1.1 502", b"HTTP/1.1 503")):
        return True, True
    if not head:
        return False, False  # hung up on without a word
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"content-length" in lines:
        return False, len(body) == int(lines[b"content-length"])
    return False, body.endswith(b"\r\n0\r\n\r\n")
