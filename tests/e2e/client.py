"""A small blocking client on raw sockets, so that tests see what is on the wire and when."""

import http.client
import socket
import time
from dataclasses import dataclass
from typing import Self

__all__ = ["Answer", "Browser", "get", "raw_chunks"]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    seconds: float

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)


class Browser:
    """One kept-alive connection and, if asked for, the cookies of one user."""

    def __init__(self, port: int, *, keeps_cookies: bool = False) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._keeps_cookies = keeps_cookies
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Answer:
        began = time.monotonic()
        if self.cookie:
            headers["cookie"] = self.cookie
        self._connection.request("GET", path, headers=headers)
        with self._connection.getresponse() as response:  # it holds the socket where the read fails
            body = response.read().decode()
        if self._keeps_cookies and (given := response.getheader("set-cookie")):
            self.cookie = given.partition(";")[0]
        return Answer(response.status, tuple(response.getheaders()), body, time.monotonic() - began)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def get(port: int, path: str, **headers: str) -> Answer:
    """One request on a connection of its own."""
    with Browser(port) as browser:
        return browser.get(path, **headers)


def raw_chunks(port: int, path: str) -> list[tuple[float, bytes]]:
    """Every piece that arrives for a GET, with the seconds since the request was sent."""
    pieces: list[tuple[float, bytes]] = []
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n".encode())
        began = time.monotonic()
        while piece := connection.recv(65536):
            pieces.append((time.monotonic() - began, piece))
    return pieces
