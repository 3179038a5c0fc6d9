"""The fault proxy: each toxic does what its name says, on connections that are open."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.processes import free_port, wait_until
from tests.faults.fault_proxy import FaultProxy, Toxics

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def echo_server() -> Iterator[int]:
    """Says everything back, on a thread for each connection; gives its port."""
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []
    server = socket.create_server(("127.0.0.1", free_port()))

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while piece := connection.recv(65_536):
                connection.sendall(piece)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join(10)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with echo_server() as port, FaultProxy(port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        assert said_back(connection, b"hello") == b"hello"
        yield connection


def said_back(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    got = b""
    while len(got) < len(words) and (piece := connection.recv(65_536)):
        got += piece
    return got


def seconds_for(connection: socket.socket, words: bytes) -> float:
    began = time.monotonic()
    assert said_back(connection, words) == words
    return time.monotonic() - began


def test_without_toxics_everything_passes(client: socket.socket, proxy: FaultProxy) -> None:
    """Bytes and the end of the stream arrive as they are."""
    big = bytes(range(256)) * 4_000
    sending = threading.Thread(target=client.sendall, args=(big,))
    sending.start()
    got = b""
    while len(got) < len(big):
        got += client.recv(65_536)
    sending.join(10)
    assert got == big
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    wait_until(lambda: proxy.open == 0, "the connection is over")
    assert proxy.accepted == 1


def test_latency(client: socket.socket, proxy: FaultProxy) -> None:
    """Each direction is late by so much, and what is healed is late no more."""
    proxy.poison(Toxics(latency=0.1))
    assert seconds_for(client, b"x") >= 0.2
    proxy.heal()
    proxy.poison(answers=Toxics(latency=0.1))
    assert seconds_for(client, b"x") >= 0.1


def test_bandwidth(client: socket.socket, proxy: FaultProxy) -> None:
    """No more than so many bytes a second."""
    proxy.poison(requests=Toxics(bandwidth=100_000))
    assert seconds_for(client, bytes(30_000)) >= 0.29


def test_a_black_hole_holds_everything_until_it_is_healed(client: socket.socket, proxy: FaultProxy) -> None:
    """One direction is dead, connections stay open, and what was lost arrives when the link is back."""
    proxy.poison(answers=Toxics(black_hole=True))
    client.sendall(b"lost?")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(99)
    assert proxy.open == 1
    proxy.heal()
    client.settimeout(5)
    assert client.recv(99) == b"lost?"


def test_slices(client: socket.socket, proxy: FaultProxy) -> None:
    """Pieces are cut, with a pause between them."""
    proxy.poison(answers=Toxics(slices=2, slice_pause=0.05))
    assert seconds_for(client, b"12345678") >= 0.15


def test_a_limit_ends_the_connection(client: socket.socket, proxy: FaultProxy) -> None:
    """So many bytes and no more."""
    proxy.poison(answers=Toxics(limit=8))
    client.sendall(b"0123456789")
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(99):
            got += piece
    assert got == b"012"  # five went through before


def test_a_slow_close(client: socket.socket, proxy: FaultProxy) -> None:
    """The end of the stream comes late."""
    proxy.poison(answers=Toxics(slow_close=0.2))
    began = time.monotonic()
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert time.monotonic() - began >= 0.2


def test_a_reset(client: socket.socket, proxy: FaultProxy) -> None:
    """Open connections are reset, new ones are served."""
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as another:
        assert said_back(another, b"again") == b"again"


def test_down_and_up(client: socket.socket, proxy: FaultProxy) -> None:
    """Down: open connections are reset and new ones refused, until it is up again."""
    proxy.go_down()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 5)
    proxy.come_up()
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as another:
        assert said_back(another, b"again") == b"again"


def test_only_some_connections_are_harmed() -> None:
    """A connection is harmed once its client has said a certain word."""
    with echo_server() as port, FaultProxy(port, only=b"SUBSCRIBE") as proxy:
        proxy.poison(Toxics(black_hole=True))
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
            assert said_back(client, b"hello") == b"hello"
            client.settimeout(0.2)
            client.sendall(b"subscribe to news")
            with pytest.raises(TimeoutError):
                client.recv(99)


def test_a_target_that_is_away(proxy: FaultProxy) -> None:
    """Nobody behind the proxy: the connection is reset, as soon as it stands or when something is read."""
    with (
        FaultProxy(free_port()) as lonely,
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", lonely.port), 5) as connection,
    ):
        connection.recv(1)
