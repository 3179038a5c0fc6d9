"""Command-line options that the site and its single processes share, and the checks before anything starts."""

import argparse
import errno
import importlib.util
import math
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn
from urllib.parse import urlsplit

from examples.site import HOST

__all__ = [
    "LOG_LEVELS",
    "STORES",
    "bind",
    "fail",
    "member_parser",
    "parser",
    "port",
    "require",
    "store",
    "url",
    "weight",
]

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
STORES = ("memory://",)


def parser(module: str, description: str, *, log_level: str) -> argparse.ArgumentParser:
    """A parser with the options that every process takes."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description, allow_abbrev=False)
    made.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        default=log_level,
        help=f"how much is logged on standard error (default: {log_level})",
    )
    return made


def member_parser(module: str, description: str) -> argparse.ArgumentParser:
    """A parser for one process, which the supervisor may have started."""
    made = parser(module, description, log_level="info")
    made.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    return made


def port(last: int = 65535) -> Callable[[str], int]:
    """An argument type: a port number up to `last`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= last):
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a port, a number from 1 to {last}")
        return int(text)

    return read


def weight(text: str) -> float:
    """An argument type: a finite number that is not negative."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a weight, a number from 0 up (0 drains)")
    return number


def store(text: str) -> str:
    """An argument type: where the gateway keeps the directory."""
    if text not in STORES:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not supported, the stores are: {', '.join(STORES)}")
    return text


def url(text: str) -> str:
    """An argument type: the origin of a gateway, without a path."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    except ValueError:
        whole, rest = "", ""
    if not whole or rest:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a gateway, write it as http://127.0.0.1:8000")
    return text.rstrip("/")


def fail(program: str, message: str, code: int = 2) -> NoReturn:
    """End the program with one line that says why."""
    print(f"{program}: error: {message}", file=sys.stderr)
    raise SystemExit(code)


def require(program: str, modules: Iterable[str]) -> None:
    """End the program with the remedy when the `examples` extra is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        fail(program, f"{', '.join(missing)} not installed; run: pip install '.[examples]'")


def bind(program: str, number: int) -> socket.socket:
    """A socket bound to a port of this machine; ends the program when the port cannot be had.

    It does not listen yet: until the app is there, connections are to be refused rather than kept waiting.
    """
    # asyncio switches Nagle's algorithm off only for sockets that say they are TCP; left on, it costs 40 ms a response.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there the option lets two programs share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, number))
    except OSError as error:
        bound.close()
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {os.strerror(error.errno or 0)}"
        fail(program, f"port {number} on {HOST} {why}; end what listens there, or take another with --port")
    return bound
