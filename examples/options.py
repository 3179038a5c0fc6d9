"""Command-line options that the site and its single processes share, and the checks before anything starts."""

import argparse
import asyncio
import errno
import importlib.util
import math
import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn
from urllib.parse import urlsplit

from examples.site import HOST, MEMORY, shown

__all__ = [
    "LOG_LEVELS",
    "add_store",
    "bind",
    "fail",
    "member_parser",
    "parser",
    "port",
    "require",
    "require_store",
    "store",
    "url",
    "weight",
]

STORE_SECONDS = 5.0
"""How long a store may take to answer for the first time."""

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")


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
    """An argument type: where the gateways keep the directory."""
    from hydra_asgi.errors import ConfigurationError  # here, so that --help needs no extra
    from hydra_asgi.options import read_option

    try:
        return str(read_option("store", text, "its value"))
    except ConfigurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_store(made: argparse.ArgumentParser) -> None:
    """Give a parser the option that says where the directory is kept."""
    made.add_argument(
        "--store",
        type=store,
        default=os.environ.get("HYDRA_STORE") or MEMORY,
        metavar="URL",
        help=f"where the directory is kept: {MEMORY} for one gateway, sqlite:///path/site.db or redis://host:6379/0 "
        f"for two of them (default: HYDRA_STORE, else {MEMORY})",
    )


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


def require_store(program: str, url: str) -> None:
    """End the program, and say why, when the store cannot be used or does not answer."""
    from hydra_asgi.backends.stores import open_store
    from hydra_asgi.errors import ConfigurationError, StoreError
    from hydra_asgi.ports import Store

    async def ask(opened: Store) -> None:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await opened.revision()
        finally:
            await opened.close()

    try:
        asyncio.run(ask(open_store(url)))
    except ConfigurationError as error:
        fail(program, str(error))
    except (StoreError, TimeoutError) as error:
        why = str(error) or f"no answer within {STORE_SECONDS:g} s"
        fail(program, f"the store {shown(url)} cannot be used: {why}; see that it runs, or leave --store out", 1)


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
