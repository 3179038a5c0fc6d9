"""What a proxy under measurement is, and the place it gets to run in."""

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.processes import Process, Processes
from benchmarks.tools import Need, PythonPackage

__all__ = ["Place", "Subject", "accepts", "answers", "nginx_user", "uvicorn"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject runs.

    Attributes:
        port: the one it listens on, of the loopback address.
        origin: the port of the origin.
        echo: the port of the WebSocket echo.
        folder: for its files.
        processes: starts them.
        core: the subject's.
        load_core: everybody else's.
    """

    port: int
    origin: int
    echo: int
    folder: Path
    processes: Processes
    core: int
    load_core: int

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder; returns its path."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / name
        file.write_text(text)
        return str(file)


@dataclass(frozen=True, slots=True)
class Subject:
    """One proxy.

    Attributes:
        name: what the table calls it.
        start: starts it in a place; returns the process whose CPU seconds count, with those of its children.
        needs: what has to be installed.
        has_websockets: it can forward them.
    """

    name: str
    start: Callable[[Place], Process]
    needs: tuple[Need, ...] = ()
    has_websockets: bool = True


UVICORN: tuple[Need, ...] = (PythonPackage("uvicorn"), PythonPackage("uvloop"), PythonPackage("httptools"))


def uvicorn(place: Place, app: str, **env: str) -> Process:
    """Start an ASGI app under the server that all Python subjects share, with the same options."""
    return place.processes.python(
        "uvicorn",
        app,
        *("--host", "127.0.0.1", "--port", str(place.port)),
        *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-proxy-headers", "--log-level", "warning"),
        core=place.core,
        env={"BENCH_ORIGIN": str(place.origin), "BENCH_ECHO": str(place.echo), **env},
    )


def answers(port: int, path: str = "/1k", method: str = "GET", body: bytes | None = None) -> bytes:
    """The body of one answer with status 200; empty for any other.

    Raises:
        OSError: nobody answers.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        content = response.read()
        return content if response.status == 200 else b""
    finally:
        connection.close()


def accepts(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def nginx_user() -> str:
    """The line that lets nginx's worker read our files: started by root, it would change to a user who may not."""
    return f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
