"""Processes that come and go while users are there."""

import asyncio
import contextlib
import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets.sync.client as websocket_client
from websockets.exceptions import ConnectionClosed

from tests.e2e.client import get
from tests.e2e.lifecycle_app import KEY, SECRET
from tests.e2e.processes import SERVERS, Process, all_of, free_port, is_free, server_command, wait_until
from tests.raw_server import raw_server

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

    def __init__(self, port: int, threads: int = 4) -> None:
        self.port = port
        self.failed: list[str] = []
        self.answered = 0
        self.served_by: set[str] = set()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> "Users":
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
                response = connection.getresponse()
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
            time.sleep(0.004)
        connection.close()


@pytest.mark.parametrize("server", ["uvicorn", "granian"])
def test_a_rolling_restart_costs_no_request(tmp_path: Path, server: str) -> None:
    """Four instances are replaced one after another under load: not one request fails, POSTs included."""
    front = free_port()
    gateway = member(tmp_path, front)
    old = [member(tmp_path, free_port(), server, gateway=front) for _ in range(4)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(all_of(gateway, *old))
        wait_until(lambda: answers(front, "/orders"), f"the service\n{gateway.output}\n{old[0].output}")
        users = stack.enter_context(Users(front))
        wait_until(lambda: len(users.served_by) == 4, "all four serve")
        for leaving in old:
            coming = stack.enter_context(member(tmp_path, free_port(), server, gateway=front))
            wait_until(lambda port=str(coming.port): port in users.served_by, f"the new one serves\n{coming.output}")
            leaving.terminate()
        before = users.answered
        wait_until(lambda: users.answered > before + 100, "load after the last")
    assert users.failed == [], gateway.output
    assert users.answered > 400
