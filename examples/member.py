"""Runs one process of the site: an app under uvicorn, and the word to whoever waits that it has joined."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn

from examples.report import Report, line, table
from examples.site import Member, origin
from examples.stopping import run_until_stopped
from hydra_asgi import Hydra

__all__ = ["Running", "run"]

LOOK_SECONDS = 0.05
"""How often the node is looked at; short against the second in which a change is promised everywhere."""

GRACE_SECONDS = 3
"""How long open requests may take to end once the process was told to stop."""

STARTUP_FAILURE = 3
"""The exit code with which uvicorn, too, says that an app did not start."""


@dataclass(frozen=True, slots=True)
class Running:
    """What is run, and for whom.

    Attributes:
        member: who this process is.
        app: the ASGI app with the middleware mounted.
        hydra: its node.
        gateway: the only one: it takes registrations, so it need not wait until it is registered.
        supervised: started by `python -m examples`: report as JSON, stop when standard input ends.
        log_level: one of `options.LOG_LEVELS`.
    """

    member: Member
    app: Callable[..., Any]
    hydra: Hydra
    gateway: bool
    supervised: bool
    log_level: str


def run(running: Running, bound: socket.socket) -> int:
    """Serve until told to stop; returns the exit code."""
    logging.basicConfig(
        stream=sys.stderr,
        level=running.log_level.upper(),
        format=f"%(asctime)s {running.member.service}/{running.member.version} %(levelname)s %(name)s: %(message)s",
    )
    return run_until_stopped(_serve(running, bound))


async def _serve(running: Running, bound: socket.socket) -> int:
    server = uvicorn.Server(
        uvicorn.Config(
            running.app,
            log_config=None,  # its own would write the access log to standard output
            log_level=running.log_level,
            lifespan="on",
            proxy_headers=False,  # the middleware decides whom to believe, so it has to see the peer itself
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    if running.supervised:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    telling = asyncio.create_task(_tell(running, lambda: server.started))
    try:
        await server.serve(sockets=[bound])
    finally:
        telling.cancel()
    return 0 if server.started else STARTUP_FAILURE


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    """Stop when the supervisor closes the pipe, or is gone: nobody else would end this process then."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True


async def _tell(running: Running, started: Callable[[], bool]) -> None:
    """Say every change to a supervisor, the first joining to a person."""
    said = Report()
    while True:
        report = _look(running, started())
        if report != said:
            said = report
            if running.supervised:
                print(line(report), flush=True)
            elif report.joined:
                print(table([(running.member, os.getpid())]))
                print(f"ready {origin(running.member.port)}/", flush=True)
                return
        await asyncio.sleep(LOOK_SECONDS)


def _look(running: Running, started: bool) -> Report:
    if not started:
        return Report()
    return Report(
        joined=running.gateway or running.hydra.state == "registered",
        services={view.name: list(view.versions) for view in running.hydra.overview.services},
    )
