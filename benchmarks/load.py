"""The loads: what is asked for, by how many connections, and how wrk's report is read."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.processes import ROOT
from benchmarks.tools import Command

__all__ = [
    "LOADS",
    "POST_SIZE",
    "SIZES",
    "WRK",
    "Kind",
    "Load",
    "LoadError",
    "Result",
    "Watched",
    "parse_wrk",
    "run_load",
]

WRK = Command("wrk", "wrk")
SIZES = {"/1k": 1024, "/10k": 10 * 1024, "/1m": 1024 * 1024}
"""Path -> bytes of the bodies that the origin serves."""

POST_SIZE = 100 * 1024
RAMP_SECONDS = 0.8
"""Until all connections stand, to the origin too, and interpreters have seen their code again."""

_TAIL_SECONDS = 20.0
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_LATENCY = re.compile(r"^\s+(50|99)%\s+([0-9.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_TOTAL = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_SOCKET_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_BAD_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")


T = TypeVar("T")


class LoadError(Exception):
    """A load could not be run; the message holds what its program said."""


class Kind(StrEnum):
    """What is measured: throughput over HTTP, the waiting of a lone client, or echoes over WebSockets."""

    HTTP = "http"
    LATENCY = "latency"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Load:
    """One load.

    Attributes:
        name: how it is called on the command line.
        title: how it is called in the table.
        path: what is asked for.
        connections: how many at a time.
    """

    name: str
    title: str
    path: str
    connections: int
    kind: Kind = Kind.HTTP
    method: str = "GET"


LOADS = (
    Load("get-1k", "GET 1 KB, 50 connections", "/1k", 50),
    Load("get-10k", "GET 10 KB, 50 connections", "/10k", 50),
    Load("get-1m", "GET 1 MB, 10 connections", "/1m", 10),
    Load("post-100k", "POST 100 KB, 20 connections", "/sink", 20, method="POST"),
    Load("websocket", "WebSocket echo of 1 KB, 20 connections", "/echo", 20, Kind.WEBSOCKET),
    Load("latency", "GET 1 KB, 1 connection", "/1k", 1, Kind.LATENCY),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a load saw; times in seconds, 0 for echoes, whose time nobody takes."""

    requests: int
    p50: float
    p99: float
    errors: int


@dataclass(frozen=True, slots=True)
class Watched(Generic[T]):
    """One run of a load, and what was seen of the proxy when the watching began and when it ended."""

    result: Result
    before: T
    after: T


def parse_wrk(text: str) -> Result:
    """Read a report of wrk 4 that was asked for `--latency`.

    Raises:
        LoadError: it is no such report.
    """
    total = _TOTAL.search(text)
    latency = {percent: float(number) * _UNITS[unit] for percent, number, unit in _LATENCY.findall(text)}
    if total is None or len(latency) != 2:
        raise LoadError(f"not a report of wrk: {text.strip()[:300]!r}")
    errors = [int(count) for found in _SOCKET_ERRORS.findall(text) for count in found]
    errors += [int(count) for count in _BAD_STATUS.findall(text)]
    return Result(int(total[1]), latency["50"], latency["99"], sum(errors))


def run_load(load: Load, port: int, seconds: float, folder: Path, core: int, watch: Callable[[], T]) -> Watched[T]:
    """Run a load once.

    HTTP is watched in the middle of the load: at its ends, requests are begun and given up that nobody counts, fifty of
    them with fifty connections, which for a slow proxy is a good part of all.

    Args:
        load: which.
        port: of the proxy.
        seconds: how long.
        folder: for scripts.
        core: where the load runs.
        watch: looks at the proxy, at the beginning and at the end.

    Raises:
        LoadError: it did not end well.
    """
    pinned = ["taskset", "-c", str(core)]
    if load.kind is Kind.WEBSOCKET:
        module = [sys.executable, "-m", "benchmarks.apps.echo_load"]
        before = watch()
        said = _run([*pinned, *module, str(port), load.path, str(load.connections), str(seconds)], seconds)
        return Watched(Result(**json.loads(said)), before, watch())
    options = ["-t1", f"-c{load.connections}", "-d1h", "--latency", "--timeout", "10s"]
    if load.method == "POST":
        options += ["-s", str(_post_script(folder))]
    return _run_wrk([*pinned, WRK.path, *options, f"http://127.0.0.1:{port}{load.path}"], seconds, watch)


def _run_wrk(command: list[str], seconds: float, watch: Callable[[], T]) -> Watched[T]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as wrk:  # noqa: S603 - a command of our own making
        try:
            time.sleep(RAMP_SECONDS)
            before = watch()
            time.sleep(seconds)
            after = watch()
            wrk.send_signal(signal.SIGINT)  # it ends and reports, as after its time
            said, _ = wrk.communicate(timeout=_TAIL_SECONDS)
        except subprocess.TimeoutExpired:
            raise LoadError("wrk did not end") from None
        finally:
            wrk.kill()
    return Watched(parse_wrk(said), before, after)


def _run(command: list[str], seconds: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - commands of our own making
            command, capture_output=True, text=True, timeout=seconds + _TAIL_SECONDS, check=False, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        raise LoadError("the load did not end") from None
    if done.returncode:
        raise LoadError((done.stderr or done.stdout).strip()[-300:])
    return done.stdout


def _post_script(folder: Path) -> Path:
    script = folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = string.rep("x", {POST_SIZE})\n'
        'wrk.headers["Content-Type"] = "application/octet-stream"\n'
    )
    return script
