"""Processes that come and go while users are there."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import pytest
import websockets.sync.client as websocket_client
from websockets.exceptions import ConnectionClosed

from tests.e2e.client import get
from tests.e2e.endurance import opened
from tests.e2e.lifecycle_app import KEY, SECRET
from tests.e2e.processes import ROOT, Process, all_of, free_port, server_command, wait_until

pytestmark = pytest.mark.e2e

APP = "tests.e2e.lifecycle_app:app"


def member(tmp_path: Path, port: int, server: str = "uvicorn", *, gateway: int | None = None, **env: str) -> Process:
    """A process of the site: a service that registers at `gateway`, or a gateway."""
    if gateway is not None:
        env["GATEWAY"] = f"http://127.0.0.1:{gateway}"
    command = server_command(server, APP, port)
    return Process(command, tmp_path / f"{port}.log", port=port, env={"PORT": str(port), **env})


def answers(port: int, path: str, status: int = 200) -> bool:
    return get(port, path).status == status


class Users:
    """Threads that send GETs and POSTs one after another, and note what goes wrong."""

    def __init__(self, port: int, threads: int = 3) -> None:
        self.port = port
        self.failed: list[str] = []
        self.answered = 0
        self.served_by: set[str] = set()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, number: int) -> None:
        count = 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self._is_over.is_set():
            count += 1
            method = "POST" if count % 2 else "GET"
            body = f"{number}-{count}" if method == "POST" else None
            try:
                connection.request(method, "/orders", body)
                with connection.getresponse() as response:  # it holds the socket where the read fails
                    said = response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{method}: {error!r}")
                connection.close()
                continue
            self.answered += 1
            if response.status != 200 or (body and said != body):
                self.failed.append(f"{method}: {response.status} {said[:200]}")
            elif not body:
                self.served_by.add(said)
            time.sleep(0.02)
        connection.close()


@pytest.mark.parametrize(("server", "count"), [("uvicorn", 4), ("granian", 2)])
def test_a_rolling_restart_costs_no_request(tmp_path: Path, server: str, count: int) -> None:
    """All instances are replaced one after another under load: not one request fails, POSTs included.

    Granian cannot be held back when it is told to stop, so there the pre-stop hook drains the node before.
    """
    front = free_port()
    gateway = member(tmp_path, front)
    old = [member(tmp_path, free_port(), server, gateway=front) for _ in range(count)]
    new = [member(tmp_path, free_port(), server, gateway=front) for _ in range(count)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(all_of(gateway, *old))
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{old[0].output}")
        for process in new:
            stack.push(process)  # started later, ended in any case
        with Users(front) as users:
            wait_until(lambda: len(users.served_by) == count, "all of them serve")
            for leaving, coming in zip(old, new, strict=True):
                coming.start()
                wait_until(lambda port=str(coming.port): port in users.served_by, f"the new serves\n{coming.output}")
                if server == "granian":
                    drained = drain(f"http://127.0.0.1:{leaving.port}", SECRET)
                    assert drained.returncode == 0, drained.stderr
                leaving.signal(signal.SIGTERM)
            for leaving in old:
                leaving.wait()
            before = users.answered
            wait_until(lambda: users.answered > before + 50, "load after the last")
    assert users.failed == [], gateway.output
    assert users.answered > 200


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_a_gateway_that_is_told_to_stop(tmp_path: Path, server: str) -> None:
    """What was begun is finished, WebSockets get 1012, streams go on within the grace period and are then cut off."""
    front, back = free_port(), free_port()
    grace = 4
    gateway = member(tmp_path, front, server, GRACE=str(grace))
    service = member(tmp_path, back, gateway=front)
    slow: list[int] = []
    with all_of(gateway, service):
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{service.output}")
        stream = open_stream(front)
        with websocket_client.connect(f"ws://127.0.0.1:{front}/orders/ws") as client:
            client.send("hello")
            assert client.recv(5) == "hello"
            patient = threading.Thread(target=lambda: slow.append(get(front, "/orders/nap?1").status))
            patient.start()
            wait_until(lambda: opened(back).naps == 1, "the slow request arrives")
            began = time.monotonic()
            gateway.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(10)
        assert time.monotonic() - began < grace - 1, gateway.output
        patient.join(10)
        rest, is_whole = read_rest(stream)
        assert grace - 0.2 < time.monotonic() - began < grace + 4
        gateway.wait(10)
    assert slow == [200]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert rest.count(b"tick") > 10
    assert not is_whole


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_a_websocket_of_the_own_app(tmp_path: Path, server: str) -> None:
    """A node that stops closes what its own app holds open with 1012, although the app waits for its client."""
    front, back = free_port(), free_port()
    gateway, service = member(tmp_path, front), member(tmp_path, back, server, gateway=front, GRACE="20")
    with all_of(gateway, service):
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{service.output}")
        with websocket_client.connect(f"ws://127.0.0.1:{back}/orders/ws") as client:
            client.send("hello")
            assert client.recv(10) == "hello"
            service.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(10)
        service.wait(15)
    assert closed.value.rcvd is not None, service.output
    assert closed.value.rcvd.code == 1012


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_a_service_leaves_the_site_before_it_ends(tmp_path: Path, server: str) -> None:
    """On SIGTERM its routes are gone at once, and a slow answer that is under way arrives whole.

    Uvicorn is held back until the site knows, so what still comes meanwhile is served.
    """
    front, back = free_port(), free_port()
    gateway, service = member(tmp_path, front), member(tmp_path, back, server, gateway=front)
    slow: list[int] = []
    with all_of(gateway, service):
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{service.output}")
        patient = threading.Thread(target=lambda: slow.append(get(front, "/orders/nap?1").status))
        patient.start()
        wait_until(lambda: opened(back).naps == 1, "the slow request arrives")
        service.signal(signal.SIGTERM)
        wait_until(lambda: answers(front, "/orders", 503), "its routes are gone", 5)
        if server == "uvicorn":
            assert get(back, "/orders").status == 200
            assert get(back, "/h/ready").status == 503
        patient.join(10)
        service.wait(10)
        assert slow == [200]


def test_the_drain_command(tmp_path: Path) -> None:
    """`hydra-asgi drain` takes a node out of the site, waits for what it serves, and then it may be stopped at once.

    Its WebSockets are told to come back, which hypercorn would not do.
    """
    front, back = free_port(), free_port()
    gateway, service = member(tmp_path, front), member(tmp_path, back, "hypercorn", gateway=front)
    slow: list[int] = []
    with all_of(gateway, service):
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{service.output}")
        patient = threading.Thread(target=lambda: slow.append(get(front, "/orders/nap?1").status))
        patient.start()
        wait_until(lambda: opened(back).naps == 1, "the slow request arrives")
        with websocket_client.connect(f"ws://127.0.0.1:{back}/orders/ws") as client:
            client.send("hello")
            assert client.recv(10) == "hello"
            ended = drain(f"http://127.0.0.1:{back}", SECRET)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert (ended.returncode, ended.stdout) == (0, "drained; no requests are still served\n")
        patient.join(10)
        assert slow == [200]
        assert answers(front, "/orders", 503)
        assert answers(back, "/h/ready", 503)
        assert answers(back, "/orders")
        refused = drain(f"http://127.0.0.1:{back}", "another secret that is long")
        assert refused.returncode == 2
        assert "answered 401: the signature was not made with our secret" in refused.stderr
        assert service.terminate() == 0


def test_a_killed_gateway_is_noticed(tmp_path: Path) -> None:
    """When a gateway is gone without a word, a service sees the clients of its streams leave, and joins the next."""
    front, back = free_port(), free_port()
    gateway, service = member(tmp_path, front), member(tmp_path, back, gateway=front)
    with all_of(gateway, service):
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{service.output}")
        with open_stream(front):
            assert opened(back).streams == 1
            gateway.kill()
            wait_until(lambda: opened(back).streams == 0, "the stream ends", 5)
        gateway.start()
        wait_until(lambda: answers(front, "/orders"), f"the service is back\n{gateway.output}\n{service.output}")


def test_a_gateway_without_file_descriptors(tmp_path: Path) -> None:
    """More clients than descriptors get 503, or are hung up on where nothing is left; then all is as before."""
    front, back = free_port(), free_port()
    config = tmp_path / "site.toml"
    config.write_text(f'[[instances]]\nservice = "orders"\nurl = "http://127.0.0.1:{back}"\nroutes = ["/orders"]\n')
    command = f"{sys.executable} -m hydra_asgi gateway --port {front} --config {config} --limit-concurrency 100"
    gateway = Process(["bash", "-c", f"ulimit -n 256; exec {command}"], tmp_path / "gateway.log", port=front)
    service = member(tmp_path, back, gateway=front)  # it is not let in, as there is no key, and serves all the same
    with all_of(service, gateway):
        assert get(front, "/orders").status == 200
        with contextlib.ExitStack() as many:
            clients = [client for _ in range(400) if (client := maybe_client(front, many)) is not None]
            said = [said_to(client) for client in clients]
        assert len(clients) > 256
        assert b"HTTP/1.1 503" in said
        assert set(said) <= {b"HTTP/1.1 200", b"HTTP/1.1 503", b""}
        wait_until(lambda: answers(front, "/orders"), f"it recovers\n{gateway.output}")
        assert gateway.terminate() == 0


def maybe_client(port: int, owner: contextlib.ExitStack) -> socket.socket | None:
    """A connection, closed by its owner; None where it was refused or broken off at once."""
    client = owner.enter_context(socket.socket())
    client.settimeout(10)
    try:
        client.connect(("127.0.0.1", port))
    except ConnectionError:
        return None
    return client


def said_to(client: socket.socket) -> bytes:
    """The first words of the answer to a request; nothing where the client was hung up on."""
    try:
        client.sendall(b"GET /orders HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
        return client.recv(65536)[:12]
    except (ConnectionResetError, BrokenPipeError):
        return b""


def drain(url: str, secret: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hydra_asgi", "drain", "--url", url]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HYDRA_KEY": KEY, "HYDRA_SECRET": secret}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=30, check=False)


def open_stream(port: int) -> socket.socket:
    """A response that has begun and does not end."""
    stream = socket.create_connection(("127.0.0.1", port), 10)
    stream.sendall(b"GET /orders/stream?0.05 HTTP/1.1\r\nHost: site.test\r\n\r\n")
    seen = b""
    while b"tick" not in seen:
        seen += stream.recv(65536)
    return stream


def read_rest(stream: socket.socket) -> tuple[bytes, bool]:
    """What comes until the connection ends, and whether the body was ended as a whole one is."""
    rest = b""
    with stream, contextlib.suppress(ConnectionResetError):
        while piece := stream.recv(65536):
            rest += piece
    return rest, rest.endswith(b"\r\n0\r\n\r\n")
